#include "scheduler/advise.h"

#include <stdlib.h>

bool advise_applies(const struct scheduler *s, const struct pod *pod)
{
	enum reason why;
	if (pod->soft_spread)
		return true;
	const struct policy_class *class_ = policy_class_of(s->policy.inforce, pod, &why);
	return class_ && class_->advise;
}

void advise_answer(const struct scheduler *s, const struct wire_args *args, struct buf *reply)
{
	size_t count = 0;
	struct slice *fitting = xcalloc(args->count + 1, sizeof *fitting);
	for (size_t i = 0; i < args->count; i++)
		if (s->verdicts[i] == REASON_CODE_FITS)
			fitting[count++] = args->items[i];
	if (args->by_name)
		wire_write_names(reply, fitting, count, NULL, 0);
	else
		wire_write_nodes(reply, fitting, count, NULL, 0);
	free(fitting);
}
