/* Any bytes as a kubeconfig, and as what an exec plugin prints: no crash, no leak, and whatever was taken is usable. */
#include <stdint.h>
#include <stdlib.h>

#include "kube/exec.h"
#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	/* One text, and cut in two. */
	size_t half = size / 2;
	const struct kubeconfig_text texts[] = {
	    {text, "fuzz"}, {{text.at, half}, "first"}, {{text.at + half, size - half}, "second"}};
	struct exec_credential credential;
	struct kubeconfig_files files;
	struct kube_config config;
	struct err err;

	int code = kubeconfig_parse(&texts[1], 2, &config, &files, &err);
	if (code == 0 && (!config.server || !files.cluster_in))
		abort();
	kube_config_free(&config);
	kubeconfig_files_free(&files);
	if (kubeconfig_parse(texts, 1, &config, &files, &err) == 0) {
		if (!config.server || strncmp(config.server, "http", 4) != 0)
			abort();
		if (config.exec && (!config.exec->command || !config.exec->args || !config.exec->env))
			abort();
	}
	kube_config_free(&config);
	kubeconfig_files_free(&files);
	if (exec_credential_decode(text, "client.authentication.k8s.io/v1", &credential, &err) == 0) {
		if (!credential.token && !credential.cert_pem)
			abort();
		exec_credential_free(&credential);
	}
	return 0;
}
