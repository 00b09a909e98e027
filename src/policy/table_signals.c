#include "policy/doc.h"
#include "policy/table_part.h"

static const char *source_word(size_t i)
{
	static const char *const words[] = {SIGNALS_AUTOSCALERS_WORD, "pendingPods"};

	return i < sizeof words / sizeof *words ? words[i] : NULL;
}

static const struct field prometheus_fields[] = {
    {.key = "url",
        .offset = offsetof(struct doc_prometheus, url),
        .required = true,
        .rule = TEXT_URL,
        .help = "Where it is asked, like http://prometheus.monitoring:9090: what its API begins with."},
    {.key = "every",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_prometheus, every),
        .min = DURATION_SECOND,
        .max = SIGNALS_EVERY_MAX,
        .default_text = SIGNALS_EVERY_DEFAULT,
        .help = "How often each query is asked."},
    {.key = "tokenFile",
        .offset = offsetof(struct doc_prometheus, token_file),
        .rule = TEXT_PATH,
        .default_text = "no token",
        .help = "File whose text is sent as bearer token, read anew each time."},
    {.key = "caFile",
        .offset = offsetof(struct doc_prometheus, ca_file),
        .rule = TEXT_PATH,
        .default_text = "the system's authorities",
        .help = "File with the certificates (PEM) that one of https is checked against, read anew each time."},
};
static const struct object prometheus_object = {
    .name = "prometheus",
    .help = "The Prometheus that queries are asked of, or what speaks its HTTP API.",
    .size = sizeof(struct doc_prometheus),
    FIELDS(prometheus_fields),
};

static const struct field signal_fields[] = {
    {.key = "name",
        .offset = offsetof(struct doc_signal, name),
        .required = true,
        .rule = TEXT_NAME,
        .help = "Name of the signal, for follow, berth status and the metrics."},
    {.key = "for",
        .offset = offsetof(struct doc_signal, for_),
        .required = true,
        .rule = TEXT_NAME,
        .help = "The class whose load it tells."},
    {.key = "from",
        .offset = offsetof(struct doc_signal, from),
        .choice = true,
        .word = source_word,
        .word_problem = PROBLEM_UNKNOWN_VALUE,
        .help =
            "autoscalers: GPUs that the HorizontalPodAutoscalers of the class's pods want beyond the bound pods, those "
            "beyond their limit included. pendingPods: GPUs that its pods without a node ask for."},
    {.key = "query",
        .offset = offsetof(struct doc_signal, query),
        .choice = true,
        .rule = TEXT_QUERY,
        .help = "PromQL: the sum of what it gives now is the value."},
    {.key = "gpusPer",
        .kind = FIELD_NUMBER,
        .offset = offsetof(struct doc_signal, gpus_per),
        .with = "query",
        .min = 0,
        .max = HEADROOM_GPUS_MAX,
        .fallback = 1,
        .help = "GPUs beyond what the class uses that one of the value's units calls for; 0.05 is one for each 20."},
    {.key = "peakAbove",
        .kind = FIELD_NUMBER,
        .offset = offsetof(struct doc_signal, peak_above),
        .min = 0,
        .max = SIGNALS_VALUE_MAX,
        .fallback = 0,
        .help = "The peak is on while the value is above this: what was taken for the class is not given back."},
};
static const struct object signal_object = {
    .name = "signal",
    .help = "A signal of load.",
    .size = sizeof(struct doc_signal),
    .choice = CHOICE_EXACTLY_ONE,
    .choice_problem = PROBLEM_BAD_COMBINATION,
    FIELDS(signal_fields),
};

static const struct field signals_fields[] = {
    {.key = "load",
        .kind = FIELD_OBJECT,
        .object = &signal_object,
        .offset = offsetof(struct doc_signals, load),
        .list_max = POLICY_SIGNALS_MAX,
        .required = true,
        .help = "The signals."},
    {.key = "staleAfter",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_signals, stale_after),
        .min = DURATION_SECOND,
        .max = DURATION_MAX,
        .default_text = SIGNALS_STALE_DEFAULT,
        .help = "How old a value may be; an older one is ignored."},
    {.key = "prometheus",
        .kind = FIELD_OBJECT,
        .object = &prometheus_object,
        .offset = offsetof(struct doc_signals, prometheus),
        .help = "Whom queries are asked."},
};
const struct object signals_object = {
    .name = "signals",
    .help = "What says that classes have load.",
    .size = sizeof(struct doc_signals),
    FIELDS(signals_fields),
};

static const struct field follow_fields[] = {
    {.key = "signals",
        .offset = offsetof(struct doc_follow, signals),
        .list_max = POLICY_SIGNALS_MAX,
        .rule = TEXT_NAME,
        .default_text = "all that are for its class",
        .help = "Signals that it follows; the one that calls for most counts."},
    {.key = "max",
        .kind = FIELD_INTEGER,
        .offset = offsetof(struct doc_follow, max),
        .required = true,
        .min = 1,
        .max = HEADROOM_GPUS_MAX,
        .help = "How many it has for itself at most: what it uses and what the signals call for."},
    {.key = "hold",
        .kind = FIELD_DURATION,
        .offset = offsetof(struct doc_follow, hold),
        .min = 0,
        .max = DURATION_MAX,
        .default_text = FOLLOW_HOLD_DEFAULT,
        .help = "How long less must be called for before it has less; more it has at once."},
};
const struct object follow_object = {
    .name = "follow",
    .help = "How many GPUs it has follows signals of load.",
    .size = sizeof(struct doc_follow),
    FIELDS(follow_fields),
};
