#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/api_internal.h"

#define MESSAGE_MAX 2048

void sim_answer(const struct sim_call *call, unsigned status, char *body, size_t len)
{
	if (call->drop) {
		free(body);
		http_cut(call->http);
	} else if (call->cut) {
		http_stream(call->http, status, NULL, NULL, NULL);
		http_stream_write(call->http, body, len / 2);
		http_cut(call->http);
		free(body);
	} else {
		http_answer(call->http, status, NULL, body, len);
	}
}

static void answer_buf(const struct sim_call *call, unsigned status, struct buf *buf)
{
	size_t len = buf->len;

	sim_answer(call, status, buf_take(buf), len);
}

bool sim_wants_metadata(const struct sim_call *call)
{
	const char *accept = http_header(call->http, "Accept");

	return accept && strstr(accept, "as=PartialObjectMetadata") != NULL;
}

void sim_write_version(struct buf *out, const struct sim_version *version, bool metadata_only)
{
	if (!metadata_only) {
		buf_add(out, version->json.at, version->json.len);
		return;
	}
	buf_text(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":");
	buf_add(out, version->metadata.at, version->metadata.len);
	buf_char(out, '}');
}

void sim_answer_version(const struct sim_call *call, unsigned status, const struct sim_version *version)
{
	struct buf body;

	buf_init(&body, 2 * SIM_OBJECT_MAX);
	sim_write_version(&body, version, sim_wants_metadata(call));
	answer_buf(call, status, &body);
}

void sim_answer_tree(const struct sim_call *call, unsigned status, const json_t *tree)
{
	char *text = json_dumps(tree, JSON_COMPACT);

	sim_answer(call, status, text, strlen(text));
}

static const char *usual_reason(unsigned code)
{
	switch (code) {
	case 400:
		return "BadRequest";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "NotFound";
	case 405:
		return "MethodNotAllowed";
	case 409:
		return "Conflict";
	case 410:
		return "Expired";
	case 413:
		return "RequestEntityTooLarge";
	case 415:
		return "UnsupportedMediaType";
	case 422:
		return "Invalid";
	case 429:
		return "TooManyRequests";
	case 503:
		return "ServiceUnavailable";
	case 504:
		return "Timeout";
	default:
		return "InternalError";
	}
}

void sim_status_text(struct buf *out, unsigned code, const char *reason, const char *message)
{
	bool success = code < 300;

	buf_printf(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"%s\"",
	    success ? "Success" : "Failure");
	if (*message) {
		buf_text(out, ",\"message\":");
		buf_json_string(out, slice_of(message));
	}
	if (!success)
		buf_printf(out, ",\"reason\":\"%s\"", reason ? reason : usual_reason(code));
	buf_printf(out, ",\"code\":%u}", code);
}

static void answer_message(
    const struct sim_call *call, unsigned code, const char *reason, const char *format, va_list args)
{
	char message[MESSAGE_MAX];
	struct buf body;

	vsnprintf(message, sizeof message, format, args);
	buf_init(&body, 8 * MESSAGE_MAX);
	sim_status_text(&body, code, reason, message);
	if (code >= 400)
		call->api->stats.refused++;
	answer_buf(call, code, &body);
}

void sim_answer_status(const struct sim_call *call, unsigned code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer_message(call, code, NULL, format, args);
	va_end(args);
}

void sim_answer_reason(const struct sim_call *call, unsigned code, const char *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer_message(call, code, reason, format, args);
	va_end(args);
}

void sim_answer_not_found(const struct sim_call *call)
{
	const char *plural = sim_resources[call->route.resource].plural;

	sim_answer_status(call, 404, "%s \"%s\" not found", plural, call->route.name);
}
