#include "berth/runtimes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/alloc.h"
#include "berth/pod.h"

/* Of names that Kubernetes makes up: k8s.io/apimachinery/pkg/util/rand, alphanums. */
#define MADE_UP "bcdfghjklmnpqrstvwxz2456789"
#define MADE_UP_LEAST 5 /* behind a generateName; the hash of a template has up to … */
#define MADE_UP_MOST 10
#define STEPS 8 /* of an expectation, between a power of two and the next */

struct runtime_template {
	char *key;
	size_t count, next; /* runs, a ring */
	int64_t ran_ns[RUNTIMES_RUNS];
	struct runtime_template *older, *newer;
};

static void take_out(struct runtimes *runtimes, struct runtime_template *template)
{
	*(template->older ? &template->older->newer : &runtimes->oldest) = template->newer;
	*(template->newer ? &template->newer->older : &runtimes->newest) = template->older;
	template->older = template->newer = NULL;
}

static void put_last(struct runtimes *runtimes, struct runtime_template *template)
{
	template->older = runtimes->newest;
	*(runtimes->newest ? &runtimes->newest->newer : &runtimes->oldest) = template;
	runtimes->newest = template;
}

static void forget(struct runtimes *runtimes, struct runtime_template *template)
{
	take_out(runtimes, template);
	map_remove(&runtimes->by_key, slice_of(template->key));
	free(template->key);
	free(template);
}

void runtimes_free(struct runtimes *runtimes)
{
	while (runtimes->oldest)
		forget(runtimes, runtimes->oldest);
	map_free(&runtimes->by_key);
	*runtimes = (struct runtimes){.oldest = NULL};
}

/* ---- templates ---- */

/* A part of a name that is another from one to the next: a number, or the last part where it is made up. */
static bool differs(const char *part, size_t len, bool last)
{
	if (len > 0 && strspn(part, "0123456789") >= len)
		return true;
	return last && len >= MADE_UP_LEAST && len <= MADE_UP_MOST && strspn(part, MADE_UP) >= len;
}

/* As much of it as there is room for. */
static void put_pattern(const char *name, char *out, size_t room)
{
	size_t used = 0;
	while (*name && used + 2 < room) {
		size_t len = strcspn(name, "-."), size = len;
		const char *part = name;
		if (differs(name, len, name[len] == '\0')) {
			part = "#";
			size = 1;
		}
		if (size > room - used - 2)
			size = room - used - 2;
		memcpy(out + used, part, size);
		used += size;
		if (name[len])
			out[used++] = name[len++];
		name += len;
	}
	out[used] = '\0';
}

void runtimes_key(const struct pod *pod, const char *class_, int64_t units, char key[RUNTIMES_KEY_MAX])
{
	const char *kind = pod->owner_kind_count > 0 ? pod->owner_kinds[pod->owner_kind_count - 1] : "";
	int len =
	    snprintf(key, RUNTIMES_KEY_MAX / 2, "%s/%s/%s/%lld/", pod->namespace_, class_, kind, (long long)units);
	size_t used = len < RUNTIMES_KEY_MAX / 2 ? (size_t)len : RUNTIMES_KEY_MAX / 2 - 1;
	put_pattern(pod->owner_name ? pod->owner_name : pod->name, key + used, RUNTIMES_KEY_MAX - used);
}

/* ---- runs ---- */

static struct runtime_template *template_of(struct runtimes *runtimes, const char *key)
{
	struct runtime_template *template = map_get(&runtimes->by_key, slice_of(key));
	if (template) {
		take_out(runtimes, template);
		return template;
	}
	if (runtimes->by_key.count >= RUNTIMES_MAX)
		forget(runtimes, runtimes->oldest);
	template = xcalloc(1, sizeof(*template));
	template->key = xstrdup(key);
	map_put(&runtimes->by_key, slice_of(template->key), template);
	return template;
}

void runtimes_learn(struct runtimes *runtimes, const char *key, int64_t ran_ns)
{
	if (ran_ns <= 0)
		return;
	struct runtime_template *template = template_of(runtimes, key);
	template->ran_ns[template->next] = ran_ns;
	template->next = (template->next + 1) % RUNTIMES_RUNS;
	if (template->count < RUNTIMES_RUNS)
		template->count++;
	put_last(runtimes, template);
}

struct run {
	int64_t ran_ns;
	double weight;
};

static int by_length(const void *a, const void *b)
{
	const struct run *left = a, *right = b;
	return (left->ran_ns > right->ran_ns) - (left->ran_ns < right->ran_ns);
}

static int64_t round_up(int64_t ns)
{
	int64_t step = 1;
	while (ns / step >= 2 * STEPS)
		step *= 2;
	return ns <= INT64_MAX - step ? (ns + step - 1) / step * step : ns;
}

int64_t runtimes_expect(const struct runtimes *runtimes, const char *key)
{
	const struct runtime_template *template = map_get(&runtimes->by_key, slice_of(key));
	struct run runs[RUNTIMES_RUNS];
	double weight = 1, sum = 0, passed = 0;
	if (!template || template->count < RUNTIMES_LEAST)
		return 0;
	for (size_t i = 0; i < template->count; i++, weight *= RUNTIMES_DECAY) {
		size_t at = (template->next + RUNTIMES_RUNS - 1 - i) % RUNTIMES_RUNS; /* the newest first */
		runs[i] = (struct run){template->ran_ns[at], weight};
		sum += weight;
	}
	qsort(runs, template->count, sizeof(*runs), by_length);
	size_t at = 0;
	while (at + 1 < template->count && (passed += runs[at].weight) < RUNTIMES_QUANTILE * sum)
		at++;
	return round_up(runs[at].ran_ns);
}
