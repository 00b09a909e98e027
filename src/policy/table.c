#include "policy/table.h"

#include "berth/gpu.h"
#include "policy/doc.h"
#include "policy/preset.h"
#include "policy/table_part.h"

static const char *api_version_word(size_t i)
{
	return i == 0 ? POLICY_API_VERSION : NULL;
}

static const char *kind_word(size_t i)
{
	return i == 0 ? POLICY_KIND : NULL;
}

static const char *status_word(size_t i)
{
	static const char *const words[] = {"True", "False", "Unknown"};

	return word_at(words, sizeof words / sizeof *words, i);
}

static const char *mode_word(size_t i)
{
	static const char *const words[] = {"decide", "advise"};

	return word_at(words, sizeof words / sizeof *words, i);
}

static const char *dtype_word(size_t i)
{
	return i < DTYPE_COUNT ? dtype_name((enum dtype)i) : NULL;
}

static const char *up_to_word(size_t i)
{
	return i == 0 ? UP_TO_LAST_DOT : NULL;
}

static const char *loss_word(size_t i)
{
	static const char *const words[] = {"replace", "restart"};

	return word_at(words, sizeof words / sizeof *words, i);
}

static const char *unit_word(size_t i)
{
	return i == 0 ? "gang" : NULL;
}

static const char *surplus_word(size_t i)
{
	static const char *const words[] = {"elastic", "any", "none"};

	return word_at(words, sizeof words / sizeof *words, i);
}

static const struct field level_fields[] = {
    {.key = "level",
        .offset = offsetof(struct doc_level, level),
        .choice = true,
        .with = "nodeLabel",
        .rule = TEXT_NAME,
        .help = "Name of the level, for gang and replicas.spreadOver; host is implied and cannot be named."},
    {.key = "nodeLabel",
        .offset = offsetof(struct doc_level, node_label),
        .with = "level",
        .rule = TEXT_LABEL_KEY,
        .help = "Node label whose value names the domain that a node is in."},
    {.key = "upTo",
        .offset = offsetof(struct doc_level, up_to),
        .with = "nodeLabel",
        .word = up_to_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .default_text = "the whole value",
        .help = "How much of the label's value counts: what stands before its last dot."},
    {.key = "preset",
        .offset = offsetof(struct doc_level, preset),
        .choice = true,
        .word = preset_name,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .help = "Levels by the labels of a known source, instead of level and nodeLabel."},
    {.key = "levels",
        .offset = offsetof(struct doc_level, levels),
        .list_max = TOPOLOGY_LEVELS_MAX,
        .with = "preset",
        .rule = TEXT_NAME,
        .default_text = "those that every cluster of its kind has",
        .help = "Which levels of the preset the cluster has."},
};
static const struct object level_object = {
    .name = "level",
    .help = "One level of the topology, or a preset of some.",
    .size = sizeof(struct doc_level),
    .choice = CHOICE_EXACTLY_ONE,
    .choice_problem = PROBLEM_BAD_COMBINATION,
    FIELDS(level_fields),
};

static const struct field gang_gpus_fields[] = {
    {.key = "min",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_gang_gpus, min),
        .required = true,
        .min = 1,
        .max = GANG_GPUS_MAX,
        .default_text = "no limit",
        .help = "The fewest GPUs, slices or shares."},
};
static const struct object gang_gpus_object = {
    .name = "gangGPUs",
    .help = "What the members of a gang ask for in all.",
    .size = sizeof(struct doc_gang_gpus),
    FIELDS(gang_gpus_fields),
};

static const struct field match_fields[] = {
    {.key = "namespaces",
        .offset = offsetof(struct doc_match, namespaces),
        .list_max = DOC_TEXTS_MAX,
        .rule = TEXT_NAMESPACE_GLOB,
        .help = "The pod's namespace is one of these; * and ? match as in a shell."},
    {.key = "owners",
        .offset = offsetof(struct doc_match, owners),
        .list_max = DOC_TEXTS_MAX,
        .rule = TEXT_KIND,
        .help = "A controller of the pod, or one further up the chain, is of one of these kinds."},
    {.key = "podLabels",
        .kind = FIELD_LABELS,
        .offset = offsetof(struct doc_match, pod_labels),
        .list_max = DOC_LABELS_MAX,
        .rule = TEXT_LABEL_GLOB,
        .help = "The pod has all of these labels; * and ? match as in a shell."},
    {.key = "gangGPUs",
        .kind = FIELD_OBJECT,
        .object = &gang_gpus_object,
        .offset = offsetof(struct doc_match, gang_gpus),
        .help = "The pod is one of a gang that asks for so many GPUs in all; no match while that is not known."},
};
static const struct object match_object = {
    .name = "match",
    .help = "One alternative; all of its keys must hold. {} is every pod.",
    .size = sizeof(struct doc_match),
    FIELDS(match_fields),
};

