/* Random gangs on random fleets as plain facts, and the pods and nodes made of them. For plan_oracle_test.c alone. */
#ifndef TEST_CORE_PLAN_INSTANCE_H
#define TEST_CORE_PLAN_INSTANCE_H

#include "berth/plan.h"
#include "world.h"

#define NODES 24
#define MEMBERS 24
#define SMALL_NODES 10
#define SMALL_MEMBERS 8
#define TYPES 3
#define GROUPS 3
#define LEVELS 3
#define HOST LEVELS /* as a level here */
#define TERMS 2

enum { KEY_ZONE, KEY_BLOCK, KEY_RACK, KEY_HOST, KEY_DISK, KEYS };
static const char *const key_names[KEYS] = {"zone", "block", "rack", "kubernetes.io/hostname", "disk"};
static const char *const apps[] = {"a", "b"};
static const char *const spaces[] = {"default", "other"};
#define ANY_APP 2
#define NO_APP 3

struct bound {
	int app, space, gpus, cpu;
	bool ours;
};

struct tnode {
	char name[16];
	int label[KEYS]; /* -1 = not labelled */
	int gpus, cpu, pods;
	bool ready, cordoned, red, error;
	int bound_count;
	struct bound bound[3];
	int gpus_used, cpu_used, pods_used;
};

struct term {
	int key, app;
	bool other_space, all_spaces;
};

struct spread {
	int key, app, skew, domains;
	bool any_affinity, honor_taints;
};

struct type {
	int gpus, cpu, app, space;
	bool tolerates;
	int disk, not_zone, volume_zone; /* -1 = none */
	int affinity_count, anti_count, spread_count;
	struct term affinity[TERMS], anti[TERMS];
	struct spread spread[TERMS];
};

struct tmember {
	int type, group, rank;
	int fixed;            /* node, or -1 */
	int planned;          /* node where an earlier plan left an entry, or -1 */
	unsigned only, never; /* masks of nodes; only 0 = any */
};

struct topo {
	int require, prefer; /* 0..LEVELS-1, HOST, or -1 */
	int segment, segment_level;
};

struct instance {
	uint64_t seed;
	int node_count, member_count, type_count, group_count, quorum, group_quorum[GROUPS];
	struct tnode nodes[NODES];
	struct type types[TYPES];
	struct tmember members[MEMBERS];
	struct topo topo, group_topo[GROUPS];
	bool gpus;
};

enum {
	DRAWN_REQUIRE,
	DRAWN_PREFER,
	DRAWN_SEGMENT,
	DRAWN_GROUPS,
	DRAWN_GROUP_REQUIRE,
	DRAWN_GROUP_PREFER,
	DRAWN_ELASTIC,
	DRAWN_GROUP_QUORUM,
	DRAWN_MIXED,
	DRAWN_AFFINITY,
	DRAWN_ANTI,
	DRAWN_ANTI_HOST,
	DRAWN_SPREAD,
	DRAWN_MIN_DOMAINS,
	DRAWN_SPREAD_POLICY,
	DRAWN_VOLUME,
	DRAWN_NODE_AFFINITY,
	DRAWN_TAINTS,
	DRAWN_FIXED,
	DRAWN_PLANNED,
	DRAWN_LIMITED,
	DRAWN_RANKS,
	DRAWN_UNLABELLED,
	DRAWN_BOUND_MEANT,
	DRAWN_COUNT
};
static const char *const drawn_names[DRAWN_COUNT] = {"require", "prefer", "segment", "sub-groups", "sub-group require",
    "sub-group prefer", "elastic quorum", "sub-group quorum", "heterogeneous", "pod affinity", "pod anti-affinity",
    "hostname anti-affinity", "topology spread", "minDomains", "spread policies", "volume affinity", "node affinity",
    "taints", "fixed members", "earlier entries", "only or never names", "ranks", "unlabelled nodes",
    "bound pods with labels"};
static bool now[DRAWN_COUNT]; /* of the instance drawn last */

/* ---- drawing ---- */

