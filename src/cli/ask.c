#include "cli/ask.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "cli/cli.h"
#include "http/client.h"

#define TIMEOUT_MS 5000
#define ANSWER_MAX ((size_t)64 << 20)
#define URL_MAX ((size_t)1 << 16)

struct asking {
	const char *name, *ops;
	struct http_client *client;
	struct answer *answer;
	int code;
};

static void answered(void *ctx, const struct http_result *result)
{
	struct asking *asking = ctx;
	struct answer *answer = asking->answer;
	json_error_t error;
	if (result->code == 0) {
		answer->status = result->status;
		answer->text = xcalloc(1, result->body.len + 1);
		memcpy(answer->text, result->body.at, result->body.len);
		answer->json = json_loadb(answer->text, result->body.len, JSON_REJECT_DUPLICATES, &error);
	}
	if (json_is_object(answer->json))
		asking->code = EXIT_YES;
	else if (result->code == 0)
		fprintf(stderr, "berth %s: what listens at %s is no berth (status %u)\n", asking->name, asking->ops,
		    result->status);
	else
		fprintf(stderr, "berth %s: no answer from %s: %s\n", asking->name, asking->ops, result->error);
	http_client_close(asking->client);
}

int ask(const char *name, const char *ops, const char *path, struct answer *answer)
{
	struct asking asking = {.name = name, .ops = ops, .answer = answer, .code = EXIT_UNREACHABLE};
	struct err err;
	uv_loop_t loop;
	struct buf url;
	*answer = (struct answer){0};
	buf_init(&url, URL_MAX);
	buf_printf(&url, "http://%s%s", ops, path);
	uv_loop_init(&loop);
	asking.client = url.overflow ? NULL : http_client_open(&loop, &(struct http_client_options){1, {0}}, &err);
	if (asking.client) {
		http_call(asking.client, &(struct http_call_spec){.method = "GET",
		                             .url = url.data,
		                             .answer_max = ANSWER_MAX,
		                             .timeout_ms = TIMEOUT_MS,
		                             .done = answered,
		                             .ctx = &asking});
	} else {
		fprintf(stderr, "berth %s: %s\n", name, url.overflow ? "the question is too long" : err.text);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	buf_free(&url);
	return asking.code;
}

void answer_free(struct answer *answer)
{
	json_decref(answer->json);
	free(answer->text);
	*answer = (struct answer){0};
}

char *ask_escape(const char *text)
{
	struct buf out;
	buf_init(&out, URL_MAX);
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (isalnum(*at) || strchr("-._~/", *at))
			buf_char(&out, (char)*at);
		else
			buf_printf(&out, "%%%02X", *at);
	}
	return buf_take(&out);
}

int ask_options(int argc, char **argv, const char *name, const char *usage, const char **ops, bool *json, bool *done)
{
	static const struct option known[] = {
	    {"output", required_argument, NULL, 'o'},
	    {"ops", required_argument, NULL, 'O'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	*ops = ASK_OPS_DEFAULT;
	*json = *done = false;
	optind = 0;
	for (int option; (option = getopt_long(argc, argv, "o:h", known, NULL)) != -1;) {
		switch (option) {
		case 'o':
			*json = strcmp(optarg, "json") == 0;
			if (!*json && strcmp(optarg, "text") != 0) {
				fprintf(stderr, "berth %s: -o is text or json, not %s\n", name, optarg);
				return EXIT_USAGE;
			}
			break;
		case 'O':
			*ops = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			*done = true;
			return EXIT_YES;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	return EXIT_YES;
}

int ask_and_print(int argc, char **argv, const char *name, const char *usage, void (*print)(const json_t *answer),
    bool (*holds)(const json_t *answer))
{
	struct answer answer;
	const char *ops;
	char path[64];
	bool as_json, done;
	int code = ask_options(argc, argv, name, usage, &ops, &as_json, &done);
	if (code != EXIT_YES || done)
		return code;
	if (optind != argc) {
		fprintf(stderr, "berth %s: unexpected argument %s\n\n%s", name, argv[optind], usage);
		return EXIT_USAGE;
	}
	snprintf(path, sizeof path, "/v1/%s", name);
	code = ask(name, ops, path, &answer);
	if (code == EXIT_YES && answer.status != 200) {
		const json_t *error = json_object_get(answer.json, "error");
		fprintf(stderr, "berth %s: %s\n", name,
		    json_is_string(error) ? json_string_value(error) : "the daemon refused");
		code = EXIT_UNREACHABLE;
	} else if (code == EXIT_YES) {
		if (as_json)
			fputs(answer.text, stdout);
		else
			print(answer.json);
		code = !holds || holds(answer.json) ? EXIT_YES : EXIT_NO;
	}
	answer_free(&answer);
	return code;
}
