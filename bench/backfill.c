/* Reservation in time over a trace of jobs: what holding nodes for gangs costs in utilisation, how long gangs wait, and
 * how honest promises are; by the four ways of backfill_sim.h. The trace is a file of comma-separated values with the
 * columns num_gpu, submit_time and duration (milliseconds), and, as the template of a job, model_name and batch_size:
 * the format of the Philly-derived traces of Muri (SIGCOMM 2022). It is the argument, or philly/trace2.csv in the
 * folder that BERTH_BENCH_DATA names; without one there is a trace made up from a seed, with sizes and durations of the
 * same kind. Then what one forecast costs on 10,000 full nodes. Prints tables and, last, RESULT lines. */
#include <math.h>

#include "backfill_sim.h"
#include "core_fleet.h"

#define LINE_MAX_BYTES 1024
#define JOBS_MAX 20000
#define TEMPLATES_MAX 4096
#define MADE_UP_JOBS 3000
#define LOAD 0.95 /* of the fleet's GPUs, by what the trace asks for */
#define HOUR_NS (3600.0 * 1e9)
#define FORECASTS 11
#define FLEET 10000 /* nodes, for the price of a forecast */

struct row {
	int64_t submit_ns, runs_ns, gpus;
	const char *template_;
};

struct trace {
	size_t count, template_count;
	struct row rows[JOBS_MAX];
	char *templates[TEMPLATES_MAX];
};

static const char *template_named(struct trace *trace, const char *name)
{
	for (size_t i = 0; i < trace->template_count; i++)
		if (strcmp(trace->templates[i], name) == 0)
			return trace->templates[i];
	if (trace->template_count == TEMPLATES_MAX)
		return NULL;
	return trace->templates[trace->template_count++] = strdup(name);
}

/* ---- traces ---- */

static size_t split(char *line, char *fields[], size_t most)
{
	size_t count = 0;
	for (char *at = strtok(line, ",\r\n"); at && count < most; at = strtok(NULL, ",\r\n"))
		fields[count++] = at;
	return count;
}

static int column(char *const fields[], size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i], name) == 0)
			return (int)i;
	return -1;
}

static bool read_trace(const char *path, struct trace *trace)
{
	static const char *const names[] = {"num_gpu", "submit_time", "duration", "model_name", "batch_size"};
	char line[LINE_MAX_BYTES], template_[LINE_MAX_BYTES];
	char *fields[64];
	int at[5];
	FILE *file = fopen(path, "r");
	if (!file)
		return false;
	size_t count = fgets(line, sizeof(line), file) ? split(line, fields, 64) : 0;
	bool good = true;
	for (size_t i = 0; i < 5; i++)
		good &= (at[i] = column(fields, count, names[i])) >= 0;
	while (good && trace->count < JOBS_MAX && fgets(line, sizeof(line), file)) {
		if (split(line, fields, 64) != count)
			continue;
		snprintf(template_, sizeof(template_), "%s/%s/%s", fields[at[3]], fields[at[4]], fields[at[0]]);
		trace->rows[trace->count++] = (struct row){.submit_ns = atoll(fields[at[1]]) * 1000000,
		    .runs_ns = atoll(fields[at[2]]) * 1000000,
		    .gpus = atoll(fields[at[0]]),
		    .template_ = template_named(trace, template_)};
	}
	fclose(file);
	return good && trace->count > 0;
}

static double uniform(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return ((double)(*state >> 33) + 0.5) / (double)(UINT64_C(1) << 31);
}

/* Durations of a template lie around its own, which are spread as widely as those of Philly: median 10 min, one in ten
 * over 10 h. */
static void make_trace(struct trace *trace)
{
	static const int64_t sizes[] = {1, 1, 1, 1, 2, 4, 8, 8, 16, 32};
	uint64_t state = 11;
	double at_s = 0;
	for (size_t i = 0; i < MADE_UP_JOBS; i++) {
		char name[32];
		size_t template_ = (size_t)(uniform(&state) * 60);
		uint64_t own = template_ * 7919 + 1;
		double middle = 600 * exp(3.2 * (uniform(&own) + uniform(&own) + uniform(&own) - 1.5));
		double runs_s = middle * exp(1.2 * (uniform(&state) + uniform(&state) - 1));
		at_s -= 60 * log(uniform(&state));
		snprintf(name, sizeof(name), "t%zu", template_);
		trace->rows[trace->count++] = (struct row){.submit_ns = (int64_t)(at_s * 1e9),
		    .runs_ns = (int64_t)(runs_s * 1e9) + SIM_SECOND,
		    .gpus = sizes[template_ % 10],
		    .template_ = template_named(trace, name)};
	}
}

