#include "kube/kubeconfig.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/yaml.h"
#include "kube/base64.h"

struct document {
	const char *name;
	const struct yaml_node *root; /* NULL when it is empty */
};

struct reading {
	const char *name; /* of the document that holds what is looked at */
	const struct document *documents;
	size_t count;
	struct kube_config *config;
	struct kubeconfig_files *files;
	struct err *err;
};

static int refuse(const struct reading *reading, const struct yaml_node *at, const char *reason)
{
	return err_set(reading->err, ERR_INPUT, "%s:%u:%u: %s", reading->name, at->mark.line, at->mark.column, reason);
}

/* An optional text: NULL when it is not there or empty. */
static int take_text(const struct reading *reading, const struct yaml_node *map, const char *key, char **out)
{
	const struct yaml_node *node = yaml_get(map, key);
	const char *text = yaml_text(node);

	if (node && !text)
		return refuse(reading, node, "a text is expected");
	if (!text || !*text)
		return 0;
	if (strlen(text) != node->text.len)
		return refuse(reading, node, "a NUL byte in a text");
	free(*out);
	*out = xstrdup(text);
	return 0;
}

/* …-data (Base64) wins over the file. */
static int take_data(const struct reading *reading, const struct yaml_node *map, const char *data_key,
    const char *file_key, char **data, char **file)
{
	const struct yaml_node *node = yaml_get(map, data_key);
	char *encoded = NULL;
	size_t len;
	int code = take_text(reading, map, data_key, &encoded);

	if (code || !encoded)
		return code ? code : take_text(reading, map, file_key, file);
	*data = base64_decode(slice_of(encoded), &len);
	free(encoded);
	if (!*data)
		return refuse(reading, node, "this is not Base64");
	if (strlen(*data) != len)
		return refuse(reading, node, "this is Base64, but not of a PEM text");
	return 0;
}

static int take_bool(const struct reading *reading, const struct yaml_node *map, const char *key, bool *out)
{
	const struct yaml_node *node = yaml_get(map, key);
	const char *text = yaml_text(node);

	if (!node)
		return 0;
	if (text && strcasecmp(text, "true") == 0)
		*out = true;
	else if (text && strcasecmp(text, "false") == 0)
		*out = false;
	else
		return refuse(reading, node, "true or false is expected");
	return 0;
}

static const struct yaml_node *find_named(const struct yaml_node *list, const char *wanted)
{
	for (size_t i = 0; list && list->type == YAML_LIST && i < list->count; i++) {
		const char *name = yaml_text(yaml_get(list->items[i], "name"));
		if (name && strcmp(name, wanted) == 0)
			return list->items[i];
	}
	return NULL;
}

/* The entry called `wanted` in one of the lists of named entries; what it holds is under `key`. */
static int find_entry(
    struct reading *reading, const char *list_key, const char *key, const char *wanted, const struct yaml_node **out)
{
	for (size_t i = 0; i < reading->count; i++) {
		const struct document *document = &reading->documents[i];
		const struct yaml_node *entry = find_named(yaml_get(document->root, list_key), wanted);
		if (!entry)
			continue;
		reading->name = document->name;
		*out = yaml_get(entry, key);
		return *out ? 0 : refuse(reading, entry, "this entry is empty");
	}
	const struct document *first = &reading->documents[0];
	const struct yaml_node *list = yaml_get(first->root, list_key), *at = list ? list : first->root;
	return err_set(reading->err, ERR_INPUT, "%s:%u:%u: no entry \"%s\" in %s", first->name, at ? at->mark.line : 1,
	    at ? at->mark.column : 1, wanted, list_key);
}