static const struct field replicas_fields[] = {
    {.key = "spreadOver",
        .offset = offsetof(struct doc_replicas, spread_over),
        .required = true,
        .rule = TEXT_NAME,
        .help = "Pods of one owner are kept apart over domains of this level of the topology, or over hosts (host)."},
};
static const struct object replicas_object = {
    .name = "replicas",
    .help = "What holds among pods of one owner.",
    .size = sizeof(struct doc_replicas),
    FIELDS(replicas_fields),
};

static const struct field gang_fields[] = {
    {.key = "require",
        .offset = offsetof(struct doc_gang, require),
        .rule = TEXT_NAME,
        .default_text = "none",
        .help = "All members stand in one domain of this level of the topology, or on one host (host). Hard; what a "
                "gang says itself counts instead."},
    {.key = "prefer",
        .offset = offsetof(struct doc_gang, prefer),
        .rule = TEXT_NAME,
        .default_text = "as near as can be",
        .help = "The same if it can be."},
    {.key = "membersWithin",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_gang, members_within),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = MEMBERS_WITHIN_DEFAULT,
        .help = "How long members may be missing, or not get on, before a gang that was never whole holds nothing any "
                "more: "
                "what is bound of it is taken back."},
    {.key = "holdDomainAfter",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_gang, hold_domain_after),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = HOLD_DOMAIN_AFTER_DEFAULT,
        .help = "How long a complete gang waits for room before a domain is kept free of later pods for it, and what a "
                "move has suspended before it is where it stood."},
    {.key = "reserveAfter",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_gang, reserve_after),
        .min = 0,
        .max = DURATION_MAX,
        .help = "How long a complete gang, the first in line for a pool, waits for room before it is promised a start, "
                "where run "
                "times tell one (berth.dev/expected-runtime, or learned): its nodes take later pods only if they end, "
                "or may be ended, before it."},
    {.key = "onNodeLoss",
        .offset = offsetof(struct doc_gang, on_node_loss),
        .word = loss_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .default_text = "replace",
        .help = "When a node fails under a member: replace the member near its peers, or restart the whole gang; that "
                "also when a health rule avoids the node of a member with GPUs."},
};
static const struct object gang_object = {
    .name = "gang",
    .help = "What holds for gangs of the class.",
    .size = sizeof(struct doc_gang),
    .needs_key = true,
    FIELDS(gang_fields),
};

static const struct field victim_fields[] = {
    {.key = "unit",
        .offset = offsetof(struct doc_victim, unit),
        .word = unit_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .default_text = "gang",
        .help = "What is ended at once: all pods under the topmost owner that can be suspended, or all of a gang; "
                "pods that are evicted are each a gang of one."},
    {.key = "minRuntime",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_victim, min_runtime),
        .min = 0,
        .max = DURATION_MAX,
        .default_text = MIN_RUNTIME_DEFAULT,
        .help = "How long it runs at least, from its start and from each resumption on."},
    {.key = "grace",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_victim, grace),
        .min = 0,
        .max = DURATION_MAX,
        .default_text = VICTIM_GRACE_DEFAULT,
        .help = "Notice before it is ended: an Event and the annotation berth.dev/ending-at. The pods' own termination "
                "grace comes after."},
    {.key = "evict",
        .kind = FIELD_BOOLEAN,
        .offset = offsetof(struct doc_victim, evict),
        .default_text = "false",
        .help = "Whether pods that nothing is known to make anew may be ended, too: those without a controller or with "
                "one of an unknown kind."},
    {.key = "surplus",
        .offset = offsetof(struct doc_victim, surplus),
        .word = surplus_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .default_text = "elastic",
        .help =
            "Of which gangs members beyond the quorum may end one by one, to be made anew when the room is given "
            "back: of those whose kind says that it bears it (elasticPolicy.minReplicas, Ray's autoscaling), of any "
            "that is larger than its quorum, or of none."},
};
static const struct object victim_object = {
    .name = "asVictim",
    .help = "How work of the class is ended for other work that has the right to it.",
    .size = sizeof(struct doc_victim),
    .needs_key = true,
    FIELDS(victim_fields),
};

