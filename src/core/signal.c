#include "berth/signal.h"

#include <math.h>

#include "core/need.h"

bool signal_fresh(const struct signal_reading *reading, int64_t now_ns, int64_t stale_after_ns)
{
	return reading->known && now_ns - reading->at_ns <= stale_after_ns;
}

int64_t signal_wants(const struct policy_signal *signal, double value)
{
	double gpus = ceil(value * signal->gpus_per);
	if (!(gpus > 0))
		return 0;
	return gpus < SIGNAL_GPUS_MAX ? (int64_t)gpus : SIGNAL_GPUS_MAX;
}

bool signal_peaks(const struct policy_signal *signal, double value)
{
	return value > signal->peak_above;
}

int64_t signal_follow_step(struct signal_follow *follow, int64_t wanted, int64_t now_ns, int64_t hold_ns)
{
	if (wanted >= follow->floor) {
		follow->floor = wanted;
		follow->less = false;
		return follow->floor;
	}
	if (!follow->less) {
		follow->less = true;
		follow->since_ns = now_ns;
		follow->most = wanted;
	}
	if (wanted > follow->most)
		follow->most = wanted;
	if (now_ns - follow->since_ns < hold_ns)
		return follow->floor;
	follow->floor = follow->most;
	follow->less = wanted < follow->floor;
	follow->since_ns = now_ns;
	follow->most = wanted;
	return follow->floor;
}

int64_t signal_follow_due(const struct signal_follow *follow, int64_t hold_ns)
{
	return follow->less ? resource_sum(follow->since_ns, hold_ns) : INT64_MAX;
}

int64_t signal_gpus_of(const struct fleet *fleet, const struct resources *demand)
{
	return need_gpu_units(fleet, demand);
}
