#include "kube/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "kube/backoff.h"
#include "kube/exec.h"

#define TOKEN_MAX (64u << 10)
#define TOKEN_FILE_AGE_NS (60 * NS_PER_S)
#define EXPIRY_MARGIN_NS (60 * NS_PER_S) /* a plugin runs again this long before its credential expires */
#define EXEC_RETRY_FIRST_NS NS_PER_S
#define EXEC_RETRY_MAX_NS (10 * NS_PER_S)

struct credentials {
	uv_loop_t *loop;
	const struct kube_config *config;
	void (*changed)(void *ctx);
	void *ctx;
	struct jitter jitter;

	char *token; /* of the token file */
	int64_t token_read_ns;
	bool token_was_read;

	struct exec_credential plugin;
	bool plugin_given, plugin_stale; /* stale: the server said no to it */
	struct exec_run *run;
	unsigned failures;
	int64_t run_after_ns;
	unsigned generation, cert_generation;
	struct err err;
};

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* --- token file --- */

static void read_token_file(struct credentials *credentials)
{
	const char *path = credentials->config->token_file;
	struct buf text;

	credentials->token_read_ns = clock_now();
	credentials->token_was_read = true;
	buf_init(&text, TOKEN_MAX);
	if (file_read(path, &text, &credentials->err) != 0) {
		/* The last one read goes on being used. */
		log_warn("the token file cannot be read", "file=\"%s\"", path);
		buf_free(&text);
		return;
	}
	while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
		text.data[--text.len] = '\0';
	credentials->err.code = 0;
	if (text.len > 0 && (!credentials->token || strcmp(text.data, credentials->token) != 0)) {
		free_secret(credentials->token);
		credentials->token = xstrdup(text.data);
		credentials->generation++;
	}
	if (text.data)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
}

/* --- plugin --- */

static bool differ(const char *a, const char *b)
{
	return !a != !b || (a && strcmp(a, b) != 0);
}

static void plugin_done(void *ctx, struct exec_credential *credential, const struct err *err)
{
	struct credentials *credentials = ctx;

	credentials->run = NULL;
	if (credential) {
		if (differ(credential->cert_pem, credentials->plugin.cert_pem) ||
		    differ(credential->key_pem, credentials->plugin.key_pem))
			credentials->cert_generation++;
		exec_credential_free(&credentials->plugin);
		credentials->plugin = *credential;
		credentials->plugin_given = true;
		credentials->plugin_stale = false;
		credentials->generation++;
		credentials->failures = 0;
		credentials->err.code = 0;
		credentials->run_after_ns = 0;
	} else {
		credentials->err = *err;
		credentials->run_after_ns = clock_now() + backoff_ns(&credentials->jitter, credentials->failures++,
		                                              EXEC_RETRY_FIRST_NS, EXEC_RETRY_MAX_NS);
		log_warn("no credentials", "error=\"%s\"", err->text);
	}
	credentials->changed(credentials->ctx);
}

static void run_plugin(struct credentials *credentials)
{
	if (!credentials->run && clock_now() >= credentials->run_after_ns)
		credentials->run =
		    exec_start(credentials->loop, credentials->config, EXEC_TIMEOUT_MS, plugin_done, credentials);
}

static bool plugin_usable(struct credentials *credentials)
{
	int64_t left_ns = INT64_MAX;

	if (credentials->plugin_given && credentials->plugin.expires_wall_ns)
		left_ns = credentials->plugin.expires_wall_ns - clock_wall();
	bool usable = credentials->plugin_given && !credentials->plugin_stale && left_ns > 0;
	if (!usable || left_ns < EXPIRY_MARGIN_NS)
		run_plugin(credentials);
	return usable;
}

/* --- */

struct credentials *credentials_open(
    uv_loop_t *loop, const struct kube_config *config, void (*changed)(void *ctx), void *ctx)
{
	struct credentials *credentials = xcalloc(1, sizeof(*credentials));

	credentials->loop = loop;
	credentials->config = config;
	credentials->changed = changed;
	credentials->ctx = ctx;
	jitter_seed(&credentials->jitter, (uint64_t)clock_now());
	return credentials;
}

void credentials_close(struct credentials *credentials)
{
	if (credentials->run)
		exec_cancel(credentials->run);
	exec_credential_free(&credentials->plugin);
	free_secret(credentials->token);
	free(credentials);
}

bool credentials_ready(struct credentials *credentials)
{
	if (credentials->config->exec)
		return plugin_usable(credentials);
	if (credentials->config->token_file &&
	    (!credentials->token_was_read || clock_now() - credentials->token_read_ns >= TOKEN_FILE_AGE_NS))
		read_token_file(credentials);
	return true;
}

const char *credentials_token(struct credentials *credentials)
{
	if (credentials->plugin_given && credentials->plugin.token)
		return credentials->plugin.token;
	return credentials->token ? credentials->token : credentials->config->token;
}

const char *credentials_cert(const struct credentials *credentials)
{
	return credentials->plugin.cert_pem ? credentials->plugin.cert_pem : credentials->config->cert_pem;
}

const char *credentials_key(const struct credentials *credentials)
{
	return credentials->plugin.key_pem ? credentials->plugin.key_pem : credentials->config->key_pem;
}

unsigned credentials_generation(const struct credentials *credentials)
{
	return credentials->generation;
}

unsigned credentials_cert_generation(const struct credentials *credentials)
{
	return credentials->cert_generation;
}

bool credentials_expired(struct credentials *credentials, unsigned generation)
{
	if (generation != credentials->generation)
		return true;
	if (credentials->config->exec) {
		credentials->plugin_stale = true;
		run_plugin(credentials);
		return true;
	}
	if (!credentials->config->token_file)
		return false;
	read_token_file(credentials);
	return generation != credentials->generation;
}

const char *credentials_error(const struct credentials *credentials)
{
	return credentials->err.code ? credentials->err.text : NULL;
}
