#include "policy/words.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/scan.h"

#define LIST_TEXT_MAX 400   /* of a list of words … */
#define LISTED_TEXT_MAX 500 /* … and with the suggestion behind it; both fit CHOICES_TEXT_MAX */
#define PREFIX_MIN 3        /* a shorter common beginning says nothing */

struct shown show(struct slice text)
{
	struct shown shown;
	const char *at = text.at, *end = text.at + (text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
	char *out = shown.text;

	*out++ = '"';
	while (at < end) {
		size_t len = utf8_sequence(at, text.at + text.len);
		bool c1 = len == 2 && (unsigned char)at[0] == 0xc2 && (unsigned char)at[1] < 0xa0;

		if (len == 0 || (len == 1 && ((unsigned char)*at < ' ' || *at == 0x7f)) || c1) {
			out += snprintf(out, 5, "\\x%02x", (unsigned char)*at);
			at++;
			continue;
		}
		memcpy(out, at, len);
		out += len;
		at += len;
	}
	snprintf(out, sizeof "\"…", "\"%s", text.len > SHOWN_MAX ? "…" : "");
	return shown;
}

static void add(struct words *words, const char *text, const char *means)
{
	if (words->count == WORDS_MAX)
		return;
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->items[i].text, text) == 0)
			return;
	words->items[words->count].text = text;
	words->items[words->count++].means = means;
}

void words_add(struct words *words, const char *text)
{
	add(words, text, NULL);
}

void words_add_synonym(struct words *words, const char *text, const char *means)
{
	add(words, text, means);
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from one to the other, whatever the case. */
static size_t distance(struct slice a, struct slice b)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b.len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			int ca = tolower((unsigned char)a.at[i - 1]), cb = tolower((unsigned char)b.at[j - 1]);

			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b.at[j - 2]) &&
			    cb == tolower((unsigned char)a.at[i - 2]) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = oldest;
	}
	return last[b.len];
}

const char *words_nearest(const struct words *words, struct slice given)
{
	const char *nearest = NULL;
	size_t least = WORD_MAX + 1;

	if (given.len == 0 || given.len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < words->count; i++) {
		struct slice word = slice_of(words->items[i].text);
		size_t longer = word.len > given.len ? word.len : given.len, limit = longer < 6 ? 1 : longer / 3, off;
		size_t shorter = word.len < given.len ? word.len : given.len;

		if (word.len == 0 || word.len > WORD_MAX)
			continue;
		off = distance(word, given);
		/* "H100-SXM" for "H100": further away by letters, but plainly the same. */
		if (off > limit && shorter >= PREFIX_MIN && strncasecmp(word.at, given.at, shorter) == 0)
			off = limit;
		if (off <= limit && off < longer && off < least) {
			least = off;
			nearest = words->items[i].means ? words->items[i].means : word.at;
		}
	}
	return nearest;
}

struct choices words_suggestion(const struct words *words, struct slice given)
{
	const char *nearest = words_nearest(words, given);
	struct choices choices = {""};

	if (nearest)
		snprintf(choices.text, sizeof choices.text, " Did you mean \"%s\"?", nearest);
	return choices;
}

struct choices words_listed(const struct words *words, struct slice given)
{
	struct choices suggestion = words_suggestion(words, given), choices;
	size_t room = LIST_TEXT_MAX, len = 0;

	for (size_t i = 0; i < words->count; i++) {
		const char *word = words->items[i].text;

		if (words->items[i].means)
			continue;
		if (len + strlen(word) + sizeof ", , …" > room) {
			len += (size_t)snprintf(choices.text + len, room - len, ", …");
			break;
		}
		len += (size_t)snprintf(choices.text + len, room - len, "%s%s", len ? ", " : "", word);
	}
	snprintf(choices.text + len, sizeof choices.text - len, "%s%s", suggestion.text[0] ? "." : "", suggestion.text);
	return choices;
}

struct choices words_choices(const struct words *words, struct slice given)
{
	struct choices listed = words_listed(words, given), choices;
	size_t plain = 0;

	for (size_t i = 0; i < words->count; i++)
		plain += !words->items[i].means;
	if (plain > 1)
		snprintf(choices.text, sizeof choices.text, "one of %.*s", LISTED_TEXT_MAX, listed.text);
	else
		snprintf(choices.text, sizeof choices.text, "\"%.*s\"", WORD_MAX, words->items[0].text);
	return choices;
}