static void draw_node(struct prng *prng, struct tnode *node, int number)
{
	static const int sizes[] = {2, 4, 4, 8};
	snprintf(node->name, sizeof(node->name), "n%d", number);
	node->label[KEY_ZONE] = one_in(prng, 20) ? -1 : (int)pick(prng, 2);
	node->label[KEY_BLOCK] = one_in(prng, 20) ? -1 : (int)pick(prng, 2);
	node->label[KEY_RACK] = one_in(prng, 20) ? -1 : (int)pick(prng, 3);
	node->label[KEY_HOST] = number;
	node->label[KEY_DISK] = one_in(prng, 4) ? -1 : (int)pick(prng, 2);
	node->gpus = one_in(prng, 12) ? 0 : sizes[pick(prng, 4)];
	node->cpu = 16000;
	node->pods = one_in(prng, 6) ? 2 : 20;
	node->ready = !one_in(prng, 20);
	node->cordoned = one_in(prng, 20);
	node->red = one_in(prng, 12);
	node->error = one_in(prng, 25);
	node->bound_count = (int)pick(prng, 3);
	for (int i = 0; i < node->bound_count; i++) {
		struct bound *bound = &node->bound[i];
		*bound = (struct bound){.app = (int)pick(prng, 2),
		    .space = one_in(prng, 4),
		    .gpus = (int)pick(prng, node->gpus / 2 + 1),
		    .cpu = 1000,
		    .ours = one_in(prng, 3)};
		node->gpus_used += bound->gpus;
		node->cpu_used += bound->cpu;
		node->pods_used++;
		now[DRAWN_BOUND_MEANT] |= bound->ours;
	}
	for (int key = KEY_ZONE; key <= KEY_RACK; key++)
		now[DRAWN_UNLABELLED] |= node->label[key] < 0;
	now[DRAWN_TAINTS] |= node->red;
}

static struct term draw_term(struct prng *prng, int own_app)
{
	static const int keys[] = {KEY_ZONE, KEY_RACK, KEY_RACK, KEY_HOST, KEY_BLOCK, KEY_DISK};
	return (struct term){.key = keys[pick(prng, 6)],
	    .app = one_in(prng, 8)   ? ANY_APP
	           : one_in(prng, 3) ? 1 - own_app
	                             : own_app,
	    .other_space = one_in(prng, 16),
	    .all_spaces = one_in(prng, 12)};
}

static void draw_type(struct prng *prng, struct type *type, bool asks)
{
	static const int sizes[] = {0, 1, 1, 2, 4};
	*type = (struct type){.gpus = sizes[pick(prng, 5)],
	    .cpu = 1000 * (1 + (int)pick(prng, 4)),
	    .app = (int)pick(prng, 2),
	    .space = one_in(prng, 10),
	    .tolerates = one_in(prng, 4),
	    .disk = one_in(prng, 10) ? (int)pick(prng, 2) : -1,
	    .not_zone = one_in(prng, 12) ? (int)pick(prng, 2) : -1,
	    .volume_zone = one_in(prng, 10) ? (int)pick(prng, 2) : -1};
	now[DRAWN_VOLUME] |= type->volume_zone >= 0;
	now[DRAWN_NODE_AFFINITY] |= type->not_zone >= 0;
	if (!asks)
		return;
	if (one_in(prng, 4))
		type->affinity[type->affinity_count++] = draw_term(prng, type->app);
	if (type->affinity_count && one_in(prng, 5))
		type->affinity[type->affinity_count++] = draw_term(prng, type->app);
	if (one_in(prng, 3))
		type->anti[type->anti_count++] = draw_term(prng, type->app);
	if (type->anti_count && one_in(prng, 5))
		type->anti[type->anti_count++] = draw_term(prng, type->app);
	while (type->spread_count < TERMS && one_in(prng, 3))
		type->spread[type->spread_count++] = (struct spread){.key = (int)pick(prng, KEYS),
		    .app = one_in(prng, 6)   ? (one_in(prng, 2) ? NO_APP : ANY_APP)
		           : one_in(prng, 5) ? 1 - type->app
		                             : type->app,
		    .skew = 1 + (int)pick(prng, 2),
		    .domains = one_in(prng, 4) ? 1 + (int)pick(prng, 3) : 1,
		    .any_affinity = one_in(prng, 5),
		    .honor_taints = one_in(prng, 5)};
	for (int i = 0; i < type->spread_count; i++) {
		now[DRAWN_MIN_DOMAINS] |= type->spread[i].domains > 1;
		now[DRAWN_SPREAD_POLICY] |= type->spread[i].any_affinity || type->spread[i].honor_taints;
	}
	now[DRAWN_AFFINITY] |= type->affinity_count > 0;
	now[DRAWN_ANTI] |= type->anti_count > 0;
	now[DRAWN_SPREAD] |= type->spread_count > 0;
	for (int i = 0; i < type->anti_count; i++)
		now[DRAWN_ANTI_HOST] |= type->anti[i].key == KEY_HOST;
}

static struct topo draw_topo(struct prng *prng, int chances)
{
	struct topo topo = {-1, -1, 0, -1};
	if (one_in(prng, chances))
		topo.require = (int)pick(prng, LEVELS + (one_in(prng, 6) ? 1 : 0));
	if (one_in(prng, chances))
		topo.prefer = (int)pick(prng, LEVELS + 1);
	return topo;
}

