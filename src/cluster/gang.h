/* What a pod says of its gang, by the keys and fields of gang_table: words are noted while the pod is read, and weighed
 * when all of it is known. */
#ifndef CLUSTER_GANG_H
#define CLUSTER_GANG_H

#include "berth/pod.h"
#include "cluster/fields.h"
#include "cluster/gang_table.h"

#define GANG_NOTES_MAX (2 * GANG_WORD_MAX) /* every word as annotation and as label */

struct gang_note {
	unsigned char word;
	bool label;
	struct slice value; /* raw */
};

/* Only the first `count` notes are ever looked at: to be made empty, it is enough to set that. */
struct gang_notes {
	size_t count;
	struct gang_note notes[GANG_NOTES_MAX];
};

/* Of a word said twice the last counts. */
void gang_note(struct gang_notes *notes, int word, bool label, struct slice value);

/* An upper bound of what gang_keep takes. */
size_t gang_measure(const struct gang_notes *notes);
/* Sets gang, no_gang and, where a value cannot be read, trouble. The pod's labels and its own controller are known. */
void gang_keep(const struct gang_notes *notes, struct arena *arena, struct pod *pod);

#endif
