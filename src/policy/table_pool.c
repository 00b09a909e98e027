/* The keys of pools. */
#include "policy/doc.h"
#include "policy/table_part.h"

static const char *operator_word(size_t i)
{
	static const char *const words[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"};

	return word_at(words, sizeof words / sizeof *words, i);
}

static const struct field expression_fields[] = {
    {.key = "key",
        .offset = offsetof(struct doc_expression, key),
        .required = true,
        .rule = TEXT_LABEL_KEY,
        .help = "Node label that the expression looks at."},
    {.key = "operator",
        .offset = offsetof(struct doc_expression, operator),
        .required = true,
        .word = operator_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .help = "How the label's value compares with the values."},
    {.key = "values",
        .offset = offsetof(struct doc_expression, values),
        .list_max = DOC_TEXTS_MAX,
        .rule = TEXT_LABEL_VALUE,
        .help =
            "For In and NotIn at least one, for Gt and Lt one integer in quotes; none for Exists and DoesNotExist."},
};
static const struct object expression_object = {
    .name = "expression",
    .help = "One requirement on a node label.",
    .size = sizeof(struct doc_expression),
    FIELDS(expression_fields),
};

static const struct field selector_fields[] = {
    {.key = "matchLabels",
        .kind = FIELD_LABELS,
        .offset = offsetof(struct doc_selector, match_labels),
        .choice = true,
        .list_max = DOC_LABELS_MAX,
        .rule = TEXT_LABEL_VALUE,
        .help = "Labels with exactly these values."},
    {.key = "matchExpressions",
        .kind = FIELD_OBJECT,
        .object = &expression_object,
        .choice = true,
        .offset = offsetof(struct doc_selector, match_expressions),
        .list_max = DOC_CHOICES_MAX,
        .help = "Requirements that must all hold."},
};
static const struct object selector_object = {
    .name = "nodeSelector",
    .help = "A Kubernetes selector on node labels; everything in it must hold.",
    .size = sizeof(struct doc_selector),
    .choice = CHOICE_AT_LEAST_ONE,
    .choice_problem = PROBLEM_EMPTY,
    FIELDS(selector_fields),
};

static const struct field mig_config_fields[] = {
    {.key = "name",
        .offset = offsetof(struct doc_mig_config, name),
        .required = true,
        .rule = TEXT_NAME,
        .help = "Name of the configuration, as NVIDIA's MIG manager knows it: all-1g.10gb."},
    {.key = "perGPU",
        .kind = FIELD_AMOUNTS,
        .offset = offsetof(struct doc_mig_config, per_gpu),
        .required = true,
        .list_max = MIG_PROFILES_MAX,
        .min = 1,
        .max = MIG_INSTANCES_MAX,
        .default_text = "none",
        .help = "How many slices of which profile it makes of each GPU of a node: {1g.10gb: 7}."},
};
static const struct object mig_config_object = {
    .name = "migConfig",
    .help = "One way to cut the GPUs of a node.",
    .size = sizeof(struct doc_mig_config),
    FIELDS(mig_config_fields),
};

static const struct field mig_fields[] = {
    {.key = "configs",
        .kind = FIELD_OBJECT,
        .object = &mig_config_object,
        .list_max = MIG_CONFIGS_MAX,
        .required = true,
        .offset = offsetof(struct doc_mig, configs),
        .help = "Configurations that nodes may be given, in the order in which they are tried."},
    {.key = "maxNodes",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_mig, max_nodes),
        .min = 1,
        .max = MIG_NODES_MAX,
        .default_text = MIG_NODES_DEFAULT,
        .help = "How many nodes of the pool may be cut anew at a time, those in use so included."},
    {.key = "after",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_mig, after),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = MIG_AFTER_DEFAULT,
        .help = "How long a pod waits for slices that no node has free before a node is chosen."},
    {.key = "deadline",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_mig, deadline),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = MIG_DEADLINE_DEFAULT,
        .help = "How long each step may take: the node's becoming empty, the change, and, after a change that took "
                "longer or failed, the way back to what it was; else the node goes into quarantine."},
    {.key = "idleFor",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_mig, idle_for),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = MIG_IDLE_FOR_DEFAULT,
        .help = "How long all slices of a node are unused before it is given back for pods that want whole GPUs."},
    {.key = "backAfter",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_mig, back_after),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = MIG_BACK_AFTER_DEFAULT,
        .help = "How long they are unused before it is given back although no pod wants it."},
    {.key = "retryAfter",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_mig, retry_after),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = MIG_RETRY_AFTER_DEFAULT,
        .help = "How long a node on which it failed is not tried again."},
};
static const struct object mig_object = {
    .name = "mig",
    .help = "Whether nodes of the pool are cut into MIG slices where pods wait for such, and made whole again.",
    .size = sizeof(struct doc_mig),
    FIELDS(mig_fields),
};

static const struct field pool_fields[] = {
    {.key = "name",
        .offset = offsetof(struct doc_pool, name),
        .required = true,
        .rule = TEXT_NAME,
        .help = "Name of the pool, for only and prefer."},
    {.key = "gpu",
        .offset = offsetof(struct doc_pool, gpu),
        .choice = true,
        .help = "Name of a GPU model in the catalogue, such as H100; shared, MIG and memory variants are included."},
    {.key = "nodeSelector",
        .kind = FIELD_OBJECT,
        .object = &selector_object,
        .choice = true,
        .offset = offsetof(struct doc_pool, node_selector),
        .help = "Selects the nodes by label; narrows gpu when both are given."},
    {.key = "mig",
        .kind = FIELD_OBJECT,
        .object = &mig_object,
        .offset = offsetof(struct doc_pool, mig),
        .default_text = "never",
        .help = "Whether its nodes are cut into MIG slices where pods wait for such."},
};
const struct object policy_pool_object = {
    .name = "pool",
    .help = "Nodes of a kind. A node may be in one pool only.",
    .size = sizeof(struct doc_pool),
    .choice = CHOICE_AT_LEAST_ONE,
    .choice_problem = PROBLEM_POOL_WITHOUT_RULE,
    FIELDS(pool_fields),
};
