#include "cluster/gang.h"

#define NOTE_SLACK 16
#define NAME_MOST 253
#define MORE_MOST 63

void gang_note(struct gang_notes *notes, int word, bool label, struct slice value)
{
	struct gang_note *note = notes->notes, *end = note + notes->count;

	while (note < end && (note->word != word || note->label != label))
		note++;
	if (note == end)
		notes->count++;
	*note = (struct gang_note){(unsigned char)word, label, value};
}

size_t gang_measure(const struct gang_notes *notes)
{
	size_t size = 0;

	if (notes->count == 0)
		return 0;
	for (size_t i = 0; i < notes->count; i++)
		size += 2 * notes->notes[i].value.len + NOTE_SLACK;
	return size + sizeof(struct pod_gang) + sizeof(struct gang_group_terms);
}

struct weighing {
	const struct gang_notes *notes;
	struct arena *arena;
	struct pod *pod;
	enum gang_dialect dialect;
};

/* Words count in the table's order, of a word the annotation first. */
static bool is_before(const struct gang_note *a, const struct gang_note *b)
{
	return !b || a->word < b->word || (a->word == b->word && !a->label);
}

static const struct gang_note *find(const struct weighing *weighing, enum gang_role role)
{
	const struct gang_note *found = NULL;

	for (size_t i = 0; i < weighing->notes->count; i++) {
		const struct gang_note *note = &weighing->notes->notes[i];
		const struct gang_word *word = &gang_word_rows[note->word];

		/* An empty value says nothing; to be there at all is to be out. */
		if (word->role == role && (note->value.len > 0 || role == GANG_ROLE_OUT) &&
		    (word->scope != GANG_SCOPE_OWN || word->dialect == weighing->dialect) && is_before(note, found))
			found = note;
	}
	return found;
}

static const char *text(const struct weighing *weighing, enum gang_role role)
{
	const struct gang_note *note = find(weighing, role);

	return note ? field_text(weighing->arena, note->value) : NULL;
}

static bool read_count(struct slice text_, int32_t *count)
{
	int64_t value = 0;

	for (size_t i = 0; i < text_.len && value <= GANG_MEMBERS_MAX; i++) {
		if (text_.at[i] < '0' || text_.at[i] > '9')
			return false;
		value = value * 10 + (text_.at[i] - '0');
	}
	*count = (int32_t)value;
	return text_.len > 0 && value <= GANG_MEMBERS_MAX;
}

static int32_t number(const struct weighing *weighing, enum gang_role role, int32_t least, int32_t otherwise)
{
	const struct gang_note *note = find(weighing, role);
	int32_t value;

	if (!note)
		return otherwise;
	if (read_count(note->value, &value) && value >= least)
		return value;
	weighing->pod->trouble = REASON_CODE_BAD_ANNOTATION;
	weighing->pod->trouble_key = gang_word_rows[note->word].text;
	return otherwise;
}

/* --- which gang --- */

/* An MPIJob's launcher is made when the workers run. */
static bool is_launcher(const struct weighing *weighing)
{
	const struct gang_note *late = find(weighing, GANG_ROLE_LATE), *group = find(weighing, GANG_ROLE_GROUP);

	return (late && slice_is(late->value, "launcher")) ||
	       (weighing->dialect == GANG_KUBEFLOW && group && slice_is(group->value, "launcher"));
}

/* Kueue's mark of a group whose pods are made one after the other, as those of a StatefulSet are. */
static bool serves(const struct weighing *weighing)
{
	const struct gang_note *said = find(weighing, GANG_ROLE_SERVES);

	return said && slice_is(said->value, "true");
}

/* A label that came with a copied template says nothing: a member is of the controller that its dialect has, of the
 * dialect's object itself, or of none at all. */
