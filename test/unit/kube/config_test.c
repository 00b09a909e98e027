#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/alloc.h"
#include "kube/base64.h"
#include "kube/kubeconfig.h"

static void base64(void **state)
{
	static const char *const bad[] = {
	    "=", "a", "ab", "abc", "abcde", "a===", "ab=c", "abc=d", "ab==abcd", "a b=", "ab*=", "aGk", "YWJ=", "YR=="};
	size_t len;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (base64_decode(slice_of(bad[i]), &len))
			fail_msg("\"%s\" was taken", bad[i]);
	char *text = base64_decode(slice_of("aGVs\r\nbG8\n=\n"), &len);
	assert_string_equal(text, "hello");
	assert_int_equal(len, 5);
	free(text);
	text = base64_decode(slice_of(""), &len);
	assert_int_equal(len, 0);
	free(text);
	char bytes[300];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	for (size_t n = 0; n < sizeof(bytes); n++) {
		char *encoded = base64_encode((struct slice){bytes, n});
		char *decoded = base64_decode(slice_of(encoded), &len);
		assert_non_null(decoded);
		assert_int_equal(len, n);
		assert_memory_equal(decoded, bytes, n);
		free(encoded);
		free(decoded);
	}
}

#define HEAD "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
#define CONTEXT                                                                                                        \
	"contexts:\n- name: other\n  context: {cluster: x, user: x}\n- name: here\n  context:\n    cluster: c\n    "   \
	"user: u\n"
#define CLUSTER(members) "clusters:\n- name: c\n  cluster: {" members "}\n"
#define USER(members) "users:\n- name: u\n  user: {" members "}\n"

struct fixture {
	struct kube_config config;
	struct kubeconfig_files files;
	struct err err;
	int code;
};

static struct fixture parse(const char *text)
{
	struct fixture f = {0};
	f.code = kubeconfig_parse(&(struct kubeconfig_text){slice_of(text), "FILE"}, 1, &f.config, &f.files, &f.err);
	return f;
}

static void drop(struct fixture *f)
{
	kube_config_free(&f->config);
	kubeconfig_files_free(&f->files);
}

static void inline_texts(void **state)
{
	(void)state;
	struct fixture f =
	    parse(HEAD CONTEXT CLUSTER("server: 'https://h:6443/path//', certificate-authority-data: Q0E=, "
	                               "certificate-authority: ignored, tls-server-name: name, unknown: [1]")
	            USER("client-certificate-data: Q0VSVA==, client-key-data: S0VZ, token: t, tokenFile: tf"));
	if (f.code)
		fail_msg("%s", f.err.text);
	assert_string_equal(f.config.server, "https://h:6443/path");
	assert_string_equal(f.config.ca_pem, "CA");
	assert_string_equal(f.config.cert_pem, "CERT");
	assert_string_equal(f.config.key_pem, "KEY");
	assert_string_equal(f.config.server_name, "name");
	assert_string_equal(f.config.token, "t");
	assert_string_equal(f.config.token_file, "tf");
	assert_null(f.files.ca);
	assert_false(f.config.insecure);
	drop(&f);
	f = parse("{\"current-context\":\"here\",\"contexts\":[{\"name\":\"here\",\"context\":{\"cluster\":\"c\"}}],"
	          "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://127.0.0.1:8001\"}}]}");
	assert_int_equal(f.code, 0);
	assert_string_equal(f.config.server, "http://127.0.0.1:8001");
	drop(&f);
}

static void exec_plugin(void **state)
{
	(void)state;
	struct fixture f = parse(HEAD CONTEXT CLUSTER(
	    "server: https://h, insecure-skip-tls-verify: true") "users:\n- name: u\n  user:\n    exec:\n      "
	                                                         "apiVersion: client.authentication.k8s.io/v1beta1\n"
	                                                         "      command: ./get-token\n      args: [--region, "
	                                                         "here]\n      env:\n      - {name: A, value: b=c}\n"
	                                                         "      provideClusterInfo: true\n      "
	                                                         "interactiveMode: IfAvailable\n      installHint: buy "
	                                                         "it\n");
	if (f.code)
		fail_msg("%s", f.err.text);
	assert_true(f.config.insecure);
	assert_string_equal(f.config.exec->command, "./get-token");
	assert_string_equal(f.config.exec->args[1], "here");
	assert_null(f.config.exec->args[2]);
	assert_string_equal(f.config.exec->env[0], "A=b=c");
	assert_null(f.config.exec->env[1]);
	assert_true(f.config.exec->provide_cluster_info);
	drop(&f);
}

