#include "kube/exec.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/reader.h"
#include "kube/base64.h"

#define EXEC_INFO_MAX (4u << 20)

extern char **environ;

/* --- what a plugin says --- */

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void exec_credential_free(struct exec_credential *credential)
{
	free_secret(credential->token);
	free(credential->cert_pem);
	free_secret(credential->key_pem);
	memset(credential, 0, sizeof(*credential));
}

/* The text of a member, to be freed; NULL when it is empty or holds a NUL. */
static char *text_of(struct reader *json)
{
	struct slice raw = {"", 0};

	if (!reader_string(json, &raw) || raw.len == 0)
		return NULL;
	char *text = xmalloc(raw.len + 1);
	size_t len = reader_unescape(raw, text);
	text[len] = '\0';
	if (strlen(text) == len)
		return text;
	free(text);
	return NULL;
}

static void replace(char **text, struct reader *json)
{
	free_secret(*text);
	*text = text_of(json);
}

static void read_status(struct reader *json, struct exec_credential *credential, bool *bad_time)
{
	struct slice key, time;

	if (!reader_object(json))
		return;
	while (reader_key(json, &key)) {
		if (slice_is(key, "token"))
			replace(&credential->token, json);
		else if (slice_is(key, "clientCertificateData"))
			replace(&credential->cert_pem, json);
		else if (slice_is(key, "clientKeyData"))
			replace(&credential->key_pem, json);
		else if (slice_is(key, "expirationTimestamp") && reader_peek(json) == READER_STRING)
			*bad_time = !reader_string(json, &time) || !clock_parse(time, &credential->expires_wall_ns);
		else
			reader_skip(json);
	}
}

int exec_credential_decode(
    struct slice text, const char *api_version, struct exec_credential *credential, struct err *err)
{
	struct slice key, version = {"", 0};
	struct reader json;
	bool bad_time = false;

	memset(credential, 0, sizeof(*credential));
	reader_open(&json, text);
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json)) {
		while (reader_key(&json, &key)) {
			if (slice_is(key, "apiVersion"))
				reader_string(&json, &version);
			else if (slice_is(key, "status"))
				read_status(&json, credential, &bad_time);
			else
				reader_skip(&json);
		}
	}
	const char *reason = NULL;
	if (!reader_close(&json))
		reason = "its output is no JSON";
	else if (!slice_is(version, api_version))
		reason = "its output has another apiVersion";
	else if (bad_time)
		reason = "its expirationTimestamp is no RFC 3339 time";
	else if (!credential->cert_pem != !credential->key_pem)
		reason = "clientCertificateData and clientKeyData are needed together";
	else if (!credential->token && !credential->cert_pem)
		reason = "its output has neither token nor certificate";
	if (!reason)
		return 0;
	exec_credential_free(credential);
	return err_set(err, ERR_INPUT, "%s", reason);
}

/* --- running it --- */

struct exec_run {
	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t timer;
	unsigned handles;
	bool exited, ended, late, running;
	int64_t exit_status;
	int signal, spawn_code;
	struct buf output;
	char piece[16384];
	char *command, *api_version;
	exec_done *done;
	void *ctx;
};

static void handle_closed(uv_handle_t *handle)
{
	struct exec_run *run = handle->data;

	if (--run->handles > 0)
		return;
	if (run->output.data)
		explicit_bzero(run->output.data, run->output.room);
	explicit_bzero(run->piece, sizeof(run->piece));
	buf_free(&run->output);
	free(run->command);
	free(run->api_version);
	free(run);
}

static void close_once(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, handle_closed);
}

static int judge(struct exec_run *run, struct exec_credential *credential, struct err *err)
{
	if (run->spawn_code)
		return err_set(err, ERR_SYSTEM, "%s", uv_strerror(run->spawn_code));
	if (run->late)
		return err_set(err, ERR_UNREACHABLE, "it did not end in time");
	if (run->output.overflow)
		return err_set(err, ERR_TOO_LARGE, "its output is too large");
	if (run->signal)
		return err_set(err, ERR_SYSTEM, "it was ended by signal %d", run->signal);
	if (run->exit_status)
		return err_set(err, ERR_REFUSED, "it exited with %lld", (long long)run->exit_status);
	return exec_credential_decode(buf_slice(&run->output), run->api_version, credential, err);
}

static void finish(struct exec_run *run)
{
	struct exec_credential credential = {0};
	struct err err = {0};

	close_once((uv_handle_t *)&run->timer);
	close_once((uv_handle_t *)&run->pipe);
	close_once((uv_handle_t *)&run->process);
	exec_done *done = run->done;
	run->done = NULL;
	if (!done)
		return;
	int code = judge(run, &credential, &err);
	if (code)
		err_wrap(&err, "credential plugin %s", run->command);
	done(run->ctx, code ? NULL : &credential, code ? &err : NULL);
}

static void exited(uv_process_t *process, int64_t exit_status, int signal)
{
	struct exec_run *run = process->data;

	run->exited = true;
	run->running = false;
	run->exit_status = exit_status;
	run->signal = signal;
	/* A child of the plugin may keep the pipe open for ever: after a kill nothing more is waited for. */
	if (run->ended || run->late || run->output.overflow)
		finish(run);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct exec_run *run = handle->data;

	(void)suggested;
	*out = uv_buf_init(run->piece, sizeof(run->piece));
}