static int take_cluster(const struct reading *reading, const struct yaml_node *cluster)
{
	struct kube_config *config = reading->config;
	const struct yaml_node *server = yaml_get(cluster, "server"), *proxy = yaml_get(cluster, "proxy-url");
	int code = take_text(reading, cluster, "server", &config->server);

	if (!code && !config->server)
		return refuse(reading, server ? server : cluster, "the cluster has no server");
	if (!code && strncmp(config->server, "https://", 8) != 0 && strncmp(config->server, "http://", 7) != 0)
		return refuse(reading, server, "server must begin with https:// or http://");
	if (!code && proxy && yaml_text(proxy) && *yaml_text(proxy))
		return refuse(reading, proxy, "proxy-url is not supported");
	if (!code)
		code = take_data(reading, cluster, "certificate-authority-data", "certificate-authority",
		    &config->ca_pem, &reading->files->ca);
	if (!code)
		code = take_text(reading, cluster, "tls-server-name", &config->server_name);
	if (!code)
		code = take_bool(reading, cluster, "insecure-skip-tls-verify", &config->insecure);
	if (!code && config->insecure && (config->ca_pem || reading->files->ca))
		return refuse(reading, cluster, "insecure-skip-tls-verify beside a certificate-authority");
	if (code)
		return code;
	size_t len = strlen(config->server);
	while (len > 0 && config->server[len - 1] == '/')
		config->server[--len] = '\0';
	return 0;
}

static int take_args(const struct reading *reading, const struct yaml_node *list, char ***out)
{
	if (list && list->type != YAML_LIST && !(list->type == YAML_SCALAR && list->text.len == 0) &&
	    !slice_is(list->text, "null"))
		return refuse(reading, list, "a list is expected");
	size_t count = list && list->type == YAML_LIST ? list->count : 0;
	*out = xcalloc(count + 1, sizeof(**out));
	for (size_t i = 0; i < count; i++) {
		const char *text = yaml_text(list->items[i]);
		if (!text)
			return refuse(reading, list->items[i], "a text is expected");
		(*out)[i] = xstrdup(text);
	}
	return 0;
}

static int take_env(const struct reading *reading, const struct yaml_node *list, char ***out)
{
	size_t count = list && list->type == YAML_LIST ? list->count : 0;

	*out = xcalloc(count + 1, sizeof(**out));
	for (size_t i = 0; i < count; i++) {
		const char *name = yaml_text(yaml_get(list->items[i], "name"));
		const char *value = yaml_text(yaml_get(list->items[i], "value"));
		if (!name || !*name || strchr(name, '=') || !value)
			return refuse(reading, list->items[i], "a name and a value are expected");
		size_t room = strlen(name) + strlen(value) + 2;
		(*out)[i] = xmalloc(room);
		snprintf((*out)[i], room, "%s=%s", name, value);
	}
	return 0;
}

static int take_exec(const struct reading *reading, const struct yaml_node *node)
{
	struct kube_exec *exec = reading->config->exec = xcalloc(1, sizeof(*exec));
	const struct yaml_node *mode = yaml_get(node, "interactiveMode");
	int code = take_text(reading, node, "command", &exec->command);

	if (!code)
		code = take_text(reading, node, "apiVersion", &exec->api_version);
	if (code)
		return code;
	if (!exec->command)
		return refuse(reading, node, "exec needs a command");
	if (!exec->api_version || (strcmp(exec->api_version, "client.authentication.k8s.io/v1") != 0 &&
	                              strcmp(exec->api_version, "client.authentication.k8s.io/v1beta1") != 0))
		return refuse(reading, node, "exec needs apiVersion client.authentication.k8s.io/v1 or v1beta1");
	if (mode && yaml_text(mode) && strcmp(yaml_text(mode), "Always") == 0)
		return refuse(reading, mode, "a plugin that always needs a terminal cannot be used");
	code = take_args(reading, yaml_get(node, "args"), &exec->args);
	if (!code)
		code = take_env(reading, yaml_get(node, "env"), &exec->env);
	return code ? code : take_bool(reading, node, "provideClusterInfo", &exec->provide_cluster_info);
}

static bool says_nothing(const struct yaml_node *node)
{
	return node->type == YAML_SCALAR ? node->text.len == 0 || slice_is(node->text, "null") : node->count == 0;
}

