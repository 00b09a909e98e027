/* What stands in the Binding beside the node: berth.dev/decision, version 1, a JSON object inside a JSON string. */
#include "scheduler/internal.h"

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
	write_devices(entry, &decision);
	buf_char(&decision, '}');
	buf_text(out, "{\"berth.dev/decision\":");
	buf_json_string(out, buf_slice(&decision));
	buf_char(out, '}');
	buf_free(&decision);
}
