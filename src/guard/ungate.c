#include "guard/ungate.h"

#include <stdlib.h>

#include "berth/alloc.h"
#include "policy/gate.h"

struct one {
	struct ungate *ungate;
	struct gated *gated;
};

struct ungate {
	struct kube *kube;
	struct ungate_handlers handlers;
	struct one *ones;
	size_t count, begun, done;
};

static void pump(struct ungate *ungate);

static void answered(void *ctx, const struct kube_answer *answer)
{
	struct one *one = ctx;
	struct ungate *ungate = one->ungate;
	/* 404: it is gone. 409: another pod has its name now. */
	bool over = answer->code == 0 && (answer->status / 100 == 2 || answer->status == 404 || answer->status == 409);
	ungate->done++;
	ungate->handlers.one(ungate->handlers.ctx, one->gated, over ? NULL : answer->error);
	if (ungate->done < ungate->count) {
		pump(ungate);
		return;
	}
	ungate->handlers.all(ungate->handlers.ctx);
	ungate_cancel(ungate);
}

static void pump(struct ungate *ungate)
{
	while (ungate->begun < ungate->count && ungate->begun - ungate->done < UNGATE_IN_FLIGHT) {
		struct one *one = &ungate->ones[ungate->begun++];
		struct kube_pod_ref pod = {one->gated->namespace_, one->gated->name, one->gated->uid};
		kube_ungate(ungate->kube, pod, GATE_NAME, slice_of("{\"" GATE_LINE "\":null}"), answered, one);
	}
}

struct ungate *ungate_start(
    struct kube *kube, struct gated *const *pods, size_t count, const struct ungate_handlers *handlers)
{
	struct ungate *ungate = xcalloc(1, sizeof *ungate);
	*ungate = (struct ungate){.kube = kube, .handlers = *handlers, .count = count};
	ungate->ones = xcalloc(count + 1, sizeof *ungate->ones);
	for (size_t i = 0; i < count; i++)
		ungate->ones[i] = (struct one){ungate, pods[i]};
	pump(ungate);
	return ungate;
}

void ungate_cancel(struct ungate *ungate)
{
	free(ungate->ones);
	free(ungate);
}
