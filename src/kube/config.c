#include "kube/config.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/yaml.h"
#include "kube/kubeconfig.h"

#define PEM_MAX (1u << 20)
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void exec_free(struct kube_exec *exec)
{
	if (!exec)
		return;
	free(exec->command);
	free(exec->api_version);
	kubeconfig_texts_free(exec->args);
	kubeconfig_texts_free(exec->env);
	free(exec);
}

void kube_config_free(struct kube_config *config)
{
	free(config->server);
	free(config->ca_pem);
	free(config->cert_pem);
	free_secret(config->key_pem);
	free(config->server_name);
	free_secret(config->token);
	free(config->token_file);
	exec_free(config->exec);
	memset(config, 0, sizeof(*config));
}

static int read_pem(const char *path, char **out, struct err *err)
{
	struct buf text;

	buf_init(&text, PEM_MAX);
	int code = file_read(path, &text, err);
	if (!code && (text.len == 0 || strlen(text.data) != text.len))
		code = err_set(err, ERR_INPUT, "%s: this is no PEM text", path);
	if (!code)
		*out = buf_take(&text);
	buf_free(&text);
	return code;
}

/* A file named in a kubeconfig, relative to it. To be freed. */
static char *beside(const char *kubeconfig, const char *path)
{
	if (path[0] == '/')
		return xstrdup(path);
	char *copy = xstrdup(kubeconfig);
	const char *folder = dirname(copy);
	size_t room = strlen(folder) + strlen(path) + 2;
	char *joined = xmalloc(room);
	snprintf(joined, room, "%s/%s", folder, path);
	free(copy);
	return joined;
}

static int read_beside(const char *kubeconfig, const char *path, char **out, struct err *err)
{
	if (!path)
		return 0;
	char *joined = beside(kubeconfig, path);
	int code = read_pem(joined, out, err);
	if (code)
		err_wrap(err, "%s", kubeconfig);
	free(joined);
	return code;
}

static void make_absolute(const char *kubeconfig, char **path)
{
	if (!*path)
		return;
	char *joined = beside(kubeconfig, *path);
	free(*path);
	*path = joined;
}

static int load_file(const char *path, struct kube_config *config, struct err *err)
{
	struct kubeconfig_files files = {0};
	struct buf text;

	buf_init(&text, YAML_TEXT_MAX);
	int code = file_read(path, &text, err);
	if (!code)
		code = kubeconfig_parse(buf_slice(&text), path, config, &files, err);
	if (text.data)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
	if (!code)
		code = read_beside(path, files.ca, &config->ca_pem, err);
	if (!code)
		code = read_beside(path, files.cert, &config->cert_pem, err);
	if (!code)
		code = read_beside(path, files.key, &config->key_pem, err);
	if (!code) {
		make_absolute(path, &config->token_file);
		/* A bare name is looked up in PATH. */
		if (config->exec && strchr(config->exec->command, '/'))
			make_absolute(path, &config->exec->command);
	}
	kubeconfig_files_free(&files);
	return code;
}

static int load_in_cluster(const char *host, struct kube_config *config, struct err *err)
{
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	char server[512];

	if (!port || !*port)
		return err_set(err, ERR_MISSING, "KUBERNETES_SERVICE_HOST is set, but KUBERNETES_SERVICE_PORT is not");
	int len = snprintf(server, sizeof(server), strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	if (len < 0 || (size_t)len >= sizeof(server))
		return err_set(err, ERR_INPUT, "KUBERNETES_SERVICE_HOST is too long");
	config->server = xstrdup(server);
	config->token_file = xstrdup(SERVICE_ACCOUNT "token");
	return read_pem(SERVICE_ACCOUNT "ca.crt", &config->ca_pem, err);
}

static int load_home(struct kube_config *config, struct err *err)
{
	const char *home = getenv("HOME");
	char path[4096];

	if (!home || !*home)
		return err_set(err, ERR_MISSING, "no kubeconfig: neither KUBECONFIG nor HOME is set");
	int len = snprintf(path, sizeof(path), "%s/.kube/config", home);
	if (len < 0 || (size_t)len >= sizeof(path))
		return err_set(err, ERR_INPUT, "HOME is too long");
	return load_file(path, config, err);
}

static int load(const char *path, struct kube_config *config, struct err *err)
{
	const char *variable = getenv("KUBECONFIG"), *host = getenv("KUBERNETES_SERVICE_HOST");

	if (path)
		return load_file(path, config, err);
	if (variable && *variable) {
		char *first = xstrndup(variable, strcspn(variable, ":"));
		int code = load_file(first, config, err);
		free(first);
		return code;
	}
	return host && *host ? load_in_cluster(host, config, err) : load_home(config, err);
}

int kube_config_load(const char *path, struct kube_config *config, struct err *err)
{
	memset(config, 0, sizeof(*config));
	int code = load(path, config, err);
	if (code)
		kube_config_free(config);
	return code;
}