static void draw_segment(struct prng *prng, struct topo *topo)
{
	topo->segment = 2 + (int)pick(prng, 2);
	topo->segment_level = (int)pick(prng, LEVELS + 1);
	now[DRAWN_SEGMENT] = true;
}

static void draw_members(struct prng *prng, struct instance *instance)
{
	bool ranks = one_in(prng, 2), special = one_in(prng, 4);
	int next[GROUPS] = {0};
	for (int i = 0; i < instance->member_count; i++) {
		struct tmember *member = &instance->members[i];
		int groups = instance->group_count;
		*member = (struct tmember){.type = i < instance->type_count ? i : (int)pick(prng, instance->type_count),
		    .group = groups ? (int)pick(prng, groups) : 0,
		    .fixed = -1,
		    .planned = -1};
		member->rank = ranks ? next[member->group]++ : -1;
		instance->gpus |= instance->types[member->type].gpus > 0;
		if (!special)
			continue;
		if (one_in(prng, 5))
			member->fixed = (int)pick(prng, instance->node_count);
		else if (one_in(prng, 5))
			member->planned = (int)pick(prng, instance->node_count);
		if (one_in(prng, 5))
			member->only = 1u + (unsigned)pick(prng, (1 << instance->node_count) - 1);
		if (one_in(prng, 5))
			member->never = 1u << pick(prng, instance->node_count);
		now[DRAWN_FIXED] |= member->fixed >= 0;
		now[DRAWN_PLANNED] |= member->planned >= 0;
		now[DRAWN_LIMITED] |= member->only || member->never;
	}
	now[DRAWN_RANKS] |= ranks;
}

/* A small one can be searched to the end; a large one is too much for that. */
static void draw(struct instance *instance, uint64_t seed, bool large)
{
	struct prng prng = {seed};
	*instance = (struct instance){.seed = seed};
	memset(now, 0, sizeof(now));
	instance->node_count = 2 + (int)pick(&prng, SMALL_NODES - 1);
	instance->member_count = 1 + (int)pick(&prng, SMALL_MEMBERS);
	if (large) {
		instance->node_count = SMALL_NODES + 1 + (int)pick(&prng, NODES - SMALL_NODES);
		instance->member_count = SMALL_MEMBERS + 5 + (int)pick(&prng, MEMBERS - SMALL_MEMBERS - 4);
	}
	instance->type_count = 1 + (one_in(&prng, 2) ? (int)pick(&prng, TYPES) : 0);
	if (instance->type_count > instance->member_count)
		instance->type_count = instance->member_count;
	bool asks = one_in(&prng, 2);
	for (int i = 0; i < instance->node_count; i++)
		draw_node(&prng, &instance->nodes[i], i);
	for (int i = 0; i < instance->type_count; i++)
		draw_type(&prng, &instance->types[i], asks);
	instance->topo = draw_topo(&prng, 2);
	now[DRAWN_REQUIRE] |= instance->topo.require >= 0;
	now[DRAWN_PREFER] |= instance->topo.prefer >= 0;
	if (one_in(&prng, 4))
		draw_segment(&prng, &instance->topo);
	if (one_in(&prng, 3))
		instance->group_count = 1 + (int)pick(&prng, GROUPS);
	draw_members(&prng, instance);
	int sizes[GROUPS] = {0};
	for (int i = 0; i < instance->member_count; i++)
		sizes[instance->members[i].group]++;
	for (int g = 0; g < instance->group_count; g++) {
		instance->group_topo[g] = draw_topo(&prng, 3);
		if (one_in(&prng, 6))
			draw_segment(&prng, &instance->group_topo[g]);
		now[DRAWN_GROUP_REQUIRE] |= instance->group_topo[g].require >= 0;
		now[DRAWN_GROUP_PREFER] |= instance->group_topo[g].prefer >= 0;
		if (one_in(&prng, 3) && sizes[g] > 0)
			instance->group_quorum[g] = 1 + (int)pick(&prng, sizes[g]);
		now[DRAWN_GROUP_QUORUM] |= instance->group_quorum[g] > 0;
	}
	if (one_in(&prng, 4) && instance->member_count > 1) {
		instance->quorum = 1 + (int)pick(&prng, instance->member_count - 1);
		now[DRAWN_ELASTIC] = true;
	}
	now[DRAWN_GROUPS] |= instance->group_count > 0;
	now[DRAWN_MIXED] |= instance->type_count > 1;
}

