/* The policy as it was read, before names are resolved: the shape of the file, each value with its place in it. A value
 * that is absent, or was wrong and reported, is NULL. The tree that the nodes belong to must outlive the document. */
#ifndef POLICY_DOC_H
#define POLICY_DOC_H

#include "base/yaml.h"
#include "berth/policy.h"

#define DOC_CHOICES_MAX 32 /* alternatives of a match, health rules, expressions of a selector */
#define DOC_TEXTS_MAX 256  /* items of a list of texts */
#define DOC_LABELS_MAX 32

/* First in every object. */
struct doc_head {
	const struct yaml_node *node; /* NULL: the object is absent */
	bool broken;                  /* an error was reported inside it */
};

struct doc_list {
	const struct yaml_node *node; /* NULL: the list is absent */
	size_t count;
	void *items; /* texts: const struct yaml_node *[]; objects: their structs; labels: struct doc_label[];
	                amounts: struct doc_amount[] */
};

struct doc_number {
	const struct yaml_node *node;
	double value; /* of a duration: nanoseconds */
};

struct doc_label {
	const struct yaml_node *key, *value;
};

/* One level, or a preset of some. */
struct doc_level {
	struct doc_head head;
	const struct yaml_node *level, *node_label, *up_to, *preset;
	struct doc_list levels;
};

struct doc_expression {
	struct doc_head head;
	const struct yaml_node *key, *operator;
	struct doc_list values;
};

struct doc_selector {
	struct doc_head head;
	struct doc_list match_labels, match_expressions;
};

struct doc_mig_config {
	struct doc_head head;
	const struct yaml_node *name;
	struct doc_list per_gpu; /* of struct doc_amount */
};

struct doc_mig {
	struct doc_head head;
	struct doc_list configs;
	struct doc_number max_nodes, after, deadline, idle_for, back_after, retry_after;
};

struct doc_pool {
	struct doc_head head;
	const struct yaml_node *name, *gpu;
	struct doc_selector node_selector;
	struct doc_mig mig;
};

struct doc_gang_gpus {
	struct doc_head head;
	struct doc_number min;
};

struct doc_match {
	struct doc_head head;
	struct doc_list namespaces, owners, pod_labels;
	struct doc_gang_gpus gang_gpus;
};

struct doc_replicas {
	struct doc_head head;
	const struct yaml_node *spread_over;
};

struct doc_gang {
	struct doc_head head;
	const struct yaml_node *require, *prefer, *on_node_loss;
	struct doc_number members_within, hold_domain_after, reserve_after;
};

struct doc_victim {
	struct doc_head head;
	const struct yaml_node *unit, *evict, *surplus;
	struct doc_number min_runtime, grace;
};

struct doc_weights {
	struct doc_head head;
	struct doc_number terms[SCORE_TERM_COUNT];
};

struct doc_class {
	struct doc_head head;
	const struct yaml_node *name, *mode;
	struct doc_list match, only, prefer, assume, may_preempt;
	struct doc_replicas replicas;
	struct doc_number max_gpus_per_pod;
	struct doc_gang gang;
	struct doc_victim as_victim;
	struct doc_weights place;
};

struct doc_avoid {
	struct doc_head head;
	const struct yaml_node *node_condition, *is, *taint_key;
};

struct doc_quarantine {
	struct doc_head head;
	struct doc_number after_failed_starts, within, release;
};

struct doc_health {
	struct doc_head head;
	struct doc_list avoid;
	struct doc_quarantine quarantine;
};

struct doc_when {
	struct doc_head head;
	const struct yaml_node *days, *from, *to, *time_zone;
};

struct doc_follow {
	struct doc_head head;
	struct doc_list signals;
	struct doc_number max, hold;
};

struct doc_headroom {
	struct doc_head head;
	const struct yaml_node *for_, *pool;
	struct doc_number gpus, in_chunks_of, margin;
	struct doc_list lend_to;
	struct doc_follow follow;
	struct doc_when when;
};

struct doc_prometheus {
	struct doc_head head;
	const struct yaml_node *url, *token_file, *ca_file;
	struct doc_number every;
};

struct doc_signal {
	struct doc_head head;
	const struct yaml_node *name, *for_, *from, *query;
	struct doc_number gpus_per, peak_above;
};

struct doc_signals {
	struct doc_head head;
	struct doc_list load;
	struct doc_number stale_after;
	struct doc_prometheus prometheus;
};

/* Of a pool. */
struct doc_amount {
	const struct yaml_node *name;
	struct doc_number amount;
};

struct doc_team {
	struct doc_head head;
	const struct yaml_node *name, *parent;
	struct doc_list namespaces, guaranteed, limit; /* the latter two of struct doc_amount */
	struct doc_number weight;
};

struct doc_unlisted {
	struct doc_head head;
	struct doc_list limit;
};

struct doc_gate {
	struct doc_head head;
	struct doc_list classes;
	struct doc_number release_after, scale_up_after;
};

struct doc_moves {
	struct doc_head head;
	const struct yaml_node *mode, *kueue;
	struct doc_number cooldown, per_unit_and_day, give_back_after;
};

struct doc {
	struct doc_head head;
	const struct yaml_node *api_version, *kind, *fallback;
	struct doc_list topology, pools, classes, headroom, teams;
	struct doc_unlisted unlisted;
	struct doc_gate gate;
	struct doc_moves moves;
	struct doc_signals signals;
	struct doc_health health;
};

/* Item `i` of a list, typed. */
#define DOC_ITEM(type, list, i) (&((const struct type *)(list)->items)[i])

/* Text `i` of a list; NULL when it was wrong. */
static inline const struct yaml_node *doc_text(const struct doc_list *list, size_t i)
{
	return ((const struct yaml_node *const *)list->items)[i];
}

#endif
