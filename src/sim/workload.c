#include "sim/workload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/kubelet.h"
#include "sim/podwrite.h"

#define UNITS_MAX 100000 /* jobs and services of one run */

static const char *const names[SIM_CLASS_COUNT] = {"training", "inference", "finetune", "batch", "other"};

/* A service that is scaled down later. */
struct ending {
	double at_s;
	char *namespace_, *name;
};

struct sim_workload {
	uint64_t random;
	double seconds, speed;
	double next_s[SIM_CLASS_COUNT];
	unsigned units;
	struct ending *endings;
	size_t ending_count, ending_room;
};

enum sim_class sim_class_of(const char *name)
{
	for (unsigned i = 0; name && i < SIM_CLASS_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return (enum sim_class)i;
	return SIM_OTHER;
}

/* splitmix64 */
static uint64_t next_random(struct sim_workload *w)
{
	uint64_t z = (w->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static double uniform(struct sim_workload *w, double low, double high)
{
	return low + (high - low) * ((double)(next_random(w) >> 11) / 9007199254740992.0);
}

static unsigned below(struct sim_workload *w, unsigned n)
{
	return (unsigned)(next_random(w) % n);
}

/* One job or service. */
struct unit {
	enum sim_class class_;
	const char *namespace_, *owner_kind, *owner_api, *prefix;
	unsigned number, replicas;
	const char *resource; /* what one replica asks for, and how much of it */
	unsigned amount;
	const char *cpu, *ram;
	const char *gpu_memory, *dtype; /* annotations, or NULL */
	const char *product;            /* node selector, or NULL */
	int priority;
	double run_s; /* 0: runs until it is deleted */
};

static json_t *pod_metadata(const struct sim_workload *w, const struct unit *u, const char *name)
{
	char owner[64];
	json_t *annotations = json_object(), *labels = json_pack("{s:s}", SIM_CLASS_LABEL, names[u->class_]);

	snprintf(owner, sizeof owner, "%s-%u", u->prefix, u->number);
	if (u->run_s > 0)
		json_object_set_new(annotations, SIM_RUN_FOR, json_sprintf("%.2f", u->run_s / w->speed));
	if (u->gpu_memory)
		json_object_set_new(annotations, "berth.dev/gpu-memory", json_string(u->gpu_memory));
	if (u->dtype)
		json_object_set_new(annotations, "berth.dev/dtype", json_string(u->dtype));
	if (u->class_ == SIM_FINETUNE)
		json_object_set_new(labels, "workload", json_string("finetune"));
	if (strcmp(u->owner_kind, "ReplicaSet") == 0)
		json_object_set_new(labels, "pod-template-hash", json_string("5d4f8c7b9"));
	return json_pack("{s:s,s:s,s:o,s:o,s:[{s:s,s:s,s:s,s:o,s:b}]}", "name", name, "namespace", u->namespace_,
	    "labels", labels, "annotations", annotations, "ownerReferences", "apiVersion", u->owner_api, "kind",
	    u->owner_kind, "name", owner, "uid", json_sprintf("0a000000-0000-4000-8000-%012x", u->number), "controller",
	    1);
}

static json_t *pod_of(const struct sim_workload *w, const struct unit *u, const char *name)
{
	json_t *requests = json_pack("{s:s,s:s}", "cpu", u->cpu, "memory", u->ram);

	json_object_set_new(requests, u->resource, json_sprintf("%u", u->amount));
	json_t *spec = json_pack("{s:s,s:i,s:[{s:s,s:s,s:{s:o,s:o}}]}", "schedulerName",
	    u->class_ == SIM_OTHER ? "default-scheduler" : "berth", "priority", u->priority, "containers", "name",
	    "main", "image", "registry.example.com/work:1", "resources", "limits", json_deep_copy(requests), "requests",
	    requests);

	if (u->product)
		json_object_set_new(spec, "nodeSelector", json_pack("{s:s}", "nvidia.com/gpu.product", u->product));
	return json_pack("{s:s,s:s,s:o,s:o,s:{s:s}}", "kind", "Pod", "apiVersion", "v1", "metadata",
	    pod_metadata(w, u, name), "spec", spec, "status", "phase", "Pending");
}

static void end_later(struct sim_workload *w, const struct unit *u, const char *name, double at_s)
{
	w->endings = xgrow(w->endings, w->ending_count, &w->ending_room, sizeof *w->endings);
	w->endings[w->ending_count++] = (struct ending){at_s, xstrdup(u->namespace_), xstrdup(name)};
}

/* --- the classes --- */

static struct unit training(struct sim_workload *w)
{
	static const unsigned gpus[] = {8, 8, 8, 4};

	return (struct unit){.class_ = SIM_TRAINING,
	    .namespace_ = "llm",
	    .owner_kind = "PyTorchJob",
	    .owner_api = "kubeflow.org/v1",
	    .prefix = "train",
	    .replicas = 1 + below(w, 3),
	    .resource = "nvidia.com/gpu",
	    .amount = gpus[below(w, 4)],
	    .cpu = "64",
	    .ram = "512Gi",
	    .priority = 10,
	    .run_s = uniform(w, 9, 18)};
}

static struct unit inference(struct sim_workload *w)
{
	unsigned kind = below(w, 4);

	return (struct unit){.class_ = SIM_INFERENCE,
	    .namespace_ = kind == 0 ? "vision" : "chat",
	    .owner_kind = "ReplicaSet",
	    .owner_api = "apps/v1",
	    .prefix = "serve",
	    .replicas = 2 + below(w, 3),
	    .resource = kind == 1 ? "nvidia.com/mig-3g.40gb" : "nvidia.com/gpu",
	    .amount = 1,
	    .cpu = "6",
	    .ram = "24Gi",
	    .gpu_memory = kind == 1   ? NULL
	                  : kind == 2 ? "40Gi"
	                              : "20Gi",
	    .dtype = kind == 0 ? "fp16" : NULL,
	    .priority = 100};
}

static struct unit finetune(struct sim_workload *w)
{
	static const unsigned gpus[] = {1, 2, 4};

	return (struct unit){.class_ = SIM_FINETUNE,
	    .namespace_ = "research",
	    .owner_kind = "PyTorchJob",
	    .owner_api = "kubeflow.org/v1",
	    .prefix = "tune",
	    .replicas = 1,
	    .resource = "nvidia.com/gpu",
	    .amount = gpus[below(w, 3)],
	    .cpu = "16",
	    .ram = "96Gi",
	    .gpu_memory = "40Gi",
	    .priority = 10,
	    .run_s = uniform(w, 6, 12)};
}

static struct unit batch(struct sim_workload *w)
{
	return (struct unit){.class_ = SIM_BATCH,
	    .namespace_ = "data",
	    .owner_kind = "Job",
	    .owner_api = "batch/v1",
	    .prefix = "batch",
	    .replicas = 1 + below(w, 2),
	    .resource = "nvidia.com/gpu",
	    .amount = 1,
	    .cpu = "4",
	    .ram = "16Gi",
	    .run_s = uniform(w, 4, 9)};
}

static struct unit other(struct sim_workload *w)
{
	static const char *const products[] = {"Tesla-T4", "NVIDIA-L4", "NVIDIA-A100-SXM4-80GB"};

	return (struct unit){.class_ = SIM_OTHER,
	    .namespace_ = "legacy",
	    .owner_kind = "Job",
	    .owner_api = "batch/v1",
	    .prefix = "legacy",
	    .replicas = 1,
	    .resource = "nvidia.com/gpu",
	    .amount = 1 + below(w, 2),
	    .cpu = "4",
	    .ram = "16Gi",
	    .product = products[below(w, 3)],
	    .run_s = uniform(w, 10, 25)};
}

/* Pods that a policy refuses, or that no node can ever take: one of each, for the closing list. */
static int make_hopeless(struct sim_workload *w, struct sim_store *store, struct err *err)
{
	struct unit units[] = {batch(w), training(w)};

	units[0].namespace_ = "vision-dev";
	units[0].owner_kind = "Notebook";
	units[0].owner_api = "kubeflow.org/v1";
	units[0].prefix = "notebook";
	units[0].amount = 4;
	units[1].prefix = "train-fp8";
	units[1].amount = 1;
	units[1].cpu = "4";
	units[1].ram = "16Gi";
	units[1].gpu_memory = "140Gi";
	for (size_t i = 0; i < 2; i++) {
		char name[64];

		units[i].number = ++w->units;
		units[i].run_s = 5;
		snprintf(name, sizeof name, "%s-%u-0", units[i].prefix, units[i].number);
		json_auto_t *pod = pod_of(w, &units[i], name);

		if (!sim_store_create(store, SIM_PODS, pod, err))
			return err->code;
	}
	return 0;
}

/* --- the stream --- */

static int make_unit(
    struct sim_workload *w, struct sim_store *store, enum sim_class class_, double second, struct err *err)
{
	static struct unit (*const makers[SIM_CLASS_COUNT])(struct sim_workload *) = {
	    training, inference, finetune, batch, other};
	struct unit unit = makers[class_](w);
	double end_s = second + uniform(w, 14, 26);

	unit.number = ++w->units;
	for (unsigned i = 0; i < unit.replicas; i++) {
		char name[64];

		snprintf(name, sizeof name, "%s-%u-%u", unit.prefix, unit.number, i);
		json_auto_t *pod = pod_of(w, &unit, name);

		if (!sim_store_create(store, SIM_PODS, pod, err))
			return err->code;
		if (unit.run_s <= 0)
			end_later(w, &unit, name, end_s);
	}
	return 0;
}

static void end_due(struct sim_workload *w, struct sim_store *store, double second)
{
	for (size_t i = 0; i < w->ending_count;) {
		struct ending *ending = &w->endings[i];
		struct err err;

		if (ending->at_s > second) {
			i++;
			continue;
		}
		const struct sim_version *version = sim_store_get(store, SIM_PODS, ending->namespace_, ending->name);

		if (version && sim_pod_delete(store, version, 30, &err) != 0)
			return;
		free(ending->namespace_);
		free(ending->name);
		*ending = w->endings[--w->ending_count];
	}
}

struct sim_workload *sim_workload_new(uint64_t seed, double seconds, double speed)
{
	struct sim_workload *w = xcalloc(1, sizeof *w);

	w->random = seed;
	w->seconds = seconds;
	w->speed = speed;
	return w;
}

void sim_workload_free(struct sim_workload *w)
{
	for (size_t i = 0; i < w->ending_count; i++) {
		free(w->endings[i].namespace_);
		free(w->endings[i].name);
	}
	free(w->endings);
	free(w);
}

int sim_workload_play(struct sim_workload *w, struct sim_store *store, double second, struct err *err)
{
	static const double per_second[SIM_CLASS_COUNT] = {0.65, 0.75, 0.9, 2.4, 0.7};

	if (w->units == 0 && make_hopeless(w, store, err) != 0)
		return err->code;
	for (unsigned c = 0; c < SIM_CLASS_COUNT; c++) {
		while (w->next_s[c] <= second && w->next_s[c] < w->seconds && w->units < UNITS_MAX) {
			if (make_unit(w, store, (enum sim_class)c, w->next_s[c], err) != 0)
				return err->code;
			w->next_s[c] += -log(1.0 - uniform(w, 0, 1)) / per_second[c];
		}
	}
	end_due(w, store, second);
	return 0;
}