static const struct field weight_fields[] = {
#define X(id, name, weight)                                                                                            \
	{.key = (name),                                                                                                \
	    .kind = FIELD_NUMBER,                                                                                      \
	    .offset = offsetof(struct doc_weights, terms[SCORE_##id]),                                                 \
	    .min = 0,                                                                                                  \
	    .max = WEIGHT_MAX,                                                                                         \
	    .fallback = (weight),                                                                                      \
	    .help = "Weight of this score term; 0 leaves it out."},
    SCORE_TERMS(X)
#undef X
};
static const char *const weight_synonyms[] = {"pack", "bestFit", "binPack", "bestFit", "mostAllocated", "bestFit",
    "spread", "siblingsApart", "prefer", "modelFit", "price", "cost", "memory", "memoryFit", "affinity", "nodeAffinity",
    NULL};
static const struct object weights_object = {
    .name = "place",
    .help = "Weights of the score terms, instead of the default ones.",
    .size = sizeof(struct doc_weights),
    .needs_key = true,
    .synonyms = weight_synonyms,
    FIELDS(weight_fields),
};

static const struct field class_fields[] = {
    {.key = "name",
        .offset = offsetof(struct doc_class, name),
        .required = true,
        .rule = TEXT_NAME,
        .help = "Name of the class; a pod may ask for it by berth.dev/class."},
    {.key = "match",
        .kind = FIELD_OBJECT,
        .object = &match_object,
        .list_max = DOC_CHOICES_MAX,
        .offset = offsetof(struct doc_class, match),
        .help =
            "Alternatives, one of which must hold. Without it the class is reached by its name or as fallback only."},
    {.key = "only",
        .offset = offsetof(struct doc_class, only),
        .list_max = POLICY_POOLS_MAX,
        .rule = TEXT_NAME,
        .help = "Pools that pods with GPUs may go to. Hard: a pod that asks for anything else is misconfigured."},
    {.key = "prefer",
        .offset = offsetof(struct doc_class, prefer),
        .list_max = POLICY_POOLS_MAX,
        .rule = TEXT_NAME,
        .help = "Pools, best first. A score, never a filter; of more than four, the default weight of modelFit "
                "grows with their number."},
    {.key = "assume",
        .offset = offsetof(struct doc_class, assume),
        .list_max = DTYPE_COUNT,
        .word = dtype_word,
        .word_problem = PROBLEM_UNKNOWN_DTYPE,
        .help = "Number formats that the GPUs must know unless the pod says berth.dev/dtype."},
    {.key = "replicas",
        .kind = FIELD_OBJECT,
        .object = &replicas_object,
        .offset = offsetof(struct doc_class, replicas),
        .help = "What holds among pods of one owner."},
    {.key = "maxGPUsPerPod",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_class, max_gpus_per_pod),
        .min = 1,
        .max = GPUS_PER_POD_MAX,
        .default_text = "no limit",
        .help =
            "The most GPUs, slices or shares that a pod may ask for. Hard: a pod that asks for more is misconfigured."},
    {.key = "mayPreempt",
        .offset = offsetof(struct doc_class, may_preempt),
        .list_max = POLICY_CLASSES_MAX,
        .rule = TEXT_NAME,
        .default_text = "none",
        .help = "Classes whose pods may be evicted for a pod of this one that has a higher priority, gangs excepted."},
    {.key = "mode",
        .offset = offsetof(struct doc_class, mode),
        .word = mode_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .default_text = "decide",
        .help = "decide: kube-scheduler is told one node. advise: it is told all nodes that will do, scored, and its "
                "own scores choose among the best; pods with soft spread or soft pod affinity go so in any case."},
    {.key = "gang",
        .kind = FIELD_OBJECT,
        .object = &gang_object,
        .offset = offsetof(struct doc_class, gang),
        .help = "What holds for gangs of the class."},
    {.key = "asVictim",
        .kind = FIELD_OBJECT,
        .object = &victim_object,
        .offset = offsetof(struct doc_class, as_victim),
        .help = "How work of the class is ended for other work that has the right to it."},
    {.key = "place",
        .kind = FIELD_OBJECT,
        .object = &weights_object,
        .offset = offsetof(struct doc_class, place),
        .help = "Weights of the score terms, instead of the default ones."},
};
static const struct object class_object = {
    .name = "class",
    .help = "A kind of work, and what holds for its pods.",
    .size = sizeof(struct doc_class),
    FIELDS(class_fields),
};

static const struct field avoid_fields[] = {
    {.key = "nodeCondition",
        .offset = offsetof(struct doc_avoid, node_condition),
        .choice = true,
        .with = "is",
        .rule = TEXT_LABEL_KEY,
        .help = "Type of a node condition."},
    {.key = "is",
        .offset = offsetof(struct doc_avoid, is),
        .with = "nodeCondition",
        .word = status_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .help = "Status at which the node is avoided, in quotes: \"True\"."},
    {.key = "taintKey",
        .offset = offsetof(struct doc_avoid, taint_key),
        .choice = true,
        .rule = TEXT_LABEL_KEY,
        .help = "Key of a taint, whatever its value and effect."},
};
static const struct object avoid_object = {
    .name = "avoid",
    .help = "A sign that a node is not well: a condition or a taint.",
    .size = sizeof(struct doc_avoid),
    .choice = CHOICE_EXACTLY_ONE,
    .choice_problem = PROBLEM_BAD_COMBINATION,
    FIELDS(avoid_fields),
};

static const struct field quarantine_fields[] = {
    {.key = "afterFailedStarts",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_quarantine, after_failed_starts),
        .min = 0,
        .max = FAILED_STARTS_MAX,
        .default_text = FAILED_STARTS_DEFAULT,
        .help = "How many starts of pods of different owners fail on a node on which others start before it is left "
                "alone. Where nothing starts between, the second owner's failure decides. 0: no node ever is."},
    {.key = "within",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_quarantine, within),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = FAILED_WITHIN_DEFAULT,
        .help = "How long a failed start counts."},
    {.key = "release",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_quarantine, release),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = QUARANTINE_RELEASE_DEFAULT,
        .help = "How long the node is left alone, unless a person releases it before: berth quarantine release NODE."},
};
static const struct object quarantine_object = {
    .name = "quarantine",
    .help = "Nodes on which pods of different owners fail to start are left alone for a while.",
    .size = sizeof(struct doc_quarantine),
    .needs_key = true,
    FIELDS(quarantine_fields),
};