/* ---- the same as pods and nodes ---- */

struct made {
	struct fleet *fleet;
	struct policy *policy;
	struct pod *pods[MEMBERS], *others[NODES * 3];
	size_t other_count;
	struct plan_member members[MEMBERS];
	struct plan_group groups[GROUPS];
	const char *only[MEMBERS][NODES], *never[MEMBERS][NODES];
	int place[MEMBERS]; /* of a member in the request */
	struct plan_request request;
};

static const char *value_text(int key, int value)
{
	static char text[16];
	snprintf(text, sizeof(text), "%c%d", key_names[key][0], value);
	return text;
}

static struct node_spec *make_node(struct fleet *fleet, const struct tnode *node)
{
	struct node_spec *spec = spec_simple(fleet, node->name, node->gpus ? H100 : NO_GPUS, node->gpus);
	spec_amount(spec, RESOURCE_CPU, node->cpu, node->cpu);
	spec_amount(spec, RESOURCE_PODS, node->pods, node->pods);
	for (int key = 0; key < KEYS; key++)
		if (node->label[key] >= 0)
			spec_label(spec, key_names[key], value_text(key, node->label[key]));
	if (node->red)
		spec_taint(spec, "team", "red", TAINT_NO_SCHEDULE);
	if (node->error)
		spec_taint(spec, "gpu-error", "", TAINT_NO_EXECUTE);
	spec->ready = node->ready;
	spec->unschedulable = node->cordoned;
	return spec;
}

static void app_selector(struct arena *arena, int app, bool *nobody, struct selector *selector)
{
	*nobody = app == NO_APP;
	if (app == NO_APP || app == ANY_APP)
		return;
	struct node_term term = term_of(arena, "app", SELECTOR_IN, apps[app]);
	*selector = term.expressions;
}

static struct pod_term *make_terms(struct arena *arena, const struct term *terms, int count)
{
	struct pod_term *made = arena_calloc(arena, (size_t)count + 1, sizeof(*made));
	for (int i = 0; i < count; i++) {
		made[i].topology_key = key_names[terms[i].key];
		made[i].all_namespaces = terms[i].all_spaces;
		if (terms[i].other_space) {
			made[i].namespace_count = 1;
			made[i].namespaces = arena_calloc(arena, 1, sizeof(char *));
			made[i].namespaces[0] = spaces[1];
		}
		app_selector(arena, terms[i].app, &made[i].nobody, &made[i].selector);
	}
	return made;
}

static void make_asks(struct pod *pod, const struct type *type)
{
	struct arena *arena = &pod->arena;
	pod->affinity_count = (size_t)type->affinity_count;
	pod->affinity = make_terms(arena, type->affinity, type->affinity_count);
	pod->anti_affinity_count = (size_t)type->anti_count;
	pod->anti_affinity = make_terms(arena, type->anti, type->anti_count);
	pod->spread_count = (size_t)type->spread_count;
	pod->spread = arena_calloc(arena, TERMS, sizeof(*pod->spread));
	for (int i = 0; i < type->spread_count; i++) {
		pod->spread[i] = (struct spread_constraint){.topology_key = key_names[type->spread[i].key],
		    .max_skew = type->spread[i].skew,
		    .min_domains = type->spread[i].domains,
		    .any_affinity = type->spread[i].any_affinity,
		    .honor_taints = type->spread[i].honor_taints};
		app_selector(arena, type->spread[i].app, &pod->spread[i].nobody, &pod->spread[i].selector);
	}
}

/* In the order of the keys. */
static void pod_label(struct pod *pod, const char *key, const char *value)
{
	pod->labels.items[pod->labels.count++] =
	    (struct label){copy_text(&pod->arena, key), copy_text(&pod->arena, value)};
}

static struct pod *make_member(struct fleet *fleet, const struct instance *instance, int m)
{
	const struct type *type = &instance->types[instance->members[m].type];
	char text[16];
	snprintf(text, sizeof(text), "m%02d", m);
	struct pod *pod = pod_simple(fleet, text, type->cpu, type->gpus);
	pod->namespace_ = spaces[type->space];
	pod_label(pod, "app", apps[type->app]);
	pod_label(pod, "index", text);
	if (type->tolerates)
		pod_tolerates(pod, "", NULL);
	if (type->disk >= 0) {
		pod->node_selector_count = 1;
		pod->node_selector = arena_calloc(&pod->arena, 1, sizeof(*pod->node_selector));
		*pod->node_selector = (struct label){"disk", copy_text(&pod->arena, value_text(KEY_DISK, type->disk))};
	}
	if (type->not_zone >= 0)
		pod_requires(pod, "zone", SELECTOR_NOT_IN, value_text(KEY_ZONE, type->not_zone));
	if (type->volume_zone >= 0) {
		pod->volume_count = 1;
		pod->volumes = arena_calloc(&pod->arena, 1, sizeof(*pod->volumes));
		pod->volumes->count = 1;
		pod->volumes->terms = arena_calloc(&pod->arena, 1, sizeof(*pod->volumes->terms));
		*pod->volumes->terms =
		    term_of(&pod->arena, "zone", SELECTOR_IN, value_text(KEY_ZONE, type->volume_zone));
	}
	make_asks(pod, type);
	return pod;
}

