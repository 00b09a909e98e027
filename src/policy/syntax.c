#include "policy/syntax.h"

#define NAME_MAX_LEN 63
#define PREFIX_MAX_LEN 253
#define URL_MAX_LEN 1024
#define QUERY_MAX_LEN 4096
#define PATH_MAX_LEN 4096

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ALNUM UPPER LOWER DIGITS

#define NAME_PATTERN "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
#define PREFIX_PATTERN "[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"

static const struct {
	enum problem problem;
	const char *says, *pattern;
} rules[TEXT_RULE_COUNT] = {
    [TEXT_NAME] = {PROBLEM_BAD_NAME,
        "is no name: 1 to 63 letters, digits, '-', '_' and '.' are allowed, a letter or digit at both ends",
        "^" NAME_PATTERN "$"},
    [TEXT_LABEL_KEY] = {PROBLEM_BAD_NAME,
        "is no label key: [prefix/]name, the prefix a DNS subdomain, the name 1 to 63 letters, digits, '-', '_' and "
        "'.'",
        "^(" PREFIX_PATTERN "/)?" NAME_PATTERN "$"},
    [TEXT_LABEL_VALUE] = {PROBLEM_BAD_NAME,
        "is no label value: up to 63 letters, digits, '-', '_' and '.' are allowed, a letter or digit at both ends",
        "^(" NAME_PATTERN ")?$"},
    [TEXT_LABEL_GLOB] = {PROBLEM_BAD_GLOB,
        "is no pattern for a label value: letters, digits, '-', '_', '.', '*' and '?' are allowed, up to 63",
        "^[A-Za-z0-9._*?-]{0,63}$"},
    [TEXT_NAMESPACE_GLOB] = {PROBLEM_BAD_GLOB,
        "is no pattern for a namespace: lower-case letters, digits, '-', '*' and '?' are allowed, up to 63",
        "^[a-z0-9*?-]{1,63}$"},
    [TEXT_KIND] = {PROBLEM_BAD_NAME,
        "is no kind: a kind is written as in its manifests, with a capital letter first, like StatefulSet",
        "^[A-Z][A-Za-z0-9-]{0,62}$"},
    [TEXT_URL] = {PROBLEM_BAD_ADDRESS,
        "is no address: http:// or https://, a host and perhaps a port and a path, without '?', '#', '@' and blanks",
        "^https?://[^/?#@\\s][^?#@\\s]{0,1023}$"},
    [TEXT_QUERY] = {PROBLEM_BAD_ADDRESS, "is no query: 1 to 4096 bytes are allowed", "^[\\s\\S]{1,4096}$"},
    [TEXT_PATH] = {PROBLEM_BAD_ADDRESS, "is no path of a file: it begins with '/'", "^/.{0,4094}$"},
};

static bool made_of(struct slice text, const char *set)
{
	for (size_t i = 0; i < text.len; i++)
		if (!text.at[i] || !strchr(set, text.at[i]))
			return false;
	return true;
}

static bool has_ends(struct slice text, const char *set)
{
	return text.len > 0 && made_of((struct slice){text.at, 1}, set) &&
	       made_of((struct slice){text.at + text.len - 1, 1}, set);
}

static bool is_label_name(struct slice text)
{
	return text.len <= NAME_MAX_LEN && has_ends(text, ALNUM) && made_of(text, ALNUM "-_.");
}

static bool is_subdomain(struct slice text)
{
	const char *end = text.at + text.len, *dot;

	if (text.len > PREFIX_MAX_LEN)
		return false;
	for (const char *at = text.at; at <= end; at = dot + 1) {
		struct slice label;

		dot = memchr(at, '.', (size_t)(end - at));
		if (!dot)
			dot = end;
		label = (struct slice){at, (size_t)(dot - at)};
		if (!has_ends(label, LOWER DIGITS) || !made_of(label, LOWER DIGITS "-"))
			return false;
	}
	return true;
}

static bool is_label_key(struct slice text)
{
	const char *slash = text.len ? memchr(text.at, '/', text.len) : NULL;
	struct slice name = text;

	if (slash) {
		if (!is_subdomain((struct slice){text.at, (size_t)(slash - text.at)}))
			return false;
		name = (struct slice){slash + 1, (size_t)(text.at + text.len - slash - 1)};
	}
	return is_label_name(name);
}

static bool begins(struct slice text, const char *with)
{
	size_t len = strlen(with);
	return text.len > len && memcmp(text.at, with, len) == 0;
}

static bool is_url(struct slice text)
{
	size_t host = begins(text, "https://") ? 8 : begins(text, "http://") ? 7 : 0;

	if (host == 0 || text.at[host] == '/' || text.len - host > URL_MAX_LEN)
		return false;
	for (size_t i = host; i < text.len; i++)
		if (text.at[i] <= ' ' || text.at[i] == 0x7f || strchr("?#@", text.at[i]))
			return false;
	return true;
}

bool text_rule_met(enum text_rule rule, struct slice text)
{
	switch (rule) {
	case TEXT_NAME:
		return is_label_name(text);
	case TEXT_LABEL_KEY:
		return is_label_key(text);
	case TEXT_LABEL_VALUE:
		return text.len == 0 || is_label_name(text);
	case TEXT_LABEL_GLOB:
		return text.len <= NAME_MAX_LEN && made_of(text, ALNUM "-_.*?");
	case TEXT_NAMESPACE_GLOB:
		return text.len > 0 && text.len <= NAME_MAX_LEN && made_of(text, LOWER DIGITS "-*?");
	case TEXT_KIND:
		return text.len > 0 && text.len <= NAME_MAX_LEN && made_of((struct slice){text.at, 1}, UPPER) &&
		       made_of(text, ALNUM "-");
	case TEXT_URL:
		return is_url(text);
	case TEXT_QUERY:
		return text.len > 0 && text.len <= QUERY_MAX_LEN && !memchr(text.at, '\0', text.len);
	case TEXT_PATH:
		return begins(text, "/") && text.len < PATH_MAX_LEN && !memchr(text.at, '\0', text.len);
	default:
		return true;
	}
}

const char *text_rule_says(enum text_rule rule)
{
	return rules[rule].says;
}

enum problem text_rule_problem(enum text_rule rule)
{
	return rules[rule].problem;
}

const char *text_rule_pattern(enum text_rule rule)
{
	return rules[rule].pattern;
}
