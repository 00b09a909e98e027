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
#define TOKEN_FILE_RETRY_NS NS_PER_S     /* while there is no token at all */
#define EXPIRY_MARGIN_NS (60 * NS_PER_S) /* a plugin runs again this long before its credential expires */
#define EXPIRY_MARGIN_PART 4             /* or, if that is less, when this part of its time is left */
#define EXEC_RETRY_FIRST_NS NS_PER_S     /* also the least time from one run to the next, whatever a run gave */
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
	int64_t plugin_margin_ns;
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
	bool failed_before = credentials->err.code != 0;
	int code = file_read(path, &text, &credentials->err);
	while (!code && text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
		text.data[--text.len] = '\0';
	if (!code && text.len == 0)
		code = err_set(&credentials->err, ERR_INPUT, "the token file %s is empty", path);
	if (code) {
		/* The last one read goes on being used. */
		if (!failed_before)
			log_warn("no token", "error=%s", log_quote(credentials->err.text));
		buf_free(&text);
		return;
	}
	credentials->err.code = 0;
	if ((!credentials->token || strcmp(text.data, credentials->token) != 0)) {
		free_secret(credentials->token);
		credentials->token = xstrdup(text.data);
		credentials->generation++;
	}
	explicit_bzero(text.data, text.len);
	buf_free(&text);
}

static bool token_file_usable(struct credentials *credentials)
{
	bool has_token = credentials->token || credentials->config->token;
	int64_t age_ns = clock_now() - credentials->token_read_ns;

	if (!credentials->token_was_read || age_ns >= (has_token ? TOKEN_FILE_AGE_NS : TOKEN_FILE_RETRY_NS))
		read_token_file(credentials);
	/* Without one the server would only say that it does not know us. */
	return credentials->token || credentials->config->token;
}

/* --- plugin --- */

static bool differ(const char *a, const char *b)
{
	return !a != !b || (a && strcmp(a, b) != 0);
}

static void plugin_failed(struct credentials *credentials, const char *reason)
{
	err_set(&credentials->err, ERR_REFUSED, "%s", reason);
	credentials->run_after_ns = clock_now() + backoff_ns(&credentials->jitter, credentials->failures++,
	                                              EXEC_RETRY_FIRST_NS, EXEC_RETRY_MAX_NS);
	log_warn("no credentials", "error=%s", log_quote(reason));
}

static void plugin_gave(struct credentials *credentials, struct exec_credential *credential, int64_t left_ns)
{
	if (differ(credential->cert_pem, credentials->plugin.cert_pem) ||
	    differ(credential->key_pem, credentials->plugin.key_pem))
		credentials->cert_generation++;
	exec_credential_free(&credentials->plugin);
	credentials->plugin = *credential;
	credentials->plugin_given = true;
	credentials->plugin_stale = false;
	credentials->plugin_margin_ns =
	    left_ns / EXPIRY_MARGIN_PART < EXPIRY_MARGIN_NS ? left_ns / EXPIRY_MARGIN_PART : EXPIRY_MARGIN_NS;
	credentials->generation++;
	credentials->failures = 0;
	credentials->err.code = 0;
	/* A server that says no to it, or a very short time, must not keep the machine busy with runs. */
	credentials->run_after_ns = clock_now() + EXEC_RETRY_FIRST_NS;
}

static int64_t time_left(const struct exec_credential *credential)
{
	return credential->expires_wall_ns ? credential->expires_wall_ns - clock_wall() : INT64_MAX;
}

static void plugin_done(void *ctx, struct exec_credential *credential, const struct err *err)
{
	struct credentials *credentials = ctx;

	credentials->run = NULL;
	if (!credential) {
		plugin_failed(credentials, err->text);
	} else if (time_left(credential) <= 0) {
		plugin_failed(credentials, "the credential plugin gave one that has expired already");
		exec_credential_free(credential);
	} else {
		plugin_gave(credentials, credential, time_left(credential));
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
	int64_t left_ns = credentials->plugin_given ? time_left(&credentials->plugin) : 0;
	bool usable = !credentials->plugin_stale && left_ns > 0;

	if (!usable || left_ns < credentials->plugin_margin_ns)
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
	return !credentials->config->token_file || token_file_usable(credentials);
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
