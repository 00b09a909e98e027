#include "cluster/lease.h"

#include "base/clock.h"
#include "base/reader.h"

static bool copy_text(struct slice raw, char *out, size_t size)
{
	if (raw.len >= size)
		return false;
	out[reader_unescape(raw, out)] = '\0';
	return true;
}

struct reading {
	struct slice holder, renewed;
	int64_t duration_s, transitions;
};

static void read_spec(struct reader *json, struct reading *reading)
{
	if (!reader_object(json))
		return;
	for (struct slice key; reader_key(json, &key);) {
		if (slice_is(key, "holderIdentity"))
			reader_string(json, &reading->holder);
		else if (slice_is(key, "renewTime"))
			reader_string(json, &reading->renewed);
		else if (slice_is(key, "leaseDurationSeconds"))
			reader_int(json, &reading->duration_s);
		else if (slice_is(key, "leaseTransitions"))
			reader_int(json, &reading->transitions);
		else
			reader_skip(json);
	}
}

int cluster_lease_decode(struct slice text, struct lease *lease, struct err *err)
{
	struct reading reading = {.holder = {"", 0}, .renewed = {"", 0}};
	struct reader json;
	bool object;
	*lease = (struct lease){.transitions = 0};
	reader_open(&json, text);
	object = reader_peek(&json) == READER_OBJECT && reader_object(&json);
	if (object)
		for (struct slice key; reader_key(&json, &key);) {
			if (slice_is(key, "spec"))
				read_spec(&json, &reading);
			else
				reader_skip(&json);
		}
	if (!object || !reader_close(&json))
		return err_set(err, ERR_INPUT, "the Lease is no JSON object");
	if (!copy_text(reading.holder, lease->holder, sizeof lease->holder))
		return err_set(
		    err, ERR_TOO_LARGE, "the Lease's holderIdentity is longer than %d bytes", LEASE_HOLDER_MAX - 1);
	if (copy_text(reading.renewed, lease->renewed, sizeof lease->renewed) &&
	    !clock_parse(slice_of(lease->renewed), &lease->renewed_wall_ns))
		lease->renewed_wall_ns = 0;
	if (reading.duration_s > 0 && reading.duration_s <= INT32_MAX)
		lease->duration_ns = reading.duration_s * NS_PER_S;
	lease->transitions = reading.transitions;
	return 0;
}

void lease_age_saw(struct lease_age *age, const struct lease *lease, int64_t now_ns)
{
	bool same = age->known && age->there == (lease != NULL) &&
	            (!lease || (strcmp(age->lease.holder, lease->holder) == 0 &&
	                           strcmp(age->lease.renewed, lease->renewed) == 0 &&
	                           age->lease.transitions == lease->transitions));
	if (!same)
		age->changed_ns = now_ns;
	age->known = true;
	age->there = lease != NULL;
	if (lease)
		age->lease = *lease;
}

bool lease_age_is_stale(const struct lease_age *age, int64_t now_ns)
{
	int64_t duration_ns = age->there ? age->lease.duration_ns : 0;
	return age->known && now_ns - age->changed_ns > (duration_ns > 0 ? duration_ns : LEASE_DURATION_NS);
}