static size_t nodes_for(const struct trace *trace)
{
	double work = 0;
	for (size_t i = 0; i < trace->count; i++)
		work += (double)trace->rows[i].gpus * (double)trace->rows[i].runs_ns;
	double gpus = work / (double)trace->rows[trace->count - 1].submit_ns / LOAD;
	size_t nodes = (size_t)(gpus / SIM_GPUS) + 1;
	return nodes < 4 ? 4 : nodes > SIM_NODES_MAX ? SIM_NODES_MAX : nodes;
}

/* ---- what is measured ---- */

static int by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

/* Sorts. */
static double quantile(double *values, size_t count, double q)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof(*values), by_size);
	return values[(size_t)((double)(count - 1) * q)];
}

struct seen {
	double utilisation, idle;                     /* shares of all GPU time */
	double small_p50, big_p50, big_p90, big_most; /* hours waited */
	size_t promises;
	double error_p50, error_p90; /* hours between the first promise and the start */
	double share_p50, share_p90; /* the same, of the wait promised */
	double over;                 /* promises beyond 1.5 times the wait that was seen */
};

static struct seen look(const struct sim *sim)
{
	struct seen seen = {.utilisation = sim->used_ns / sim->capacity_ns, .idle = sim->idle_ns / sim->capacity_ns};
	double *small = calloc(sim->count + 1, sizeof(double)), *big = calloc(sim->count + 1, sizeof(double)),
	       *error = calloc(sim->count + 1, sizeof(double)), *share = calloc(sim->count + 1, sizeof(double));
	size_t smalls = 0, bigs = 0, over = 0;
	for (size_t i = 0; i < sim->count; i++) {
		const struct sim_job *job = &sim->jobs[i];
		double wait = (double)(job->start_ns - job->submit_ns) / HOUR_NS;
		if (job->gpus > SIM_GPUS)
			big[bigs++] = wait;
		else
			small[smalls++] = wait;
		if (job->promised_ns == 0)
			continue;
		double late = fabs((double)(job->start_ns - job->promised_ns)),
		       promised = (double)(job->promised_ns - job->promised_at_ns);
		error[seen.promises] = late / HOUR_NS;
		share[seen.promises++] = late / promised;
		over += job->promised_ns - job->submit_ns > (job->start_ns - job->submit_ns) * 3 / 2;
	}
	seen.small_p50 = quantile(small, smalls, 0.5);
	seen.big_p50 = quantile(big, bigs, 0.5);
	seen.big_p90 = quantile(big, bigs, 0.9);
	seen.big_most = quantile(big, bigs, 1);
	seen.error_p50 = quantile(error, seen.promises, 0.5);
	seen.error_p90 = quantile(error, seen.promises, 0.9);
	seen.share_p50 = quantile(share, seen.promises, 0.5);
	seen.share_p90 = quantile(share, seen.promises, 0.9);
	seen.over = seen.promises ? (double)over / (double)seen.promises : 0;
	free(small);
	free(big);
	free(error);
	free(share);
	return seen;
}

static struct seen run(const struct trace *trace, enum sim_way way, size_t nodes)
{
	struct sim sim;
	sim_open(&sim, way, nodes, trace->count);
	for (size_t i = 0; i < trace->count; i++) {
		const struct row *row = &trace->rows[i];
		int64_t most = (int64_t)nodes * SIM_GPUS;
		sim_add(&sim, row->submit_ns, row->gpus < most ? row->gpus : most, row->runs_ns, row->runs_ns,
		    row->template_);
	}
	while (sim_step(&sim))
		;
	struct seen seen = look(&sim);
	sim_close(&sim);
	return seen;
}

/* ---- one forecast on a large fleet ---- */

static double cpu_ms(void)
{
	return (double)core_cpu_ns() / 1e6;
}

static void fill(struct core_fleet *made)
{
	for (unsigned i = 0; i < FLEET; i++)
		for (int64_t k = 0; k < SIM_GPUS; k++) {
			struct pod *pod = core_fleet_pod(made, 1, NULL);
			pod->runtime_ns = (1 + (int64_t)core_pick(&made->random, 3600)) * SIM_SECOND;
			ledger_reserve(
			    made->fleet, pod, slice_of(core_fleet_node(i)), LEDGER_BOUND, true, 1, LEDGER_NEVER);
		}
}

