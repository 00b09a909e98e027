#include "policy/gate.h"

#include "cluster/gang_table.h"
#include "cluster/owners.h"

#define SELECTOR_TERMS_MAX 32

/* ---- CEL ---- */

static bool is_pattern(const char *glob)
{
	return strpbrk(glob, "*?") != NULL;
}

/* Globs have letters, digits, '-', '_' and '.' besides * and ?, so nothing else needs care, in a regular expression or
 * between single quotes. */
static void put_regex(struct buf *out, const char *glob)
{
	for (; *glob; glob++) {
		if (*glob == '*')
			buf_text(out, ".*");
		else if (*glob == '?')
			buf_char(out, '.');
		else if (*glob == '.')
			buf_text(out, "[.]");
		else
			buf_char(out, *glob);
	}
}

static void put_list(struct buf *out, const char *const *texts, size_t count)
{
	buf_char(out, '[');
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s'%s'", i ? ", " : "", texts[i]);
	buf_char(out, ']');
}

static void put_namespaces(struct buf *out, const struct policy_match *match)
{
	buf_text(out, "request.namespace.matches('^(");
	for (size_t i = 0; i < match->namespace_count; i++) {
		buf_text(out, i ? "|" : "");
		put_regex(out, match->namespaces[i]);
	}
	buf_text(out, ")$')");
}

static void put_label(struct buf *out, const struct label *label)
{
	buf_printf(out, "'%s' in variables.labels", label->key);
	if (strcmp(label->value, "*") == 0)
		return;
	buf_printf(out, " && variables.labels['%s']", label->key);
	if (!is_pattern(label->value)) {
		buf_printf(out, " == '%s'", label->value);
		return;
	}
	buf_text(out, ".matches('^");
	put_regex(out, label->value);
	buf_text(out, "$')");
}

static void put_match(struct buf *out, const struct policy_match *match)
{
	const char *between = "";

	buf_char(out, '(');
	if (match->namespace_count > 0) {
		put_namespaces(out, match);
		between = " && ";
	}
	if (match->owner_count > 0) {
		buf_printf(out, "%svariables.kinds.exists(k, k in ", between);
		put_list(out, match->owners, match->owner_count);
		buf_char(out, ')');
		between = " && ";
	}
	for (size_t i = 0; i < match->label_count; i++) {
		buf_text(out, between);
		put_label(out, &match->pod_labels[i]);
		between = " && ";
	}
	buf_text(out, *between ? ")" : "true)");
}

/* ---- variables ---- */

static void open_variable(struct buf *out, const char *name)
{
	buf_printf(out, "  - name: %s\n    expression: >-\n      ", name);
}

static void put_kinds(struct buf *out)
{
	size_t count;
	const struct owner_label *known = owners_labels(&count);

	buf_text(out, "  # The kind of the pod's controller.\n");
	open_variable(out, "controllers");
	buf_text(out,
	    "has(object.metadata.ownerReferences) ? object.metadata.ownerReferences.filter(o, has(o.controller) &&\n"
	    "      o.controller).map(o, o.kind) : []\n");
	buf_text(out, "  # … and of those above it, where the pod's labels tell.\n");
	open_variable(out, "kinds");
	buf_text(out, "variables.controllers");
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "\n      + ('%s' in variables.controllers", known[i].between);
		if (known[i].label)
			buf_printf(out, " && '%s' in variables.labels", known[i].label);
		buf_printf(out, " ? ['%s'] : [])", known[i].kind);
	}
	buf_char(out, '\n');
}

static void put_basics(struct buf *out)
{
	open_variable(out, "labels");
	buf_text(out, "has(object.metadata.labels) ? object.metadata.labels : {}\n");
	open_variable(out, "annotations");
	buf_text(out, "has(object.metadata.annotations) ? object.metadata.annotations : {}\n");
	put_kinds(out);
	buf_text(out, "  # The class that the pod names.\n");
	open_variable(out, "named");
	buf_text(out, "'berth.dev/class' in variables.annotations && variables.annotations['berth.dev/class'] != ''\n"
	              "      ? variables.annotations['berth.dev/class']\n"
	              "      : 'berth.dev/class' in variables.labels ? variables.labels['berth.dev/class'] : ''\n");
}

