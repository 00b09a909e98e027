/* The rules, a second time. */
#include "core_world.h"

int pod_number(const struct core_world *w, const char *uid)
{
	for (int i = 0; i < PODS; i++)
		if (strcmp(w->pod_names[i], uid) == 0)
			return i;
	property_fail("no pod has the uid %s", uid);
}

int node_number(const struct core_world *w, const char *name)
{
	for (int i = 0; i < NODES; i++)
		if (strcmp(w->node_names[i], name) == 0)
			return i;
	property_fail("no node has the name %s", name);
}

void core_names(struct fleet *fleet)
{
	static const char *const names[] = {
	    "nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.10gb", "amd.com/gpu"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		id_of(fleet, names[i]);
}

static void relabel(struct node_spec *spec, const char *key, const char *value)
{
	for (size_t i = 0; i < spec->labels.count; i++)
		if (strcmp(spec->labels.items[i].key, key) == 0)
			spec->labels.items[i].value = copy_text(&spec->arena, value);
}

struct node_spec *core_spec(const struct core_world *w, struct fleet *fleet, int node)
{
	uint32_t flags = w->nodes[node].flags;
	struct prng prng = {w->nodes[node].seed};
	struct node_spec *spec = spec_random(fleet, &prng, w->node_names[node]);
	if (flags & RELABELLED) {
		relabel(spec, "rack", "r9");
		relabel(spec, "zone", "z9");
		spec_label(spec, "late", "yes");
	}
	if (flags & TAINTED)
		spec_taint(spec, "team", "red", TAINT_NO_EXECUTE);
	if (flags & (SHRUNK | GROWN))
		for (uint16_t i = 0; i < spec->allocatable.count; i++)
			if (spec->allocatable.items[i].id != RESOURCE_PODS)
				spec->allocatable.items[i].amount = flags & SHRUNK
				                                        ? spec->allocatable.items[i].amount / 2
				                                        : spec->allocatable.items[i].amount + 1;
	if (flags & CORDONED)
		spec->unschedulable = true;
	if (flags & UNREADY)
		spec->ready = false;
	if (flags & SICK)
		spec->conditions[spec->condition_count++] = (struct node_condition){"GpuUnhealthy", "True"};
	return spec;
}

bool brute_expires(const struct entry_model *entry)
{
	return entry->there && entry->expires_ns != LEDGER_NEVER;
}

static int64_t plus(int64_t a, int64_t b)
{
	int64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t amount_of(const struct resources *resources, resource_id id)
{
	for (uint16_t i = 0; i < resources->count; i++)
		if (resources->items[i].id == id)
			return resources->items[i].amount;
	return 0;
}

int64_t brute_used(const struct core_world *w, int node, resource_id id, const char *but, const struct beside *beside)
{
	int64_t sum = 0;
	for (int i = 0; i < PODS; i++) {
		const struct entry_model *entry = &w->entries[i];
		if (but && strcmp(w->pod_names[i], but) == 0)
			continue;
		if (entry->there && entry->node == node && !(beside && beside->gone[i]))
			sum = plus(sum, amount_of(&w->pods[i]->demand, id));
		if (beside && beside->held[i] && beside->turn[i] == node)
			sum = plus(sum, amount_of(&w->pods[i]->demand, id));
	}
	return sum;
}

const char *brute_class(const struct core_world *w, const struct pod *pod)
{
	if (w->policy == 0 || (pod->class_name && strcmp(pod->class_name, "unknown") == 0))
		return NULL;
	return pod->class_name ? pod->class_name : "batch";
}

static bool tolerates(const struct pod *pod, const char *key, const char *value, enum taint_effect effect)
{
	struct taint taint = {key, value, effect};
	for (size_t i = 0; i < pod->toleration_count; i++)
		if (toleration_tolerates(&pod->tolerations[i], &taint))
			return true;
	return false;
}

static bool admits(const struct core_world *w, const struct pod *pod, const struct node_spec *spec)
{
	if (!spec->ready)
		return false;
	if (spec->unschedulable && !tolerates(pod, "node.kubernetes.io/unschedulable", "", TAINT_NO_SCHEDULE))
		return false;
	for (size_t i = 0; i < spec->condition_count; i++)
		if (w->policy > 0 && strcmp(spec->conditions[i].type, "GpuUnhealthy") == 0)
			return false;
	for (size_t i = 0; i < spec->taint_count; i++) {
		if (w->policy > 0 && strcmp(spec->taints[i].key, "gpu-error") == 0)
			return false;
		if (spec->taints[i].effect != TAINT_PREFER_NO_SCHEDULE &&
		    !tolerates(pod, spec->taints[i].key, spec->taints[i].value, spec->taints[i].effect))
			return false;
	}
	return pod_selects(pod, spec->name, &spec->labels);
}

/* In the second policy "only" is T4 and A100, in the third it is L4. */
static bool only_allows(const struct core_world *w, const struct node_spec *spec)
{
	const char *model = spec->model ? spec->model->name : "";
	return w->policy == 2 ? strcmp(model, "L4") == 0 : strcmp(model, "T4") == 0 || strcmp(model, "A100") == 0;
}

static bool gpu_suits(
    const struct core_world *w, const struct pod *pod, const struct node_spec *spec, resource_id id, const char *class_)
{
	uint32_t dtypes = pod->dtypes;
	if (!dtypes && class_ && strcmp(class_, "prefer") == 0)
		dtypes = DTYPE_BIT(DTYPE_BF16);
	for (size_t i = 0; i < spec->lane_count; i++) {
		const struct gpu_lane *lane = &spec->lanes[i];
		if (lane->resource != id)
			continue;
		if (class_ && strcmp(class_, "only") == 0 && !only_allows(w, spec))
			return false;
		return (lane->dtypes & dtypes) == dtypes &&
		       (double)lane->memory_mib * 1048576.0 >= (double)pod->gpu_memory_bytes * 0.93 - 1;
	}
	return false;
}

/* --- teams --- */

const struct core_team core_teams[CORE_TEAMS] = {
    {{.name = "lab", .parent = TEAM_NONE, .weight = 1}, {4000, 2000, 0, 0}, {9000, -1, 6000, 7000}},
    {{.name = "red", .parent = 0, .weight = 2, .namespace_count = 1, .namespaces = (const char *[]){"red*"}},
        {2000, 0, 500, 0}, {5000, 4500, -1, 3000}},
    {{.name = "blue", .parent = 0, .weight = 1, .namespace_count = 2, .namespaces = (const char *[]){"blue", "b"}},
        {0, 1000, 0, 3000}, {-1, -1, 2250, 3000}},
    {{.name = "unlisted", .parent = TEAM_NONE, .weight = 1}, {0}, {2000, -1, -1, 0}},
};
const char *const core_namespaces[CORE_NAMESPACES] = {"red", "red-2", "blue", "default"};

static int team_of_namespace(const char *namespace_)
{
	if (strncmp(namespace_, "red", 3) == 0)
		return 1;
	return strcmp(namespace_, "blue") == 0 ? 2 : 3;
}

uint16_t brute_pool(const struct core_world *w, const struct node_spec *spec)
{
	for (uint16_t i = 0; w->policy > 0 && spec && spec->model && i < MODELS; i++)
		if (strcmp(w->policies[w->policy]->pools[i].gpu, spec->model->name) == 0)
			return i;
	return POOL_NONE;
}

static int64_t milli_of(const struct node_spec *spec, const struct pod *pod)
{
	int64_t sum = 0;
	for (size_t i = 0; i < spec->lane_count; i++) {
		const struct gpu_lane *lane = &spec->lanes[i];
		int64_t milli = 1000 * amount_of(&pod->demand, lane->resource);
		if (lane->unit == GPU_SHARE)
			milli /= lane->replicas;
		else if (lane->unit == GPU_SLICE && lane->profile)
			milli = milli * lane->profile->compute / 7;
		sum += milli;
	}
	return sum;
}

/* Of one pod on one node, if that is of the pool. */
static int64_t milli_in(const struct core_world *w, int pod, int node, uint16_t pool)
{
	const struct node_spec *spec = w->nodes[node].known ? w->nodes[node].spec : NULL;
	return spec && brute_pool(w, spec) == pool ? milli_of(spec, w->pods[pod]) : 0;
}

int64_t brute_team_used(
    const struct core_world *w, int team, uint16_t pool, const char *but, const struct beside *beside)
{
	int64_t sum = 0;
	for (int i = 0; i < PODS; i++) {
		int of = team_of_namespace(w->pods[i]->namespace_);
		if ((of != team && core_teams[of].team.parent != team) || (but && strcmp(w->pod_names[i], but) == 0))
			continue;
		if (w->entries[i].there && !(beside && beside->gone[i]))
			sum += milli_in(w, i, w->entries[i].node, pool);
		if (beside && beside->held[i])
			sum += milli_in(w, i, beside->turn[i], pool);
	}
	return sum;
}

static bool team_allows(const struct core_world *w, const struct pod *pod, int node, const struct beside *beside)
{
	const struct node_spec *spec = w->nodes[node].spec;
	uint16_t pool = brute_pool(w, spec);
	for (int team = team_of_namespace(pod->namespace_); w->policy == WITH_TEAMS && pool != POOL_NONE;) {
		int64_t limit = core_teams[team].limit[pool];
		if (limit >= 0 && milli_of(spec, pod) + brute_team_used(w, team, pool, pod->uid, beside) > limit)
			return false;
		if (core_teams[team].team.parent == TEAM_NONE)
			break;
		team = core_teams[team].team.parent;
	}
	return true;
}

bool brute_fits(const struct core_world *w, const struct pod *pod, int node, const struct beside *beside)
{
	const struct node_spec *spec = w->nodes[node].spec;
	const char *class_ = brute_class(w, pod);
	int64_t gpus = 0;
	if (!w->nodes[node].known || (w->policy > 0 && !class_) || !admits(w, pod, spec))
		return false;
	for (uint16_t i = 0; i < pod->demand.count; i++) {
		resource_id id = pod->demand.items[i].id;
		int64_t amount = pod->demand.items[i].amount;
		int64_t used = brute_used(w, node, id, pod->uid, beside);
		if (amount <= 0)
			continue;
		if (used == INT64_MAX || amount > amount_of(&spec->allocatable, id) - used)
			return false;
		if (id < RESOURCE_FIRST_OTHER)
			continue;
		gpus = plus(gpus, amount);
		if (!gpu_suits(w, pod, spec, id, class_))
			return false;
	}
	return !(class_ && strcmp(class_, "only") == 0 && gpus > 4) && (gpus == 0 || team_allows(w, pod, node, beside));
}