static const struct field health_fields[] = {
    {.key = "avoid",
        .kind = FIELD_OBJECT,
        .object = &avoid_object,
        .list_max = DOC_CHOICES_MAX,
        .offset = offsetof(struct doc_health, avoid),
        .help = "No pods are placed on nodes that show one of these."},
    {.key = "quarantine",
        .kind = FIELD_OBJECT,
        .object = &quarantine_object,
        .offset = offsetof(struct doc_health, quarantine),
        .default_text = "on",
        .help = "Nodes on which pods of different owners fail to start are left alone for a while."},
};
static const struct object health_object = {
    .name = "health",
    .help = "Which nodes are not well.",
    .size = sizeof(struct doc_health),
    .needs_key = true,
    FIELDS(health_fields),
};

static const struct field when_fields[] = {
    {.key = "days",
        .offset = offsetof(struct doc_when, days),
        .default_text = WHEN_DAYS_DEFAULT,
        .help = "Days on which it begins: mon-fri, or \"sat,sun\" in quotes; what ends on the next day belongs to the "
                "day before."},
    {.key = "from",
        .offset = offsetof(struct doc_when, from),
        .default_text = WHEN_FROM_DEFAULT,
        .help = "When it begins, by the clocks of the time zone: \"08:00\", in quotes."},
    {.key = "to",
        .offset = offsetof(struct doc_when, to),
        .default_text = WHEN_TO_DEFAULT,
        .help = "When it ends, up to \"24:00\"; no later than it begins means on the next day."},
    {.key = "timeZone",
        .offset = offsetof(struct doc_when, time_zone),
        .default_text = WHEN_ZONE_DEFAULT,
        .help = "A time zone of the IANA database, such as Europe/Berlin: summer time is that of the zone."},
};
static const struct object when_object = {
    .name = "when",
    .help = "Hours of the week.",
    .size = sizeof(struct doc_when),
    .needs_key = true,
    FIELDS(when_fields),
};

