/* The placement policy as the core uses it: what policy/compile made of the YAML file. Plain data in one arena; a fleet
 * keeps a pointer to the one in force. Indexes into pools and classes are stable for its life. */
#ifndef BERTH_POLICY_H
#define BERTH_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/arena.h"
#include "berth/labels.h"
#include "berth/node.h"
#include "berth/pod.h"

#define POLICY_POOLS_MAX 256
#define POLICY_CLASSES_MAX 256
#define POLICY_TEAMS_MAX 256
#define POLICY_TEAM_DEPTH 8 /* teams one above the other */
#define POLICY_UNLISTED "unlisted"
#define POLICY_HASH_LEN 16

struct policy_level {
	const char *name, *node_label;
	size_t older_count; /* labels that say the same by older names: the first that a node carries counts */
	const char **older;
	bool up_to_last_dot; /* of the label's value, what stands before its last '.' */
};

/* One way to cut the GPUs of a node, by the name that NVIDIA's MIG manager knows it by. */
struct policy_mig_config {
	const char *name;
	size_t slice_count;
	struct policy_mig_slices {
		const char *profile; /* as resources name it: "1g.10gb", "1g.10gb.me" */
		int64_t per_gpu;
	} * slices;
};

/* Whether and how nodes of a pool are cut anew where slices are short: see berth/repartition.h. */
struct policy_mig {
	size_t config_count;
	struct policy_mig_config *configs; /* the first that helps is taken */
	int64_t after_ns;                  /* so long slices are short before */
	int64_t deadline_ns;               /* of each step */
	int64_t idle_for_ns;               /* so long slices are idle before whole GPUs are given back */
	int64_t back_after_ns;             /* … although nobody waits for them; 0 = never */
	int64_t retry_after_ns;            /* so long a node on which it failed is not tried again */
	size_t max_nodes;                  /* at a time, those in use included */
};

struct policy_pool {
	const char *name;
	const char *gpu;              /* catalogue model name, or NULL */
	struct selector selector;     /* on node labels; used when gpu is NULL, or with it */
	const struct policy_mig *mig; /* NULL: its nodes are never cut anew */
};

/* One alternative of a class's match; all given keys must hold. */
struct policy_match {
	size_t namespace_count;
	const char **namespaces; /* globs */
	size_t owner_count;
	const char **owners; /* kinds */
	size_t label_count;
	struct label *pod_labels; /* values are globs */
	int64_t gang_gpus_min;    /* GPUs that the pod's gang asks for in all; 0 = any, and no gang needed */
};

/* How gangs of a class are treated. Levels are indexes, TOPOLOGY_HOST, or -1 where the class does not say. */
struct policy_gang {
	int require, prefer;
	int64_t members_within_ns; /* from the first member to the quorum, or the gang lets go of what it holds */
	int64_t
	    hold_domain_after_ns; /* a complete gang that starves so long keeps the cheapest domain from later pods */
	int64_t reserve_after_ns; /* one that waits so long is promised a start, where one can be told; -1 = none is */
	bool restart_on_loss;     /* onNodeLoss: restart; else replace */
};

/* How work of a class is ended for other work. */
/* Of which gangs members beyond the quorum may end one by one: those whose own kind says that it bears that, all that
 * are larger than their quorum, or none. */
enum policy_surplus { SURPLUS_ELASTIC, SURPLUS_ANY, SURPLUS_NONE };

struct policy_victim {
	int64_t min_runtime_ns; /* since its start, or its resumption, in which it is not ended */
	int64_t grace_ns;       /* notice before the act */
	bool evict;             /* also where nothing is known to make it anew */
	enum policy_surplus surplus;
};

/* The score terms that a class may weigh; core/score says what each measures. Order here is the order of explanation.
 */
#define SCORE_TERMS(X)                                                                                                 \
	X(PREFER_NO_SCHEDULE, "preferNoSchedule",                                                                      \
	    1000.0)                              /* no PreferNoSchedule taint that the pod does not tolerate */        \
	X(NODE_AFFINITY, "nodeAffinity", 1000.0) /* share of the preferred node affinity's weights met */              \
	X(MODEL_FIT, "modelFit", 100.0)          /* place of the node's pool in the class's prefer list */             \
	X(SIBLINGS_APART, "siblingsApart", 50.0) /* few siblings in the same domain, where replicas.spreadOver */      \
	X(BEST_FIT, "bestFit", 10.0)             /* few GPUs (for a pod without: little CPU) left free here */         \
	X(WHOLE_NODES, "wholeNodes", 8.0)        /* does not break into an empty GPU node */                           \
	X(MEMORY_FIT, "memoryFit", 4.0)          /* GPU memory close to what berth.dev/gpu-memory says */              \
	X(COST, "cost", 2.0)                     /* cheap GPUs by the catalogue */

enum score_term {
#define X(id, name, weight) SCORE_##id,
	SCORE_TERMS(X)
#undef X
	    SCORE_TERM_COUNT
};