static void output_came(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
	struct exec_run *run = stream->data;

	if (len > 0) {
		buf_add(&run->output, bytes->base, (size_t)len);
		if (run->output.overflow && run->running)
			uv_process_kill(&run->process, SIGKILL);
		return;
	}
	if (len == 0)
		return;
	uv_read_stop(stream);
	run->ended = true;
	if (run->exited)
		finish(run);
}

static void timed_out(uv_timer_t *timer)
{
	struct exec_run *run = timer->data;

	if (run->spawn_code || run->exited) {
		run->late = !run->spawn_code;
		finish(run);
		return;
	}
	run->late = true;
	uv_process_kill(&run->process, SIGKILL);
}

/* KUBERNETES_EXEC_INFO, by which a plugin learns what is asked of it. */
static char *exec_info(const struct kube_config *config)
{
	struct buf text;

	buf_init(&text, EXEC_INFO_MAX);
	buf_printf(&text, "KUBERNETES_EXEC_INFO={\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\",\"spec\":{",
	    config->exec->api_version);
	if (config->exec->provide_cluster_info) {
		buf_text(&text, "\"cluster\":{\"server\":");
		buf_json_string(&text, slice_of(config->server));
		if (config->server_name) {
			buf_text(&text, ",\"tls-server-name\":");
			buf_json_string(&text, slice_of(config->server_name));
		}
		if (config->insecure)
			buf_text(&text, ",\"insecure-skip-tls-verify\":true");
		if (config->ca_pem) {
			char *encoded = base64_encode(slice_of(config->ca_pem));
			buf_printf(&text, ",\"certificate-authority-data\":\"%s\"", encoded);
			free(encoded);
		}
		buf_text(&text, "},");
	}
	buf_text(&text, "\"interactive\":false}}");
	return buf_take(&text);
}

static bool same_variable(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");
	return strncmp(a, b, len) == 0 && b[len] == '=';
}

/* The environment with the plugin's own settings put first; the texts are borrowed. To be freed. */
static char **environment(const struct kube_exec *exec, char *info)
{
	size_t count = 2, own = 0;

	for (char **at = environ; *at; at++)
		count++;
	for (char **at = exec->env; at && *at; at++)
		count++;
	char **env = xcalloc(count, sizeof(*env));
	env[own++] = info;
	for (char **at = exec->env; at && *at; at++)
		env[own++] = *at;
	size_t all = own;
	for (char **at = environ; *at; at++) {
		bool replaced = false;
		for (size_t i = 0; i < own; i++)
			replaced |= same_variable(env[i], *at);
		if (!replaced)
			env[all++] = *at;
	}
	return env;
}

static char **arguments(const struct kube_exec *exec)
{
	size_t count = 0;

	while (exec->args && exec->args[count])
		count++;
	char **args = xcalloc(count + 2, sizeof(*args));
	args[0] = exec->command;
	for (size_t i = 0; i < count; i++)
		args[i + 1] = exec->args[i];
	return args;
}

struct exec_run *exec_start(
    uv_loop_t *loop, const struct kube_config *config, unsigned timeout_ms, exec_done *done, void *ctx)
{
	struct exec_run *run = xcalloc(1, sizeof(*run));

	run->done = done;
	run->ctx = ctx;
	run->command = xstrdup(config->exec->command);
	run->api_version = xstrdup(config->exec->api_version);
	buf_init(&run->output, EXEC_OUTPUT_MAX);
	run->process.data = run->pipe.data = run->timer.data = run;
	run->handles = 3;
	uv_pipe_init(loop, &run->pipe, 0);
	uv_timer_init(loop, &run->timer);
	char *info = exec_info(config);
	char **env = environment(config->exec, info), **args = arguments(config->exec);
	/* What a plugin has to say to people goes to our own standard error. */
	uv_stdio_container_t stdio[3] = {
	    {.flags = UV_IGNORE},
	    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&run->pipe},
	    {.flags = UV_INHERIT_FD, .data.fd = 2},
	};
	uv_process_options_t options = {
	    .exit_cb = exited,
	    .file = config->exec->command,
	    .args = args,
	    .env = env,
	    .stdio_count = 3,
	    .stdio = stdio,
	};
	run->spawn_code = uv_spawn(loop, &run->process, &options);
	if (run->spawn_code == 0) {
		run->running = true;
		uv_read_start((uv_stream_t *)&run->pipe, give_room, output_came);
	}
	uv_timer_start(&run->timer, timed_out, run->spawn_code ? 0 : timeout_ms, 0);
	free(args);
	free(env);
	free(info);
	return run;
}

void exec_cancel(struct exec_run *run)
{
	run->done = NULL;
	if (!run->running) {
		finish(run);
		return;
	}
	/* Its end is waited for, so that no zombie stays. */
	run->ended = true;
	uv_read_stop((uv_stream_t *)&run->pipe);
	uv_timer_stop(&run->timer);
	uv_process_kill(&run->process, SIGKILL);
}
