#include "cluster/yaml_read.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int yaml_read_error(const struct yaml_reader *reader, const struct yaml_node *node, const char *format, ...)
{
	char text[ERR_TEXT_MAX / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return err_set(reader->err, ERR_INPUT, "%s:%u:%u: %s", reader->file, node->mark.line, node->mark.column, text);
}

int yaml_read_text(const struct yaml_reader *reader, const struct yaml_node *node, const char **text)
{
	const char *scalar = yaml_text(node);

	if (!scalar || node->text.len == 0)
		return yaml_read_error(reader, node, "a text is due here");
	*text = arena_copy(reader->arena, node->text);
	return 0;
}

int yaml_read_whole(
    const struct yaml_reader *reader, const struct yaml_node *node, int64_t min, int64_t max, int64_t *whole)
{
	const char *scalar = node->quoted ? NULL : yaml_text(node);
	char *end;

	if (!scalar || (*scalar != '-' && (*scalar < '0' || *scalar > '9')))
		return yaml_read_error(reader, node, "a whole number is due here");
	errno = 0;
	*whole = strtoll(scalar, &end, 10);
	if (*end)
		return yaml_read_error(reader, node, "a whole number is due here");
	if (errno || *whole < min || *whole > max)
		return yaml_read_error(reader, node, "must be %lld to %lld", (long long)min, (long long)max);
	return 0;
}

static int read_number(
    const struct yaml_reader *reader, const struct yaml_node *node, const struct yaml_key *key, double *number)
{
	const char *scalar = node->quoted ? NULL : yaml_text(node);
	char *end;

	if (!scalar || (*scalar != '-' && (*scalar < '0' || *scalar > '9')) || strpbrk(scalar, "xX"))
		return yaml_read_error(reader, node, "a number is due here");
	*number = strtod(scalar, &end);
	if (*end || !isfinite(*number))
		return yaml_read_error(reader, node, "a number is due here");
	if (*number < (double)key->min || *number > (double)key->max)
		return yaml_read_error(reader, node, "must be %lld to %lld", (long long)key->min, (long long)key->max);
	return 0;
}

static int read_version(const struct yaml_reader *reader, const struct yaml_node *node, struct yaml_version *version)
{
	const char *scalar = yaml_text(node);
	unsigned major, minor;
	int len = 0;

	if (!scalar || strspn(scalar, "0123456789.") != node->text.len || node->text.len > 5 ||
	    sscanf(scalar, "%3u.%1u%n", &major, &minor, &len) != 2 || (size_t)len != node->text.len ||
	    major > UINT8_MAX)
		return yaml_read_error(reader, node, "a version like \"9.0\" is due here");
	*version = (struct yaml_version){(uint8_t)major, (uint8_t)minor};
	return 0;
}

static int read_word(
    const struct yaml_reader *reader, const struct yaml_node *node, const char *const *words, uint32_t *place)
{
	const char *scalar = yaml_text(node);

	for (*place = 0; scalar && words[*place]; ++*place)
		if (strcmp(words[*place], scalar) == 0)
			return 0;
	if (!scalar)
		return yaml_read_error(reader, node, "a word is due here");
	return yaml_read_error(reader, node, "unknown word \"%s\"", scalar);
}

static int read_words(
    const struct yaml_reader *reader, const struct yaml_node *node, const char *const *words, uint32_t *mask)
{
	uint32_t place;
	int result;

	if (node->type != YAML_LIST)
		return yaml_read_error(reader, node, "a list is due here");
	*mask = 0;
	for (size_t i = 0; i < node->count; i++) {
		result = read_word(reader, node->items[i], words, &place);
		if (result)
			return result;
		if (*mask >> place & 1)
			return yaml_read_error(reader, node->items[i], "\"%s\" stands here twice", words[place]);
		*mask |= 1u << place;
	}
	return 0;
}

static int read_value(
    const struct yaml_reader *reader, const struct yaml_node *node, const struct yaml_key *key, void *at)
{
	switch (key->type) {
	case YAML_KEY_TEXT:
		return yaml_read_text(reader, node, at);
	case YAML_KEY_WHOLE:
		return yaml_read_whole(reader, node, key->min, key->max, at);
	case YAML_KEY_NUMBER:
		return read_number(reader, node, key, at);
	case YAML_KEY_VERSION:
		return read_version(reader, node, at);
	case YAML_KEY_WORD:
		return read_word(reader, node, key->words, at);
	case YAML_KEY_WORDS:
		return read_words(reader, node, key->words, at);
	case YAML_KEY_LIST:
		break;
	}
	if (node->type != YAML_LIST)
		return yaml_read_error(reader, node, "a list is due here");
	*(const struct yaml_node **)at = node;
	return 0;
}

int yaml_read_map(const struct yaml_reader *reader, const struct yaml_node *node, const char *what,
    const struct yaml_key *keys, size_t count, void *out)
{
	bool seen[YAML_KEYS_MAX] = {false};

	if (node->type != YAML_MAP)
		return yaml_read_error(reader, node, "%s must be a map", what);
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *name = node->keys[i];
		size_t k = 0;
		int result;

		while (k < count && strcmp(keys[k].name, name->text.at) != 0)
			k++;
		if (k == count)
			return yaml_read_error(reader, name, "unknown key \"%s\"", name->text.at);
		if (seen[k])
			return yaml_read_error(reader, name, "key \"%s\" stands here twice", name->text.at);
		seen[k] = true;
		result = read_value(reader, node->items[i], &keys[k], (char *)out + keys[k].offset);
		if (result)
			return result;
	}
	for (size_t k = 0; k < count; k++)
		if (keys[k].required && !seen[k])
			return yaml_read_error(reader, node, "%s without \"%s\"", what, keys[k].name);
	return 0;
}
