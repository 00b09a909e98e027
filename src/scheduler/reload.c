/* The policy file: read at the start, where a bad one is final, and looked at again twice a second, where a bad one
 * changes nothing but what is said about it. Reading the bytes, not the times, makes it indifferent to how a file is
 * replaced (kubelet swaps a symlink). */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "scheduler/gang/gang.h"
#include "scheduler/move/move.h"
#include "scheduler/repartition/repartition.h"
#include "scheduler/signal/signal.h"
#include "scheduler/team/team.h"

#define LOOK_MS 500
#define LINE_MAX_BYTES 1024

static void set_error(struct policy_file *file, char *error)
{
	free(file->error);
	file->error = error;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int read_file(struct policy_file *file, struct buf *text, struct err *err)
{
	buf_init(text, POLICY_TEXT_MAX);
	if (file_read(file->path, text, err) != 0) {
		buf_free(text);
		return err->code;
	}
	return 0;
}

static void put_in_force(struct scheduler *s, struct policy *policy)
{
	struct policy *old = s->policy.inforce;
	bool expected = old && old->expects;
	struct signal_follow follows[POLICY_HEADROOMS_MAX];
	s->policy.inforce = policy;
	s->policy.loaded_wall = clock_wall();
	set_error(&s->policy, NULL);
	gang_reserve_drop(s);
	moves_drop_search(s); /* it goes by the classes of the one before */
	memcpy(follows, s->fleet->follows, sizeof follows);
	fleet_set_policy(s->fleet, policy);
	if (old)
		signals_keep_follows(s, old, follows);
	moves_policy(s);
	gang_policy(s);
	gang_node_lost(s); /* a health rule may avoid others now */
	team_follow(s);
	signals_policy(s, old);
	metric_set(s->instruments.reload_success, 1, NULL);
	metric_set(s->instruments.reload_time, (double)s->policy.loaded_wall / (double)NS_PER_S, NULL);
	metric_reset(s->instruments.policy_info);
	metric_set(s->instruments.policy_info, 1, policy->hash, NULL);
	runs_policy(s, expected);
	promises_policy(s);
	quarantine_rules_changed(s);
	headroom_rules_changed(s);
	repartition_soon(s);
	if (old) {
		gang_sweep(s); /* classes that are gated no more */
		policy_free(old);
	}
	log_info("policy in force", "file=%s hash=%s pools=%zu classes=%zu", s->policy.path, policy->hash,
	    policy->pool_count, policy->class_count);
}

/* Said where people look at a cluster, too; losing it is no loss, the log and /readyz have it. */
static void emit(struct scheduler *s, const char *line)
{
	kube_emit(s->kube,
	    &(struct kube_event){.api_version = "berth.dev/v1alpha1",
	        .kind = "PlacementPolicy",
	        .namespace_ = s->policy.namespace_,
	        .name = base_name(s->policy.path),
	        .type = "Warning",
	        .reason = "PolicyNotReloaded",
	        .action = "Reload",
	        .note = line},
	    NULL, NULL);
}

static void refuse(struct scheduler *s, const char *line)
{
	set_error(&s->policy, xstrdup(line));
	metric_set(s->instruments.reload_success, 0, NULL);
	emit(s, line);
	log_error("policy not reloaded, the last good one stays in force", "error=%s", log_quote(line));
}

int reload_first(struct scheduler *s, const char *path, struct err *err)
{
	struct policy_report report;
	struct buf text, shown;
	s->policy.path = xstrdup(path);
	if (read_file(&s->policy, &text, err) != 0)
		return err_wrap(err, "cannot read the policy");
	s->policy.bytes_hash = map_hash(buf_slice(&text));
	struct policy *policy = policy_load(buf_slice(&text), &s->catalogue->gpus, &report);
	buf_init(&shown, 4 * POLICY_TEXT_MAX);
	policy_report_text(&report, path, buf_slice(&text), isatty(2) && !getenv("NO_COLOR"), &shown);
	if (shown.len > 0)
		fputs(shown.data, stderr);
	if (policy)
		put_in_force(s, policy);
	else
		err_set(err, ERR_INPUT, "the policy %s is not valid", path);
	policy_report_free(&report);
	buf_free(&shown);
	buf_free(&text);
	return policy ? 0 : err->code;
}

static void look(struct scheduler *s)
{
	struct policy_report report;
	struct err err;
	struct buf text, line;
	if (read_file(&s->policy, &text, &err) != 0) {
		if (!s->policy.error || s->policy.bytes_hash != 0)
			refuse(s, err.text);
		s->policy.bytes_hash = 0;
		return;
	}
	uint64_t hash = map_hash(buf_slice(&text));
	if (hash != s->policy.bytes_hash) {
		s->policy.bytes_hash = hash;
		buf_init(&line, LINE_MAX_BYTES * 4);
		struct policy *policy = policy_load(buf_slice(&text), &s->catalogue->gpus, &report);
		if (policy) {
			put_in_force(s, policy);
			wake_soon(s, REASON_CODE_WAKE_POLICY);
		} else {
			policy_report_line(&report, base_name(s->policy.path), &line);
			refuse(s, line.data ? line.data : "not valid");
		}
		policy_report_free(&report);
		buf_free(&line);
	}
	buf_free(&text);
}

void reload_on_timer(uv_timer_t *timer)
{
	struct scheduler *s = timer->data;
	look(s);
	uv_timer_start(timer, reload_on_timer, LOOK_MS, 0);
}

void scheduler_reload(struct scheduler *s)
{
	s->policy.bytes_hash = 0;
	look(s);
}

void reload_close(struct scheduler *s)
{
	if (s->policy.inforce)
		policy_free(s->policy.inforce);
	free(s->policy.error);
	free(s->policy.path);
	free(s->policy.namespace_);
}
