/* The one key of the policy that the guard obeys. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "guard/guard_internal.h"
#include "policy/load.h"

#define LINE_BYTES_MAX 4096

/* Takes `error` over. */
static void keep_last(struct guard *guard, char *error)
{
	log_error("the policy cannot be used, the last releaseAfter stays in force", "error=%s", log_quote(error));
	free(guard->policy_error);
	guard->policy_error = error;
}

static void take(struct guard *guard, struct slice text)
{
	struct policy_report report;
	/* Which GPU models there are is berth's concern. */
	struct policy *policy = policy_load(text, NULL, &report);
	if (policy) {
		guard->release_after_ns = policy->release_after_ns;
		free(guard->policy_error);
		guard->policy_error = NULL;
		log_info("policy in force", "file=%s releaseAfter=%llds", guard->policy_file,
		    (long long)(guard->release_after_ns / NS_PER_S));
		policy_free(policy);
	} else {
		struct buf line;
		buf_init(&line, LINE_BYTES_MAX);
		policy_report_line(&report, guard->policy_file, &line);
		keep_last(guard, xstrdup(line.overflow || line.len == 0 ? "not valid" : line.data));
		buf_free(&line);
	}
	policy_report_free(&report);
}

void guard_look_at_policy(struct guard *guard)
{
	struct buf text;
	struct err err;
	if (!guard->policy_file)
		return;
	buf_init(&text, POLICY_TEXT_MAX);
	if (file_read(guard->policy_file, &text, &err) != 0) {
		if (guard->policy_hash != 0 || !guard->policy_error)
			keep_last(guard, xstrdup(err.text));
		guard->policy_hash = 0;
	} else if (map_hash(buf_slice(&text)) != guard->policy_hash) {
		guard->policy_hash = map_hash(buf_slice(&text));
		take(guard, buf_slice(&text));
	}
	buf_free(&text);
}
