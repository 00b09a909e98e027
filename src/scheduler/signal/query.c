/* Prometheus, asked now and then: GET /api/v1/query, one call a query at most. Whatever goes wrong leaves the last
 * value to grow old. Token and authorities are files that may change: they are read anew each time. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "http/uri.h"
#include "scheduler/signal/internal.h"
#include "scheduler/signal/sample.h"

#define CONNECTIONS 4
#define TIMEOUT_MS 10000
#define URL_MAX (16u << 10) /* a query of 4 KiB, each byte as %XX, and the address */
#define TOKEN_MAX (64u << 10)
#define AUTHORITIES_MAX (1u << 20)
#define PATH_QUERY "/api/v1/query?query="

static const struct policy_signals *named(const struct signals *signals)
{
	return &signals->s->policy.inforce->signals;
}

static unsigned timeout_ms(const struct signals *signals)
{
	int64_t every_ms = named(signals)->every_ns / NS_PER_MS;
	return every_ms < TIMEOUT_MS ? (unsigned)every_ms : TIMEOUT_MS;
}

static void say_all(struct signals *signals, const char *why)
{
	for (size_t i = 0; i < named(signals)->count; i++)
		if (named(signals)->items[i].source == SIGNAL_QUERY)
			signal_trouble(signals, i, why);
}

/* --- the client --- */

static void close_client(struct signals *signals)
{
	for (size_t i = 0; i < POLICY_SIGNALS_MAX; i++) {
		if (signals->asks[i].call)
			http_call_cancel(signals->asks[i].call);
		signals->asks[i].call = NULL;
	}
	if (signals->client)
		http_client_close(signals->client);
	signals->client = NULL;
}

void signal_query_close(struct signals *signals)
{
	close_client(signals);
	signals->ask_ns = 0;
}

/* Others are trusted from now on if the file has changed. */
static int open_client(struct signals *signals, struct err *err)
{
	struct buf pem;
	int code = 0;
	buf_init(&pem, AUTHORITIES_MAX);
	if (named(signals)->ca_file && file_read(named(signals)->ca_file, &pem, err) != 0)
		code = err_wrap(err, "signals.prometheus.caFile");
	uint64_t authorities = map_hash(buf_slice(&pem));
	if (code == 0 && signals->client && authorities != signals->authorities)
		close_client(signals);
	if (code == 0 && !signals->client) {
		struct http_client_options options = {.connections_max = CONNECTIONS,
		    .tls = {.ca_pem = named(signals)->ca_file ? buf_slice(&pem).at : NULL}};
		signals->client = http_client_open(signals->s->loop, &options, err);
		signals->authorities = authorities;
		code = signals->client ? 0 : err->code;
	}
	buf_free(&pem);
	return code;
}

/* --- one query --- */

static bool is_printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= ' ' || text.at[i] == 0x7f)
			return false;
	return text.len > 0;
}

static int read_token(const struct signals *signals, struct buf *token, struct err *err)
{
	if (!named(signals)->token_file)
		return 0;
	if (file_read(named(signals)->token_file, token, err) != 0)
		return err_wrap(err, "signals.prometheus.tokenFile");
	while (token->len > 0 && strchr(" \t\r\n", token->data[token->len - 1]))
		token->data[--token->len] = '\0';
	if (!is_printable(buf_slice(token)))
		return err_set(err, ERR_INPUT, "signals.prometheus.tokenFile: no token");
	return 0;
}

static int read_answer(struct signals *signals, struct signal_ask *ask, struct slice body, struct err *err)
{
	struct signal_sample sample;
	int64_t now = clock_now(), stale = named(signals)->stale_after_ns;
	if (signal_sample_read(body, &sample, err) != 0)
		return err->code;
	if (sample.warned && !ask->warned)
		log_warn("Prometheus warns of its answer", "signal=%s", named(signals)->items[ask->at].name);
	ask->warned = sample.warned;
	if (sample.count == 0)
		return err_set(err, ERR_MISSING, "the query gives no number");
	double late_s = (double)clock_wall() / (double)NS_PER_S - sample.at_s;
	if (late_s * (double)NS_PER_S > (double)stale)
		return err_set(err, ERR_INPUT, "the answer is of %.0f s ago, by this clock", late_s);
	signal_value(signals, ask->at, sample.value, late_s > 0 ? now - (int64_t)(late_s * (double)NS_PER_S) : now);
	return 0;
}

static void answered(void *ctx, const struct http_result *result)
{
	struct signal_ask *ask = ctx;
	struct signals *signals = ask->signals;
	struct err err = {0};
	struct signal_sample said;
	ask->call = NULL;
	if (result->code != 0)
		err_set(&err, ERR_UNREACHABLE, "%s", result->error ? result->error : "no answer");
	else if (result->status == 200)
		read_answer(signals, ask, result->body, &err);
	else if (signal_sample_read(result->body, &said, &err) == 0)
		err_set(&err, ERR_REFUSED, "HTTP %u", result->status);
	else
		err_wrap(&err, "HTTP %u", result->status);
	signal_trouble(signals, ask->at, err.code ? err.text : NULL);
	signals_look(signals->s);
}

static void ask_query(struct signals *signals, size_t at, const char *token)
{
	struct signal_ask *ask = &signals->asks[at];
	struct slice base = slice_of(named(signals)->url);
	struct buf url;
	if (ask->call)
		return;
	while (base.len > 0 && base.at[base.len - 1] == '/')
		base.len--;
	buf_init(&url, URL_MAX);
	buf_add(&url, base.at, base.len);
	buf_text(&url, PATH_QUERY);
	uri_encode(slice_of(named(signals)->items[at].query), &url);
	buf_printf(&url, "&timeout=%ums", timeout_ms(signals));
	*ask = (struct signal_ask){.signals = signals, .at = at, .warned = ask->warned};
	ask->call = http_call(signals->client, &(struct http_call_spec){.method = "GET",
	                                           .url = url.data,
	                                           .bearer = token,
	                                           .answer_max = SIGNAL_ANSWER_MAX,
	                                           .timeout_ms = timeout_ms(signals),
	                                           .done = answered,
	                                           .ctx = ask});
	buf_free(&url);
}

void signal_query_look(struct signals *signals)
{
	int64_t now = clock_now();
	struct err err;
	struct buf token;
	if (!signal_has(signals, SIGNAL_QUERY) || now < signals->ask_ns)
		return;
	signals->ask_ns = now + named(signals)->every_ns;
	buf_init(&token, TOKEN_MAX);
	if (open_client(signals, &err) != 0 || read_token(signals, &token, &err) != 0)
		say_all(signals, err.text);
	else
		for (size_t i = 0; i < named(signals)->count; i++)
			if (named(signals)->items[i].source == SIGNAL_QUERY)
				ask_query(signals, i, token.len ? token.data : NULL);
	if (token.data)
		explicit_bzero(token.data, token.room);
	buf_free(&token);
}