static void refuse(const char *text, const char *wanted)
{
	struct fixture f = parse(text);
	assert_int_equal(f.code, ERR_INPUT);
	if (!strstr(f.err.text, wanted) || strncmp(f.err.text, "FILE:", 5) != 0)
		fail_msg("\"%s\" instead of \"%s\"", f.err.text, wanted);
	drop(&f);
}

static void refusals(void **state)
{
	(void)state;
	refuse("", "FILE:1:1: there is no current-context");
	refuse("- a\n", "FILE:1:1: this is no kubeconfig");
	refuse("a: [\n", "FILE:");
	refuse("kind: Config\n", "no current-context");
	refuse(HEAD, "no entry \"here\" in contexts");
	refuse(HEAD CONTEXT, "no entry \"c\" in clusters");
	refuse(HEAD CONTEXT CLUSTER("a: b") USER("a: b"), "FILE:13:12: the cluster has no server");
	refuse(HEAD CONTEXT CLUSTER("server: ftp://x") USER("a: b"), "must begin with");
	refuse(HEAD CONTEXT CLUSTER("server: [x]") USER("a: b"), "FILE:13:21: a text is expected");
	refuse(HEAD CONTEXT CLUSTER("server: https://x, proxy-url: http://p") USER("a: b"), "proxy-url");
	refuse(HEAD CONTEXT CLUSTER("server: https://x, certificate-authority-data: '*'") USER("a: b"), "not Base64");
	refuse(HEAD CONTEXT CLUSTER("server: https://x, certificate-authority-data: AAAA") USER("a: b"), "PEM");
	refuse(
	    HEAD CONTEXT CLUSTER("server: https://x, insecure-skip-tls-verify: maybe") USER("a: b"), "true or false");
	refuse(HEAD CONTEXT CLUSTER("server: https://x, insecure-skip-tls-verify: true, certificate-authority: f")
	           USER("a: b"),
	    "beside");
	refuse(HEAD CONTEXT CLUSTER("server: https://x"), "no entry \"u\" in users");
	refuse(HEAD CONTEXT CLUSTER("server: https://x") USER("as: admin"), "as is not supported");
	refuse(HEAD CONTEXT CLUSTER("server: https://x") USER("auth-provider: {name: gcp}"),
	    "auth-provider is not supported");
	refuse(HEAD CONTEXT CLUSTER("server: https://x") USER("client-key: f"), "needed together");
	refuse(HEAD CONTEXT CLUSTER("server: https://x") USER("exec: {apiVersion: client.authentication.k8s.io/v1}"),
	    "command");
	refuse(HEAD CONTEXT CLUSTER("server: https://x") USER("exec: {command: a, apiVersion: v1}"), "apiVersion");
	refuse(HEAD CONTEXT CLUSTER("server: https://x")
	           USER("exec: {command: a, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}"),
	    "terminal");
	refuse(HEAD CONTEXT CLUSTER("server: https://x")
	           USER("exec: {command: a, apiVersion: client.authentication.k8s.io/v1, env: [{name: a}]}"),
	    "a name and a value");
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void remove_file(const char *folder, const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(unlink(path), 0);
}

static void files_beside(void **state)
{
	char folder[] = "/tmp/config_test_XXXXXX", path[256], list[600], text[256];
	struct kube_config config;
	struct err err;
	(void)state;
	assert_non_null(mkdtemp(folder));
	write_file(folder, "ca.crt", "AUTHORITY");
	write_file(folder, "cert", "CERT");
	write_file(folder, "key", "KEY");
	write_file(folder, "config",
	    HEAD CONTEXT CLUSTER("server: https://x, certificate-authority: ca.crt")
	        USER("client-certificate: cert, client-key: ./key, tokenFile: sub/token, exec: {command: bin/get, "
	             "apiVersion: "
	             "client.authentication.k8s.io/v1}"));
	write_file(folder, "broken",
	    HEAD CONTEXT CLUSTER("server: https://x, certificate-authority: nothing") USER("token: t"));
	snprintf(path, sizeof(path), "%s/config", folder);
	int code = kube_config_load(path, &config, &err);
	if (code)
		fail_msg("%s", err.text);
	assert_string_equal(config.ca_pem, "AUTHORITY");
	assert_string_equal(config.cert_pem, "CERT");
	assert_string_equal(config.key_pem, "KEY");
	snprintf(text, sizeof(text), "%s/sub/token", folder);
	assert_string_equal(config.token_file, text);
	snprintf(text, sizeof(text), "%s/bin/get", folder);
	assert_string_equal(config.exec->command, text);
	kube_config_free(&config);
	/* Files that do not exist are passed over. */
	snprintf(list, sizeof(list), "/nowhere::%s:/nowhere", path);
	setenv("KUBECONFIG", list, 1);
	assert_int_equal(kube_config_load(NULL, &config, &err), 0);
	kube_config_free(&config);
	setenv("KUBECONFIG", "/nowhere:/nowhere/else", 1);
	assert_int_equal(kube_config_load(NULL, &config, &err), ERR_MISSING);
	assert_non_null(strstr(err.text, "/nowhere:/nowhere/else"));
	snprintf(path, sizeof(path), "%s/broken", folder);
	assert_int_not_equal(kube_config_load(path, &config, &err), 0);
	assert_non_null(strstr(err.text, "nothing"));
	assert_null(config.server);
	unsetenv("KUBECONFIG");
	/* Inside a pod, but without its secret. */
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	unsetenv("KUBERNETES_SERVICE_PORT");
	assert_int_equal(kube_config_load(NULL, &config, &err), ERR_MISSING);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_not_equal(kube_config_load(NULL, &config, &err), 0);
	assert_non_null(strstr(err.text, "serviceaccount/ca.crt"));
	unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("HOME", folder, 1);
	assert_int_not_equal(kube_config_load(NULL, &config, &err), 0);
	assert_non_null(strstr(err.text, ".kube/config"));
	remove_file(folder, "ca.crt");
	remove_file(folder, "cert");
	remove_file(folder, "key");
	remove_file(folder, "config");
	remove_file(folder, "broken");
	rmdir(folder);
}

/* The files of a list count as one; each names its own files beside itself, and the first to say something wins. */
static void files_in_a_list(void **state)
{
	char folder[] = "/tmp/config_test_XXXXXX", sub[64], list[600], text[256];
	struct kube_config config;
	struct err err;
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(sub, sizeof(sub), "%s/sub", folder);
	assert_int_equal(mkdir(sub, 0700), 0);
	write_file(folder, "contexts", HEAD CONTEXT);
	write_file(folder, "empty", "");
	write_file(
	    sub, "cluster", "current-context: other\n" CLUSTER("server: https://x, certificate-authority: ca.crt"));
	write_file(sub, "ca.crt", "AUTHORITY");
	write_file(folder, "user", USER("tokenFile: token") CLUSTER("server: https://never"));
	write_file(folder, "bad", "\n\nusers: [\n");
	snprintf(list, sizeof(list), "%s/empty:%s/contexts:%s/cluster:%s/user", folder, folder, sub, folder);
	setenv("KUBECONFIG", list, 1);
	if (kube_config_load(NULL, &config, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(config.server, "https://x");
	assert_string_equal(config.ca_pem, "AUTHORITY");
	snprintf(text, sizeof(text), "%s/token", folder);
	assert_string_equal(config.token_file, text);
	kube_config_free(&config);
	snprintf(list, sizeof(list), "%s/contexts:%s/bad", folder, folder);
	setenv("KUBECONFIG", list, 1);
	assert_int_not_equal(kube_config_load(NULL, &config, &err), 0);
	assert_non_null(strstr(err.text, "/bad:"));
	unsetenv("KUBECONFIG");
	static const char *const names[] = {"contexts", "empty", "sub/cluster", "sub/ca.crt", "user", "bad", "sub", ""};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(text, sizeof(text), "%s/%s", folder, names[i]);
		assert_int_equal(remove(text), 0);
	}
}

/* What other programs write without meaning anything by it. */
static void said_in_other_ways(void **state)
{
	(void)state;
	struct fixture f = parse(HEAD CONTEXT CLUSTER("server: https://x, insecure-skip-tls-verify: True")
	        USER("as: '', as-groups: [], as-user-extra: {}, auth-provider: null, token: t"));
	if (f.code)
		fail_msg("%s", f.err.text);
	assert_true(f.config.insecure);
	assert_string_equal(f.config.token, "t");
	drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base64),
	    cmocka_unit_test(inline_texts),
	    cmocka_unit_test(exec_plugin),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(files_beside),
	    cmocka_unit_test(files_in_a_list),
	    cmocka_unit_test(said_in_other_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