static double time_one(const struct fleet *fleet, const struct plan_request *request, double *longest)
{
	struct forecast forecast;
	double began = cpu_ms(), at = began;
	struct forecast_search *search = forecast_begin(fleet, request, 2);
	*longest = 0;
	for (bool done = false; !done;) {
		double now = cpu_ms();
		*longest = now - at > *longest ? now - at : *longest;
		at = now;
		done = forecast_step(search, FORECAST_EFFORT);
	}
	forecast_finish(search, &forecast);
	double ended = cpu_ms();
	*longest = ended - at > *longest ? ended - at : *longest;
	if (forecast.count != request->count)
		fprintf(stderr, "bench backfill: no forecast\n");
	forecast_free(&forecast);
	return ended - began;
}

static void time_forecast(size_t count, double *whole, double *longest)
{
	static const char *const classes[] = {"batch"};
	struct core_fleet made;
	struct plan_member members[SIM_PODS_MAX];
	double wholes[FORECASTS], longests[FORECASTS];
	core_fleet_open(&made, 5, FLEET, classes, 1);
	fill(&made);
	for (size_t i = 0; i < count; i++)
		members[i] = (struct plan_member){.pod = core_fleet_pod(&made, SIM_GPUS, NULL), .rank = (int32_t)i};
	struct plan_request request = {.count = count, .members = members, .topology = PLAN_ANYWHERE};
	for (size_t i = 0; i < FORECASTS; i++)
		wholes[i] = time_one(made.fleet, &request, &longests[i]);
	*whole = core_median(wholes, FORECASTS);
	*longest = core_median(longests, FORECASTS);
	core_fleet_close(&made);
}

/* ---- all of it ---- */

static struct trace trace;

static bool find_trace(int argc, char **argv)
{
	char path[4096];
	const char *folder = getenv("BERTH_BENCH_DATA");
	snprintf(path, sizeof(path), "%s", argc > 1 ? argv[1] : "");
	if (argc <= 1 && folder)
		snprintf(path, sizeof(path), "%s/philly/trace2.csv", folder);
	if (!*path) {
		make_trace(&trace);
		puts("no trace is named (by an argument, or a folder in BERTH_BENCH_DATA): one is made up");
		return true;
	}
	if (read_trace(path, &trace)) {
		printf("%s\n", path);
		return true;
	}
	fprintf(stderr, "bench backfill: %s is no trace that can be read\n", path);
	return false;
}

int main(int argc, char **argv)
{
	struct seen seen[SIM_WAYS];
	if (!find_trace(argc, argv))
		return argc > 1 ? 2 : 0;
	size_t nodes = nodes_for(&trace);
	printf("%zu jobs of %zu templates on %zu nodes of %d GPUs\n\n", trace.count, trace.template_count, nodes,
	    SIM_GPUS);
	puts("          used %  idle, held %  wait small  gangs > 8 GPUs, hours        promises  error, hours    of "
	     "the wait     > 1.5x");
	puts("                                   p50 h     p50      p90     most                  p50      p90    p50  "
	     "   p90    seen %");
	for (enum sim_way way = SIM_FREE; way < SIM_WAYS; way++) {
		struct seen *s = &seen[way];
		*s = run(&trace, way, nodes);
		printf("%-9s %6.2f %14.2f %10.2f %7.1f %8.1f %8.1f %9zu %8.2f %8.2f %6.2f %7.2f %9.1f\n",
		    sim_names[way], 100 * s->utilisation, 100 * s->idle, s->small_p50, s->big_p50, s->big_p90,
		    s->big_most, s->promises, s->error_p50, s->error_p90, s->share_p50, s->share_p90, 100 * s->over);
		fflush(stdout);
	}
	puts("\nforecasts, 10,000 nodes, 80,000 pods with known ends: CPU ms, and the longest piece of one");
	double whole[2], longest[2];
	for (int i = 0; i < 2; i++) {
		time_forecast(i ? 64 : 8, &whole[i], &longest[i]);
		printf("%2d members of 8 GPUs %8.1f %8.2f\n", i ? 64 : 8, whole[i], longest[i]);
	}
	puts("");
	for (enum sim_way way = SIM_HELD; way < SIM_WAYS; way++)
		printf("RESULT backfill_lost_%s %.2f percent\n", sim_names[way],
		    100 * (seen[SIM_FREE].utilisation - seen[way].utilisation));
	for (enum sim_way way = SIM_RESERVED; way < SIM_WAYS; way++)
		printf("RESULT backfill_error_p50_%s %.0f s\nRESULT backfill_error_p90_%s %.0f s\n", sim_names[way],
		    seen[way].error_p50 * 3600, sim_names[way], seen[way].error_p90 * 3600);
	printf("RESULT backfill_forecast_ms %.1f ms\nRESULT backfill_loop_ms %.2f ms\n", whole[1], longest[1]);
	for (size_t i = 0; i < trace.template_count; i++)
		free(trace.templates[i]);
	return 0;
}
