#include "berth/reason.h"

static const struct {
	const char *code, *text;
	enum reason_kind kind;
} table[REASON_COUNT] = {
#define X(id, code_, kind_, text_) [REASON_CODE_##id] = {code_, text_, REASON_##kind_},
    REASON_TABLE(X)
#undef X
};

const char *reason_code(enum reason reason)
{
	return table[reason].code;
}

const char *reason_text(enum reason reason)
{
	return table[reason].text;
}

enum reason_kind reason_kind_of(enum reason reason)
{
	return table[reason].kind;
}

const char *reason_kind_name(enum reason_kind kind)
{
	static const char *const names[] = {
	    [REASON_OK] = "ok",
	    [REASON_MISCONFIGURED] = "misconfigured",
	    [REASON_NODE] = "node",
	    [REASON_CAPACITY] = "capacity",
	    [REASON_INTERNAL] = "internal",
	};
	return names[kind];
}