static bool is_member(const struct weighing *weighing)
{
	const struct gang_dialect_row *row = &gang_dialect_rows[weighing->dialect];
	const char *kind = weighing->pod->owner_kind_count ? weighing->pod->owner_kinds[0] : NULL;

	if (row->reference)
		return !serves(weighing);
	if (weighing->dialect == GANG_INDEXED_JOB)
		return kind && strcmp(kind, row->controller) == 0 && find(weighing, GANG_ROLE_RANK);
	if (kind && (!row->controller || strcmp(kind, row->controller) != 0) &&
	    gang_object_of_kind(weighing->dialect, kind) == GANG_OBJECT_NONE)
		return false;
	return !is_launcher(weighing);
}

/* The names that operators have for it: Kubeflow's replica types, Ray's group of the head. */
static bool is_leader(const struct weighing *weighing, const char *group)
{
	static const char *const names[] = {"master", "chief", "launcher", "scheduler", "ps", "headgroup", "head"};
	const struct gang_note *role = find(weighing, GANG_ROLE_LATE);

	if (role && (slice_is(role->value, "master") || slice_is(role->value, "launcher")))
		return true;
	for (size_t i = 0; group && i < sizeof names / sizeof *names; i++)
		if (strcmp(group, names[i]) == 0)
			return true;
	return false;
}

/* In the order of the dialects; the notes come in any. */
static const struct gang_note *find_name(struct weighing *weighing)
{
	for (int dialect = 0; dialect < GANG_DIALECT_COUNT; dialect++) {
		const struct gang_note *note;

		weighing->dialect = (enum gang_dialect)dialect;
		note = find(weighing, GANG_ROLE_NAME);
		if (note && is_member(weighing))
			return note;
	}
	return NULL;
}

/* One of several gangs of one object: "set/0", "workload/group/replica". */
static const char *full_name(const struct weighing *weighing, const struct pod_gang *gang)
{
	const char *group = gang->source == GANG_OBJECT_WORKLOAD ? gang->group : NULL;
	const char *more = text(weighing, GANG_ROLE_NAME_MORE), *parts[] = {gang->source_name, group, more};
	size_t len = 0;
	char *name, *at;

	if (!group && !more)
		return gang->source_name;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		len += parts[i] ? strlen(parts[i]) + 1 : 0;
	name = at = arena_text(weighing->arena, len);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (parts[i]) {
			size_t part = strlen(parts[i]);

			if (i > 0)
				*at++ = '/';
			memcpy(at, parts[i], part);
			at += part;
		}
	*at = '\0';
	return name;
}

/* --- what it says of it --- */

/* "worker-12": 12. What controllers draw by lot is rarely all digits, and then too long to be a member's number. */
static int32_t number_of_name(const char *name)
{
	const char *dash = strrchr(name, '-');
	int32_t value;

	if (!dash || dash == name || (dash[1] == '0' && dash[2] != '\0') || !read_count(slice_of(dash + 1), &value))
		return -1;
	return value < GANG_MEMBERS_MAX ? value : -1;
}

static void keep_rank(const struct weighing *weighing, struct pod_gang *gang)
{
	const char *label = text(weighing, GANG_ROLE_RANK_LABEL);
	const char *labelled = label ? labels_get(&weighing->pod->labels, label) : NULL;

	gang->rank = number(weighing, GANG_ROLE_RANK, 0, -1);
	if (gang->rank < 0 && labelled && !read_count(slice_of(labelled), &gang->rank)) {
		gang->rank = -1;
		weighing->pod->trouble = REASON_CODE_BAD_ANNOTATION;
		weighing->pod->trouble_key = gang_word_rows[find(weighing, GANG_ROLE_RANK_LABEL)->word].text;
	}
	gang->part = number(weighing, GANG_ROLE_PART, 0, -1);
	if (gang->rank < 0 && gang->part >= 0) { /* parts of one pod each */
		gang->rank = gang->part;
		gang->part = -1;
	}
	if (gang->rank < 0 && gang_dialect_rows[gang->dialect].reference)
		gang->rank = number_of_name(weighing->pod->name);
}

