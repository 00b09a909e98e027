/* Where the API server is and who we are there: from a kubeconfig file (current-context; token, tokenFile, client
 * certificate and key, CA, each inline as …-data or as a file relative to the kubeconfig; exec credential plugins;
 * insecure-skip-tls-verify, tls-server-name; plain http servers) or from a pod's service account. Secrets stay in this
 * struct and are never logged. */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct kube_exec {
	char *command;
	char **args;       /* argv[1..], NULL-terminated */
	char **env;        /* "NAME=value", NULL-terminated */
	char *api_version; /* client.authentication.k8s.io/v1 or v1beta1 */
	bool provide_cluster_info;
};

struct kube_config {
	char *server; /* "https://host:port" with an optional path, no slash at the end */
	char *ca_pem, *cert_pem, *key_pem, *server_name;
	char *token;      /* fixed token */
	char *token_file; /* read again when it may have changed (projected tokens rotate) */
	bool insecure;
	struct kube_exec *exec;
};

/* `path` NULL: the KUBECONFIG variable (a list of files, which count as one), else in-cluster when
 * KUBERNETES_SERVICE_HOST is set, else ~/.kube/config. Unknown keys are ignored, as every client of such files does;
 * what is needed and wrong is an error that names the file and line. */
BERTH_MUST_CHECK int kube_config_load(const char *path, struct kube_config *config, struct err *err);
void kube_config_free(struct kube_config *config);

#endif
