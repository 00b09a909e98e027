/* Words in messages: a value from the file shown safely, the words that would have been right, and the nearest of them.
 */
#ifndef POLICY_WORDS_H
#define POLICY_WORDS_H

#include <stdbool.h>

#include "berth/slice.h"

#define SHOWN_MAX 64 /* bytes of a value that a message repeats */
#define WORDS_MAX 256
#define WORD_MAX 64 /* bytes; nothing longer is suggested, or gets a suggestion */
#define CHOICES_TEXT_MAX 512

struct shown {
	char text[SHOWN_MAX * 4 + 8];
};

/* In quotes, cut to SHOWN_MAX, with control characters and bytes that are no UTF-8 escaped. */
struct shown show(struct slice text);

struct words {
	size_t count;
	struct {
		const char *text, *means; /* means: of a synonym, the word that it leads to; else NULL */
	} items[WORDS_MAX];
};

/* Adds a word unless it is there or there is no room; texts are not copied. */
void words_add(struct words *words, const char *text);
/* A synonym is never listed, only understood when the nearest word is sought. */
void words_add_synonym(struct words *words, const char *text, const char *means);
/* The word that is likely meant, or NULL. */
const char *words_nearest(const struct words *words, struct slice given);

struct choices {
	char text[CHOICES_TEXT_MAX];
};

/* `a, b, c. Did you mean "b"?`; a long list is cut. */
struct choices words_listed(const struct words *words, struct slice given);
/* The same behind "one of", or `"a"` when there is but one word. */
struct choices words_choices(const struct words *words, struct slice given);
/* ` Did you mean "b"?`, or nothing. */
struct choices words_suggestion(const struct words *words, struct slice given);

#endif