static int take_user(const struct reading *reading, const struct yaml_node *user)
{
	static const char *const unsupported[] = {
	    "auth-provider", "as", "as-uid", "as-groups", "as-user-extra", "username"};
	struct kube_config *config = reading->config;
	struct kubeconfig_files *files = reading->files;

	for (size_t i = 0; i < sizeof(unsupported) / sizeof(*unsupported); i++) {
		const struct yaml_node *node = yaml_get(user, unsupported[i]);
		if (node && !says_nothing(node))
			return err_set(reading->err, ERR_INPUT, "%s:%u:%u: %s is not supported", reading->name,
			    node->mark.line, node->mark.column, unsupported[i]);
	}
	int code =
	    take_data(reading, user, "client-certificate-data", "client-certificate", &config->cert_pem, &files->cert);
	if (!code)
		code = take_data(reading, user, "client-key-data", "client-key", &config->key_pem, &files->key);
	if (!code)
		code = take_text(reading, user, "token", &config->token);
	if (!code)
		code = take_text(reading, user, "tokenFile", &config->token_file);
	if (!code && (config->cert_pem || files->cert) != (config->key_pem || files->key))
		return refuse(reading, user, "client-certificate and client-key are needed together");
	const struct yaml_node *exec = yaml_get(user, "exec");
	return code || !exec ? code : take_exec(reading, exec);
}

static int take_context(struct reading *reading)
{
	const struct yaml_node *context, *entry;
	const char *name = NULL;

	for (size_t i = 0; i < reading->count && (!name || !*name); i++)
		name = yaml_text(yaml_get(reading->documents[i].root, "current-context"));
	if (!name || !*name)
		return err_set(
		    reading->err, ERR_INPUT, "%s:1:1: there is no current-context", reading->documents[0].name);
	int code = find_entry(reading, "contexts", "context", name, &context);
	if (code)
		return code;
	const char *cluster = yaml_text(yaml_get(context, "cluster")), *user = yaml_text(yaml_get(context, "user"));
	if (!cluster || !*cluster)
		return refuse(reading, context, "the context names no cluster");
	code = find_entry(reading, "clusters", "cluster", cluster, &entry);
	reading->files->cluster_in = reading->name;
	if (!code)
		code = take_cluster(reading, entry);
	if (code || !user || !*user)
		return code;
	code = find_entry(reading, "users", "user", user, &entry);
	reading->files->user_in = reading->name;
	return code ? code : take_user(reading, entry);
}

static int parse_document(
    struct arena *arena, const struct kubeconfig_text *text, struct document *document, struct err *err)
{
	struct yaml_node *root;
	struct yaml_mark mark = {0};

	if (yaml_parse(arena, text->text, &root, &mark, err) != 0)
		return err_wrap(err, "%s:%u:%u", text->name, mark.line, mark.column);
	if (root && root->type != YAML_MAP)
		return err_set(
		    err, ERR_INPUT, "%s:%u:%u: this is no kubeconfig", text->name, root->mark.line, root->mark.column);
	*document = (struct document){text->name, root};
	return 0;
}

int kubeconfig_parse(const struct kubeconfig_text *texts, size_t count, struct kube_config *config,
    struct kubeconfig_files *files, struct err *err)
{
	struct document *documents = xcalloc(count, sizeof(*documents));
	struct reading reading = {.documents = documents, .count = count, .config = config, .files = files, .err = err};
	struct arena arena;
	int code = 0;

	memset(config, 0, sizeof(*config));
	memset(files, 0, sizeof(*files));
	arena_init(&arena, 16384);
	for (size_t i = 0; i < count && !code; i++)
		code = parse_document(&arena, &texts[i], &documents[i], err);
	if (!code)
		code = take_context(&reading);
	arena_free(&arena);
	free(documents);
	return code;
}

void kubeconfig_files_free(struct kubeconfig_files *files)
{
	free(files->ca);
	free(files->cert);
	free(files->key);
	memset(files, 0, sizeof(*files));
}

void kubeconfig_texts_free(char **texts)
{
	for (size_t i = 0; texts && texts[i]; i++)
		free(texts[i]);
	free(texts);
}