/* Puts the words of one scope into a place. */
static bool keep_place(const struct weighing *weighing, enum gang_scope scope, struct gang_place *place)
{
	const struct gang_note *require = find(weighing, GANG_ROLE_REQUIRE);
	const struct gang_note *prefer = find(weighing, GANG_ROLE_PREFER);
	const struct gang_note *segment = find(weighing, GANG_ROLE_SEGMENT);
	const struct gang_note *at = find(weighing, GANG_ROLE_SEGMENT_AT);

	if (require && gang_word_rows[require->word].scope == scope)
		place->require = field_text(weighing->arena, require->value);
	if (prefer && gang_word_rows[prefer->word].scope == scope)
		place->prefer = field_text(weighing->arena, prefer->value);
	if (segment && at && gang_word_rows[segment->word].scope == scope) {
		place->segment = number(weighing, GANG_ROLE_SEGMENT, 1, 0);
		place->segment_at = place->segment ? field_text(weighing->arena, at->value) : NULL;
	}
	return place->require || place->prefer || place->segment;
}

static void keep_places(const struct weighing *weighing, struct pod_gang *gang)
{
	struct gang_group_terms of_group = {.name = gang->group};

	keep_place(weighing, GANG_SCOPE_ANY, &gang->terms.place);
	if (!gang->group) {
		keep_place(weighing, GANG_SCOPE_GROUP, &gang->terms.place);
	} else if (keep_place(weighing, GANG_SCOPE_GROUP, &of_group.place)) {
		gang->terms.groups = arena_alloc(weighing->arena, sizeof of_group);
		gang->terms.groups[0] = of_group;
		gang->terms.group_count = 1;
	}
}

/* Objects' names are no longer, and what is cut off would make one gang of two. Such a pod is placed nowhere. */
static bool is_too_long(const struct weighing *weighing, enum gang_role role, size_t most)
{
	const struct gang_note *note = find(weighing, role);

	if (!note || note->value.len <= most)
		return false;
	weighing->pod->trouble = REASON_CODE_BAD_ANNOTATION;
	weighing->pod->trouble_key = gang_word_rows[note->word].text;
	return true;
}

void gang_keep(const struct gang_notes *notes, struct arena *arena, struct pod *pod)
{
	struct weighing weighing = {.notes = notes, .arena = arena, .pod = pod, .dialect = GANG_BERTH};
	const struct gang_note *out, *name;
	struct pod_gang *gang;

	if (notes->count == 0)
		return;
	out = find(&weighing, GANG_ROLE_OUT);
	pod->no_gang = out && !slice_is(out->value, "false");
	name = pod->no_gang ? NULL : find_name(&weighing);
	if (!name || is_too_long(&weighing, GANG_ROLE_NAME, NAME_MOST) ||
	    is_too_long(&weighing, GANG_ROLE_GROUP, NAME_MOST) ||
	    is_too_long(&weighing, GANG_ROLE_NAME_MORE, MORE_MOST))
		return;
	gang = arena_calloc(arena, 1, sizeof *gang);
	gang->dialect = weighing.dialect;
	gang->source = gang_word_rows[name->word].object;
	if (gang->dialect == GANG_KUBEFLOW && pod->owner_kind_count)
		gang->source = gang_object_of_kind(GANG_KUBEFLOW, pod->owner_kinds[0]);
	gang->source_name = field_text(arena, name->value);
	gang->group = text(&weighing, GANG_ROLE_GROUP);
	if (!gang->group)
		gang->group = text(&weighing, GANG_ROLE_LATE); /* mpi-operator writes the role alone */
	gang->leads = is_leader(&weighing, gang->group);
	gang->name = full_name(&weighing, gang);
	gang->terms.size = number(&weighing, GANG_ROLE_SIZE, 1, 0);
	gang->terms.quorum = find(&weighing, GANG_ROLE_LEADS) ? 1 : number(&weighing, GANG_ROLE_QUORUM, 1, 0);
	keep_rank(&weighing, gang);
	keep_places(&weighing, gang);
	pod->said_gang = pod->gang = gang;
}
