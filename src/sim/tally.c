#include "sim/tally.h"

#include <stdlib.h>

#include "base/clock.h"

struct tallied {
	char *uid;
	enum sim_class class_;
	int64_t seen_ns, bound_ns; /* bound 0 = not yet */
	bool over, told;
};

struct sim_tally {
	struct sim_view *view;
	struct map pods;
};

static void happened(void *ctx, enum sim_view_event event, struct sim_view_pod *pod, struct sim_view_node *node)
{
	struct sim_tally *tally = ctx;

	(void)node;
	if (!pod || event == SIM_POD_GONE)
		return;
	struct tallied *t = map_get(&tally->pods, slice_of(pod->version->uid));

	if (!t) {
		t = xcalloc(1, sizeof *t);
		t->uid = xstrdup(pod->version->uid);
		t->class_ = sim_class_of(labels_get(&pod->pod->labels, SIM_CLASS_LABEL));
		t->seen_ns = clock_now();
		map_put(&tally->pods, slice_of(t->uid), t);
	}
	if (event == SIM_POD_BOUND && !t->bound_ns)
		t->bound_ns = clock_now();
	else if (event == SIM_POD_OVER)
		t->over = true;
}

struct sim_tally *sim_tally_new(struct sim_view *view)
{
	struct sim_tally *tally = xcalloc(1, sizeof *tally);

	tally->view = view;
	sim_view_listen(view, happened, tally);
	return tally;
}

void sim_tally_free(struct sim_tally *tally)
{
	size_t cursor = 0;

	sim_view_unlisten(tally->view, tally);
	for (struct tallied *t; (t = map_next(&tally->pods, &cursor));) {
		free(t->uid);
		free(t);
	}
	map_free(&tally->pods);
	free(tally);
}

bool sim_tally_told(struct sim_tally *tally, const char *uid)
{
	struct tallied *t = map_get(&tally->pods, slice_of(uid));
	bool told = t && t->told;

	if (t)
		t->told = true;
	return told;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct sim_tally_class sim_tally_class(const struct sim_tally *tally, enum sim_class class_)
{
	struct sim_tally_class sum = {.median_wait_s = -1};
	double *waits = xmalloc((tally->pods.count + 1) * sizeof *waits);
	size_t cursor = 0;

	for (const struct tallied *t; (t = map_next(&tally->pods, &cursor));) {
		if (t->class_ != class_)
			continue;
		sum.submitted++;
		if (t->bound_ns)
			waits[sum.placed++] = (double)(t->bound_ns - t->seen_ns) / (double)NS_PER_S;
		if (t->over)
			sum.finished++;
		else if (!t->bound_ns)
			sum.waiting++;
	}
	if (sum.placed) {
		qsort(waits, sum.placed, sizeof *waits, by_value);
		sum.median_wait_s = waits[sum.placed / 2];
	}
	free(waits);
	return sum;
}

void sim_tally_table(const struct sim_tally *tally, double speed, struct buf *out)
{
	static const char *const shown[SIM_CLASS_COUNT] = {
	    "training", "inference", "fine-tuning", "batch", "other scheduler"};

	buf_printf(
	    out, "%-16s %9s %7s %8s %7s %11s\n", "class", "submitted", "placed", "finished", "waiting", "median wait");
	for (unsigned c = 0; c < SIM_CLASS_COUNT; c++) {
		struct sim_tally_class sum = sim_tally_class(tally, (enum sim_class)c);

		buf_printf(
		    out, "%-16s %9zu %7zu %8zu %7zu ", shown[c], sum.submitted, sum.placed, sum.finished, sum.waiting);
		if (sum.median_wait_s < 0)
			buf_printf(out, "%11s\n", "-");
		else
			buf_printf(out, "%9.2f s\n", sum.median_wait_s * speed);
	}
}
