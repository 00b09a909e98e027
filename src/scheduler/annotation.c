/* What stands in the Binding beside the node: berth.dev/decision, version 1, a JSON object inside a JSON string; and
 * the plan of a gang's member that kube-scheduler asked about before it was written onto the pod. */
#include "base/reader.h"
#include "scheduler/gang/gang.h"

#define DECISION_MAX 4096

static void write_devices(const struct ledger_entry *entry, struct buf *out)
{
	if (entry->device_count == 0)
		return; /* which GPU it is, kubelet decides */
	buf_text(out, ",\"devices\":[");
	for (size_t i = 0; i < entry->device_count; i++)
		buf_printf(out, "%s{\"index\":%d,\"milli\":%d}", i ? "," : "", (int)entry->devices[i].index,
		    (int)entry->devices[i].milli);
	buf_char(out, ']');
}

void annotation_write(
    const struct scheduler *s, const struct pod *pod, const struct ledger_entry *entry, struct buf *out)
{
	enum reason why;
	struct buf decision;
	const struct policy *policy = s->policy.inforce;
	const struct policy_class *class_ = policy_class_of(policy, pod, &why);
	buf_init(&decision, DECISION_MAX);
	buf_text(&decision, "{\"version\":1,\"class\":");
	buf_json_string(&decision, slice_of(class_ ? class_->name : ""));
	if (entry->node->pool != POOL_NONE) {
		buf_text(&decision, ",\"pool\":");
		buf_json_string(&decision, slice_of(policy->pools[entry->node->pool].name));
	}
	buf_printf(&decision, ",\"policy\":\"%s\"", policy->hash);
	const struct gang_member *member = gangs_find(s->gangs, slice_of(pod->uid));
	if (member) {
		buf_text(&decision, ",\"gang\":");
		buf_json_string(&decision, slice_of(member->gang->name));
		buf_text(&decision, ",\"plan\":");
		buf_json_string(&decision, slice_of(member->gang->plan));
	}
	write_devices(entry, &decision);
	buf_char(&decision, '}');
	buf_text(out, "{\"berth.dev/decision\":");
	buf_json_string(out, buf_slice(&decision));
	if (member && !member->told) {
		buf_char(out, ',');
		gang_plan_member(member, entry->node->name, out);
	}
	buf_char(out, '}');
	buf_free(&decision);
}

static void show_text(const char *name, struct slice raw, struct buf *out)
{
	if (raw.len > 0)
		buf_printf(out, "\"%s\":\"%.*s\",", name, (int)raw.len, raw.at); /* escaped as it was read */
}

void annotation_show(const struct scheduler *s, const char *decision, struct buf *out)
{
	struct reader json;
	struct slice key, class_ = {NULL, 0}, pool = {NULL, 0}, policy = {NULL, 0};
	int64_t version = 0;
	reader_open(&json, slice_of(decision));
	if (reader_peek(&json) == READER_OBJECT && reader_object(&json))
		while (reader_key(&json, &key)) {
			if (slice_is(key, "version"))
				reader_int(&json, &version);
			else if (slice_is(key, "class"))
				reader_string(&json, &class_);
			else if (slice_is(key, "pool"))
				reader_string(&json, &pool);
			else if (slice_is(key, "policy"))
				reader_string(&json, &policy);
			else
				reader_skip(&json);
		}
	if (!reader_close(&json) || version != 1)
		return;
	buf_text(out, ",\"decision\":{");
	show_text("class", class_, out);
	show_text("pool", pool, out);
	show_text("policy", policy, out);
	buf_printf(out, "\"inForce\":%s}", slice_is(policy, s->policy.inforce->hash) ? "true" : "false");
}