/* Whether the pod meets the match of class `i`, in doubt for a class that is gated. */
static void put_meets(struct buf *out, const struct policy_class *class_, size_t i)
{
	bool any = false;

	buf_printf(out, "  # Class %s%s.\n  - name: meets_%zu\n    expression: >-\n      ", class_->name,
	    class_->gated ? ", gated" : "", i);
	for (size_t j = 0; j < class_->match_count; j++) {
		if (class_->matches[j].gang_gpus_min > 0 && !class_->gated)
			continue;
		buf_text(out, any ? "\n      || " : "");
		put_match(out, &class_->matches[j]);
		any = true;
	}
	buf_text(out, any ? "\n" : "false\n");
}

static const char *truth(bool is)
{
	return is ? "true" : "false";
}

/* A variable for each class with a match, the last one first: whether the first class from this one on that the pod
 * meets is gated. Each asks the next, so no expression nests deep, however many classes there are. */
static void put_order(struct buf *out, const struct policy *policy)
{
	size_t next = SIZE_MAX;

	buf_text(
	    out, "  # Whether the first class met from this one on is gated; behind the last stands the fallback.\n");
	for (size_t i = policy->class_count; i-- > 0;) {
		if (!policy->classes[i].has_match)
			continue;
		buf_printf(out, "  - name: from_%zu\n    expression: 'variables.meets_%zu ? %s : ", i, i,
		    truth(policy->classes[i].gated));
		if (next == SIZE_MAX)
			buf_printf(out, "%s'\n", truth(policy->classes[policy->fallback].gated));
		else
			buf_printf(out, "variables.from_%zu'\n", next);
		next = i;
	}
	open_variable(out, "gated");
	buf_text(out, "variables.named == '' ? ");
	if (next == SIZE_MAX)
		buf_text(out, truth(policy->classes[policy->fallback].gated));
	else
		buf_printf(out, "variables.from_%zu", next);
	buf_text(out, "\n      : ");
	next = 0;
	for (size_t i = 0; i < policy->class_count; i++) {
		const struct policy_class *class_ = &policy->classes[i];

		if (!class_->gated)
			continue;
		buf_printf(out, "%svariables.named == '%s'", next++ ? "\n      || " : "", class_->name);
		if (class_->has_match && i != policy->fallback)
			buf_printf(out, " && variables.meets_%zu", i);
	}
	buf_char(out, '\n');
}

/* ---- the objects ---- */

static void put_head(struct buf *out, const char *kind, const char *hash)
{
	buf_printf(out,
	    "apiVersion: admissionregistration.k8s.io/v1\n"
	    "kind: %s\n"
	    "metadata:\n"
	    "  name: berth-gate\n"
	    "  labels: {app.kubernetes.io/name: berth, app.kubernetes.io/part-of: berth}\n"
	    "  annotations: {berth.dev/policy: \"%s\"}\n"
	    "spec:\n",
	    kind, hash);
}

/* The keys by which a pod says that it is in no gang, and so waits for none. */
static void put_opt_outs(struct buf *out)
{
	const char *between = "";

	buf_text(out, "  - name: not-opted-out\n    expression: >-\n      ");
	for (size_t i = 0; i < gang_word_count; i++) {
		if (gang_word_rows[i].role != GANG_ROLE_OUT)
			continue;
		for (int label = 0; label < 2; label++) {
			const char *at = label ? "labels" : "annotations", *key = gang_word_rows[i].text;

			buf_printf(out,
			    "%s!(has(object.metadata.%s) && '%s' in object.metadata.%s\n"
			    "      && object.metadata.%s['%s'] != 'false')",
			    between, at, key, at, at, key);
			between = "\n      && ";
		}
	}
	buf_char(out, '\n');
}