static const struct field headroom_fields[] = {
    {.key = "for",
        .offset = offsetof(struct doc_headroom, for_),
        .required = true,
        .rule = TEXT_NAME,
        .help = "The class whose own the GPUs are."},
    {.key = "pool",
        .offset = offsetof(struct doc_headroom, pool),
        .required = true,
        .rule = TEXT_NAME,
        .help = "The pool they are of."},
    {.key = "gpus",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_headroom, gpus),
        .required = true,
        .min = 1,
        .max = HEADROOM_GPUS_MAX,
        .help = "How many the class has for itself, those that it uses included: what it does not use is kept free."},
    {.key = "inChunksOf",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_headroom, in_chunks_of),
        .min = 1,
        .max = HEADROOM_GPUS_MAX,
        .default_text = "1",
        .help = "So many are kept together: on one node or, of more than a node has, on whole nodes of one domain of "
                "the topology."},
    {.key = "margin",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_headroom, margin),
        .min = 0,
        .max = HEADROOM_GPUS_MAX,
        .default_text = "0",
        .help = "So many are kept free beyond what the class uses, however much that is."},
    {.key = "lendTo",
        .offset = offsetof(struct doc_headroom, lend_to),
        .list_max = POLICY_CLASSES_MAX,
        .rule = TEXT_NAME,
        .default_text = "none",
        .help = "Classes that may use them while the time is not there, for work that may be ended before it is: whose "
                "minRuntime and grace are over by then."},
    {.key = "follow",
        .kind = FIELD_OBJECT,
        .object = &follow_object,
        .offset = offsetof(struct doc_headroom, follow),
        .default_text = "nothing",
        .help = "How many it has for itself follows signals of load, upwards from gpus."},
    {.key = "when",
        .kind = FIELD_OBJECT,
        .object = &when_object,
        .offset = offsetof(struct doc_headroom, when),
        .default_text = "always",
        .help = "When they are kept free."},
};
static const struct object headroom_object = {
    .name = "headroom",
    .help = "GPUs that are kept free for a class.",
    .size = sizeof(struct doc_headroom),
    FIELDS(headroom_fields),
};

static const struct field team_fields[] = {
    {.key = "name",
        .offset = offsetof(struct doc_team, name),
        .required = true,
        .rule = TEXT_NAME,
        .help = "Name of the team; unlisted is the one of all namespaces that no team names."},
    {.key = "namespaces",
        .offset = offsetof(struct doc_team, namespaces),
        .list_max = DOC_TEXTS_MAX,
        .rule = TEXT_NAMESPACE_GLOB,
        .default_text = "none of its own",
        .help = "Namespaces whose pods count for the team; * and ? match as in a shell. The first team that names a "
                "namespace has it."},
    {.key = "parent",
        .offset = offsetof(struct doc_team, parent),
        .rule = TEXT_NAME,
        .default_text = "none",
        .help = "Team above this one: what this one uses counts for that one, too, within its limit, and what that one "
                "is guaranteed beyond its teams' own guarantees they may all use."},
    {.key = "guaranteed",
        .kind = FIELD_AMOUNTS,
        .offset = offsetof(struct doc_team, guaranteed),
        .list_max = POLICY_POOLS_MAX,
        .min = 0,
        .max = TEAM_GPUS_MAX,
        .default_text = "nothing",
        .help = "GPUs by pool up to which the team comes before all who borrow. What it does not use others may."},
    {.key = "limit",
        .kind = FIELD_AMOUNTS,
        .offset = offsetof(struct doc_team, limit),
        .list_max = POLICY_POOLS_MAX,
        .min = 0,
        .max = TEAM_GPUS_MAX,
        .default_text = "no limit",
        .help = "GPUs by pool that the team never goes over, slices and shares counted by their part of a GPU."},
    {.key = "weight",
        .kind = FIELD_NUMBER,
        .offset = offsetof(struct doc_team, weight),
        .min = 1,
        .max = WEIGHT_MAX,
        .fallback = 1,
        .help = "The team's part, beside those of others, of what nobody is guaranteed or uses."},
};
static const struct object team_object = {
    .name = "team",
    .help = "Namespaces that share GPUs, and how many of them.",
    .size = sizeof(struct doc_team),
    FIELDS(team_fields),
};

static const struct field unlisted_fields[] = {
    {.key = "limit",
        .kind = FIELD_AMOUNTS,
        .offset = offsetof(struct doc_unlisted, limit),
        .required = true,
        .list_max = POLICY_POOLS_MAX,
        .min = 0,
        .max = TEAM_GPUS_MAX,
        .default_text = "no limit",
        .help = "GPUs by pool that they use together at most."},
};
static const struct object unlisted_object = {
    .name = "unlisted",
    .help = "What holds for all namespaces that are in no team, together.",
    .size = sizeof(struct doc_unlisted),
    FIELDS(unlisted_fields),
};