struct policy_class {
	const char *name;
	bool has_match; /* a class without match is reached by name or as fallback only */
	size_t match_count;
	struct policy_match *matches;
	bool has_only;
	size_t only_count;
	uint16_t *only; /* pools */
	size_t prefer_count;
	uint16_t *prefer; /* pools, best first */
	size_t may_preempt_count;
	uint16_t *may_preempt;    /* classes whose pods may be victims of this one's */
	uint32_t assume;          /* dtypes */
	int spread_level;         /* replicas.spreadOver: level index; level_count = host; -1 = none */
	int64_t max_gpus_per_pod; /* 0 = no limit */
	bool advise;              /* mode: advise; its pods are told all nodes that fit, scored */
	double weights[SCORE_TERM_COUNT];
	struct policy_gang gang;     /* the defaults where the class has none */
	struct policy_victim victim; /* asVictim */
	bool gated;                  /* named under gate: its pods wait behind berth's gate */
};

/* Whether units of work are ended for pods that may preempt them: not at all, reported only, or done. */
enum policy_moves_mode { MOVES_OFF, MOVES_OBSERVE, MOVES_ACT };

struct policy_moves {
	enum policy_moves_mode mode;
	int64_t cooldown_ns, give_back_after_ns;
	unsigned per_unit_and_day;
	bool kueue; /* what Kueue manages is ended, too: its Workload is deactivated */
};

struct policy_avoid {
	const char *condition, *is; /* node condition type and status, or … */
	const char *taint_key;      /* … a taint's key */
};

#define POLICY_HEADROOMS_MAX 32

#define POLICY_SIGNALS_MAX 32

enum signal_source { SIGNAL_QUERY, SIGNAL_AUTOSCALERS, SIGNAL_PENDING_PODS };

/* What says how much load a class has: see berth/signal.h. */
struct policy_signal {
	const char *name;
	uint16_t for_; /* class */
	enum signal_source source;
	const char *query; /* of SIGNAL_QUERY */
	double gpus_per;   /* GPUs that one of its units is worth */
	double peak_above; /* the peak is on while its value is above this */
};

struct policy_signals {
	size_t count;
	struct policy_signal *items;
	int64_t stale_after_ns;
	const char *url, *token_file, *ca_file; /* of Prometheus; NULL = none */
	int64_t every_ns;
};

/* GPUs of a pool that are a class's own: see berth/headroom.h. When, by local clocks; core knows only whether. */
struct policy_headroom {
	uint16_t for_, pool;
	int64_t gpus, chunk, margin;
	size_t lend_count;
	uint16_t *lend_to; /* classes */
	uint32_t follows;  /* signals, a bit each; 0 = none */
	int64_t follow_max, hold_ns;
	bool has_when;
	uint8_t days; /* a bit each, Monday the lowest */
	int16_t from_minute, to_minute;
	const char *time_zone;
};

/* When a node on which pods do not start is left alone: see berth/quarantine.h. */
struct policy_quarantine {
	uint32_t after; /* failed starts; 0 = never */
	int64_t within_ns, release_ns;
};

/* Amounts are by pool, in thousandths of a GPU. The last team is that of the namespaces in no other. */
struct policy_team {
	const char *name;
	size_t namespace_count;
	const char **namespaces; /* globs */
	uint16_t parent;         /* index, or TEAM_NONE */
	double weight;           /* among those who borrow */
	int64_t *guaranteed;     /* 0 = nothing */
	int64_t *limit;          /* -1 = none */
};

struct policy {
	struct arena arena;
	char hash[POLICY_HASH_LEN + 1]; /* hex of a hash of the file's bytes */
	size_t level_count;
	struct policy_level levels[TOPOLOGY_LEVELS_MAX]; /* widest first; the host is implied */
	size_t pool_count;
	struct policy_pool *pools;
	size_t class_count;
	struct policy_class *classes;
	uint16_t fallback; /* class */
	size_t team_count; /* 0: the policy has no teams */
	struct policy_team *teams;
	size_t avoid_count;
	struct policy_avoid *avoid;
	struct policy_quarantine quarantine;
	size_t headroom_count;
	struct policy_headroom *headroom;
	bool reserves; /* some class has reserveAfter */
	bool expects;  /* … or some pool has mig: how long pods run is of use */
	struct policy_signals signals;
	bool gates;               /* some class is gated */
	int64_t release_after_ns; /* no pod stays gated for longer once no berth is active */
	struct policy_moves moves;
	int64_t scale_up_after_ns; /* a complete gang without room is ungated after so long: autoscalers see it then */
};

void policy_free(struct policy *policy);
/* The pool of a node by its labels and model; POOL_NONE when in none or in two, which *in_two tells. */
uint16_t policy_pool_of(const struct policy *policy, const struct node_spec *spec, bool *in_two);
/* The domain of a level that a node's labels name; `at` is NULL where they name none. Points into the labels. */
struct slice policy_level_value(const struct policy_level *level, const struct labels *labels);
bool policy_avoids(const struct policy *policy, const struct node_spec *spec);
/* The class of a pod: the one it names among those whose match it meets plus the fallback and classes without match;
 * else the first whose match it meets; else the fallback. NULL with *why CLASS_UNKNOWN or CLASS_NOT_FOR_POD. */
const struct policy_class *policy_class_of(const struct policy *policy, const struct pod *pod, enum reason *why);

/* The class a pod falls in by its match alone, whatever it names: this one's only and max* hold for it in any case. */
const struct policy_class *policy_class_matched(const struct policy *policy, const struct pod *pod);

bool policy_may_preempt(
    const struct policy *policy, const struct policy_class *class_, const struct policy_class *victim);

const char *score_term_name(enum score_term term);
double score_term_default_weight(enum score_term term);

#endif