static void put_policy(struct buf *out, const struct policy *policy, const char *scheduler)
{
	put_head(out, "MutatingAdmissionPolicy", policy->hash);
	buf_printf(out,
	    "  failurePolicy: Ignore # a pod without the gate is placed all the same\n"
	    "  reinvocationPolicy: IfNeeded\n"
	    "  matchConstraints:\n"
	    "    resourceRules:\n"
	    "    - {apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE], resources: [pods]}\n"
	    "  matchConditions:\n"
	    "  - name: for-this-scheduler\n"
	    "    expression: object.spec.schedulerName == '%s'\n"
	    "  - name: without-a-node # else the API server refuses the gate\n"
	    "    expression: '!has(object.spec.nodeName) || object.spec.nodeName == \"\"'\n"
	    "  - name: not-gated-yet\n"
	    "    expression: '!has(object.spec.schedulingGates) || !object.spec.schedulingGates.exists(g, g.name == "
	    "\"" GATE_NAME "\")'\n",
	    scheduler);
	put_opt_outs(out);
	buf_text(out, "  variables:\n");
	put_basics(out);
	for (size_t i = 0; i < policy->class_count; i++)
		if (policy->classes[i].has_match)
			put_meets(out, &policy->classes[i], i);
	put_order(out, policy);
	buf_text(out,
	    "  mutations:\n"
	    "  - patchType: ApplyConfiguration\n"
	    "    applyConfiguration:\n"
	    "      expression: >-\n"
	    "        variables.gated\n"
	    "        ? Object{spec: Object.spec{schedulingGates: [Object.spec.schedulingGates{name: '" GATE_NAME
	    "'}]}}\n"
	    "        : Object{}\n");
}

static struct slice trim(struct slice text)
{
	while (text.len > 0 && *text.at == ' ')
		text = (struct slice){text.at + 1, text.len - 1};
	while (text.len > 0 && text.at[text.len - 1] == ' ')
		text.len--;
	return text;
}

static bool made_of_label(struct slice text, bool key)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", text.at[i]) &&
		    !(key && text.at[i] == '/'))
			return false;
	return !key || text.len > 0;
}

/* key, !key, key=value, key==value, key!=value. */
static int put_term(struct buf *out, struct slice term, struct err *err)
{
	const char *equals = term.len ? memchr(term.at, '=', term.len) : NULL;
	bool absent = term.len > 0 && *term.at == '!', differs = false;
	struct slice key = term, value = {"", 0};

	if (absent)
		key = (struct slice){term.at + 1, term.len - 1};
	if (equals) {
		key = (struct slice){term.at, (size_t)(equals - term.at)};
		value = (struct slice){equals + 1, term.len - key.len - 1};
		differs = key.len > 0 && key.at[key.len - 1] == '!';
		key.len -= differs;
		if (!differs && value.len > 0 && *value.at == '=')
			value = (struct slice){value.at + 1, value.len - 1};
	}
	key = trim(key);
	value = trim(value);
	if (!made_of_label(key, true) || !made_of_label(value, false))
		return err_set(err, ERR_INPUT,
		    "namespace selector: \"%.*s\" is neither key, !key, key=value nor "
		    "key!=value",
		    (int)term.len, term.at);
	buf_printf(out, "      - {key: \"%.*s\", operator: ", (int)key.len, key.at);
	if (equals)
		buf_printf(out, "%s, values: [\"%.*s\"]}\n", differs ? "NotIn" : "In", (int)value.len, value.at);
	else
		buf_printf(out, "%s}\n", absent ? "DoesNotExist" : "Exists");
	return 0;
}

static int put_selector(struct buf *out, const char *selector, struct err *err)
{
	buf_text(out, "  matchResources:\n    namespaceSelector:\n      matchExpressions:\n");
	for (size_t terms = 0;; terms++) {
		size_t len = strcspn(selector, ",");

		if (terms == SELECTOR_TERMS_MAX)
			return err_set(err, ERR_INPUT, "namespace selector: more than %d terms", SELECTOR_TERMS_MAX);
		if (put_term(out, trim((struct slice){selector, len}), err))
			return err->code;
		if (!selector[len])
			return 0;
		selector += len + 1;
	}
}

int gate_write(const struct policy *policy, const struct gate_options *options, struct buf *out, struct err *err)
{
	struct slice scheduler = slice_of(options->scheduler);

	if (!policy->gates)
		return err_set(err, ERR_INPUT, "the policy gates no class: there is nothing under gate.classes");
	if (scheduler.len == 0 || !made_of_label(scheduler, false))
		return err_set(err, ERR_INPUT, "\"%s\" is no name of a scheduler", options->scheduler);
	buf_printf(out,
	    "# Written by `berth policy gate` from the policy %s; write it anew when the classes or the gate change.\n",
	    policy->hash);
	put_policy(out, policy, options->scheduler);
	buf_text(out, "---\n");
	put_head(out, "MutatingAdmissionPolicyBinding", policy->hash);
	buf_text(out, "  policyName: berth-gate\n");
	return options->namespace_selector ? put_selector(out, options->namespace_selector, err) : 0;
}