static const struct field gate_fields[] = {
    {.key = "classes",
        .offset = offsetof(struct doc_gate, classes),
        .list_max = POLICY_CLASSES_MAX,
        .required = true,
        .rule = TEXT_NAME,
        .help = "Classes whose pods wait behind berth's gate until their gang is planned; no other pod ever does."},
    {.key = "releaseAfter",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_gate, release_after),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = RELEASE_AFTER_DEFAULT,
        .help = "How long a pod stays gated once no berth is active."},
    {.key = "scaleUpAfter",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_gate, scale_up_after),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = SCALE_UP_AFTER_DEFAULT,
        .help = "How long a complete gang without room stays gated, unseen by autoscalers."},
};
static const struct object gate_object = {
    .name = "gate",
    .help = "Which pods are gated from their creation on, and how long; see berth policy gate.",
    .size = sizeof(struct doc_gate),
    FIELDS(gate_fields),
};

static const struct field policy_fields[] = {
    {.key = "apiVersion",
        .offset = offsetof(struct doc, api_version),
        .required = true,
        .word = api_version_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .help = "Version of this format."},
    {.key = "kind",
        .offset = offsetof(struct doc, kind),
        .required = true,
        .word = kind_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .help = "What the file is."},
    {.key = "topology",
        .kind = FIELD_OBJECT,
        .object = &level_object,
        .list_max = TOPOLOGY_LEVELS_MAX,
        .offset = offsetof(struct doc, topology),
        .help = "Levels of the topology, widest first; the host is implied."},
    {.key = "pools",
        .kind = FIELD_OBJECT,
        .object = &policy_pool_object,
        .list_max = POLICY_POOLS_MAX,
        .offset = offsetof(struct doc, pools),
        .help = "Pools of nodes."},
    {.key = "classes",
        .kind = FIELD_OBJECT,
        .object = &class_object,
        .list_max = POLICY_CLASSES_MAX,
        .required = true,
        .offset = offsetof(struct doc, classes),
        .help = "Classes of pods; the first whose match a pod meets is its class."},
    {.key = "fallback",
        .offset = offsetof(struct doc, fallback),
        .required = true,
        .rule = TEXT_NAME,
        .help = "Class of the pods that meet no match: one without only and maxGPUsPerPod."},
    {.key = "headroom",
        .kind = FIELD_OBJECT,
        .object = &headroom_object,
        .list_max = POLICY_HEADROOMS_MAX,
        .offset = offsetof(struct doc, headroom),
        .help = "GPUs kept free for classes with peaks, and lent meanwhile."},
    {.key = "signals",
        .kind = FIELD_OBJECT,
        .object = &signals_object,
        .offset = offsetof(struct doc, signals),
        .default_text = "pods that wait alone say that there is load",
        .help = "What says that a class has more load: headroom may follow it, and GPUs taken are not given back "
                "meanwhile."},
    {.key = "teams",
        .kind = FIELD_OBJECT,
        .object = &team_object,
        .list_max = POLICY_TEAMS_MAX - 1,
        .offset = offsetof(struct doc, teams),
        .help = "Who may use how many GPUs of which pool."},
    {.key = "unlisted",
        .kind = FIELD_OBJECT,
        .object = &unlisted_object,
        .offset = offsetof(struct doc, unlisted),
        .help = "What holds for all namespaces that are in no team, together."},
    {.key = "gate",
        .kind = FIELD_OBJECT,
        .object = &gate_object,
        .offset = offsetof(struct doc, gate),
        .help = "Which pods are gated from their creation on, and how long."},
    {.key = "moves",
        .kind = FIELD_OBJECT,
        .object = &moves_object,
        .offset = offsetof(struct doc, moves),
        .default_text = "no moves",
        .help = "Whether GPUs are taken from units of work for other pods, and given back."},
    {.key = "health",
        .kind = FIELD_OBJECT,
        .object = &health_object,
        .offset = offsetof(struct doc, health),
        .help = "Which nodes are not well."},
};
const struct object policy_object = {
    .name = "policy",
    .help = "Where pods are placed on the GPU nodes of a cluster.",
    .size = sizeof(struct doc),
    FIELDS(policy_fields),
};