static void make_bound(struct made *made, const struct instance *instance, int n)
{
	for (int i = 0; i < instance->nodes[n].bound_count; i++) {
		const struct bound *bound = &instance->nodes[n].bound[i];
		char text[32];
		snprintf(text, sizeof(text), "o%d-%d", n % NODES, i % 10);
		struct pod *pod = pod_simple(made->fleet, text, bound->cpu, bound->gpus);
		pod->namespace_ = spaces[bound->space];
		pod_label(pod, "app", apps[bound->app]);
		ledger_reserve(made->fleet, pod, slice_of(instance->nodes[n].name), LEDGER_BOUND, bound->ours, 0, 0);
		made->others[made->other_count++] = pod;
	}
}

static int level_of(int level)
{
	return level == HOST ? TOPOLOGY_HOST : level < 0 ? PLAN_NO_LEVEL : level;
}

static struct plan_topology topology_of(const struct topo *topo)
{
	return (struct plan_topology){level_of(topo->require), level_of(topo->prefer), (size_t)topo->segment,
	    topo->segment ? level_of(topo->segment_level) : PLAN_NO_LEVEL};
}

static void make_names(const struct instance *instance, unsigned mask, const char **into, struct plan_names *names)
{
	names->names = into;
	for (int n = 0; n < instance->node_count; n++)
		if (mask >> n & 1)
			into[names->count++] = instance->nodes[n].name;
}

/* `turned`: nodes and members in the opposite order. */
static void make(struct made *made, const struct instance *instance, bool turned)
{
	*made = (struct made){.fleet = fleet_new(&world_catalogue), .policy = policy_world()};
	made->policy->level_count = LEVELS;
	for (int level = 0; level < LEVELS; level++)
		made->policy->levels[level] =
		    (struct policy_level){.name = key_names[level], .node_label = key_names[level]};
	fleet_set_policy(made->fleet, made->policy);
	for (int i = 0; i < instance->node_count; i++) {
		int n = turned ? instance->node_count - 1 - i : i;
		fleet_put_node(made->fleet, make_node(made->fleet, &instance->nodes[n]));
		make_bound(made, instance, n);
	}
	for (int i = 0; i < instance->member_count; i++) {
		int m = turned ? instance->member_count - 1 - i : i;
		const struct tmember *from = &instance->members[m];
		struct plan_member *member = &made->members[i];
		int where = from->fixed >= 0 ? from->fixed : from->planned;
		made->place[m] = i;
		made->pods[i] = make_member(made->fleet, instance, m);
		*member = (struct plan_member){
		    .pod = made->pods[i], .rank = from->rank, .group = (uint16_t)from->group, .limited = from->only};
		make_names(instance, from->only, made->only[i], &member->only);
		make_names(instance, from->never, made->never[i], &member->never);
		if (where >= 0)
			ledger_reserve(made->fleet, made->pods[i], slice_of(instance->nodes[where].name),
			    from->fixed >= 0 ? LEDGER_BOUND : LEDGER_PLANNED, true, 0, SECOND);
		if (from->fixed >= 0)
			member->fixed = fleet_find(made->fleet, slice_of(instance->nodes[where].name));
	}
	for (int g = 0; g < instance->group_count; g++)
		made->groups[g] = (struct plan_group){
		    "group", (size_t)instance->group_quorum[g], topology_of(&instance->group_topo[g])};
	made->request = (struct plan_request){.count = (size_t)instance->member_count,
	    .members = made->members,
	    .group_count = (size_t)instance->group_count,
	    .groups = made->groups,
	    .quorum = (size_t)instance->quorum,
	    .topology = topology_of(&instance->topo)};
}

static void unmake(struct made *made)
{
	fleet_free(made->fleet);
	policy_free(made->policy);
	for (size_t i = 0; i < made->request.count; i++)
		pod_free(made->pods[i]);
	for (size_t i = 0; i < made->other_count; i++)
		pod_free(made->others[i]);
}

#endif
