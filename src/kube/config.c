#include "kube/config.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/yaml.h"
#include "kube/kubeconfig.h"

#define PEM_MAX (1u << 20)
#define LIST_MAX 16 /* files in KUBECONFIG; further ones are passed over */
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

/* What stands in files of its own, each beside the kubeconfig that names it. */
static int read_named_files(const struct kubeconfig_files *files, struct kube_config *config, struct err *err)
{
	int code = read_beside(files->cluster_in, files->ca, &config->ca_pem, err);

	if (!code)
		code = read_beside(files->user_in, files->cert, &config->cert_pem, err);
	if (!code)
		code = read_beside(files->user_in, files->key, &config->key_pem, err);
	if (code)
		return code;
	make_absolute(files->user_in, &config->token_file);
	/* A bare name is looked up in PATH. */
	if (config->exec && strchr(config->exec->command, '/'))
		make_absolute(files->user_in, &config->exec->command);
	return 0;
}

static int load_texts(const struct kubeconfig_text *texts, size_t count, struct kube_config *config, struct err *err)
{
	struct kubeconfig_files files = {0};
	int code = kubeconfig_parse(texts, count, config, &files, err);

	if (!code)
		code = read_named_files(&files, config, err);
	kubeconfig_files_free(&files);
	return code;
}

static void free_text(struct buf *text)
{
	if (text->data)
		explicit_bzero(text->data, text->len);
	buf_free(text);
}

static int load_file(const char *path, struct kube_config *config, struct err *err)
{
	struct buf text;

	buf_init(&text, YAML_TEXT_MAX);
	int code = file_read(path, &text, err);
	if (!code)
		code = load_texts(&(struct kubeconfig_text){buf_slice(&text), path}, 1, config, err);
	free_text(&text);
	return code;
}

/* Files of a list that do not exist are passed over, unless none does. */
static int load_list(const char *list, struct kube_config *config, struct err *err)
{
	struct kubeconfig_text texts[LIST_MAX];
	struct buf bufs[LIST_MAX];
	char *paths = xstrdup(list), *rest = paths;
	size_t count = 0;
	int code = 0;

	for (char *path; !code && count < LIST_MAX && (path = strsep(&rest, ":"));) {
		if (!*path)
			continue;
		buf_init(&bufs[count], YAML_TEXT_MAX);
		code = file_read(path, &bufs[count], err);
		texts[count] = (struct kubeconfig_text){buf_slice(&bufs[count]), path};
		if (code == ERR_MISSING)
			code = 0;
		else
			count++;
	}
	if (!code && count == 0)
		code = err_set(err, ERR_MISSING, "KUBECONFIG: no such file: %s", list);
	if (!code)
		code = load_texts(texts, count, config, err);
	while (count > 0)
		free_text(&bufs[--count]);
	free(paths);
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
	if (variable && *variable)
		return load_list(variable, config, err);
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
