#!/usr/bin/env bash
# The filter verb: `berth serve` on an embedded cluster of N nodes, beside the floor. Called by bench/run; see README.md.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BERTH_BENCH_BUILD:?call bash bench/run filter}
rounds=${BERTH_BENCH_ROUNDS:-5}
sizes=${BERTH_BENCH_SIZES:-1000 5000 20000}
work=$(mktemp -d)
pids=()

stop_all() {
	local pid
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	pids=()
}
trap 'stop_all; rm -rf "$work"' EXIT

# Waits until a line of FILE matches; the process that writes it must live.
await_line() { # FILE PATTERN PID
	local i
	for ((i = 0; i < 1200; i++)); do
		grep -q "$2" "$1" && return
		kill -0 "$3" 2>/dev/null || break
		sleep 0.05
	done
	echo "bench/filter: no line \"$2\" in time; the program said:" >&2
	cat "$1" "${1%.out}.err" >&2
	exit 1
}

median() { # FILE COLUMN
	awk -v column="$2" '{print $column}' "$1" | sort -g |
		awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'
}

start_cluster() { # NODES
	: >"$work/sim.out"
	"$build/berth" sim --listen "127.0.0.1:$("$client" ports 1)" --nodes "$1" >"$work/sim.out" 2>"$work/sim.err" &
	pids+=($!)
	await_line "$work/sim.out" '^ready' $!
}

start_serve() {
	local ops
	read -r port ops < <("$client" ports 2)
	"$build/berth" serve --policy "$root/config/policy.yaml" --kubeconfig "$(sed -n 's/^kubeconfig: //p' "$work/sim.out")" \
		--listen "127.0.0.1:$port" --listen-ops "127.0.0.1:$ops" --reservation-ttl 1s >"$work/serve.out" 2>"$work/serve.err" &
	serve=$!
	pids+=($serve)
	"$client" wait "$ops" || {
		cat "$work/serve.err" >&2
		exit 1
	}
	"$client" names "$ops" >"$work/names"
}

start_floor() {
	: >"$work/floor.out"
	"$build/bench/bench_filter_floor" "$(head -n 1 "$work/names")" >"$work/floor.out" 2>"$work/floor.err" &
	floor=$!
	pids+=($floor)
	await_line "$work/floor.out" '^[0-9]' $floor
	floor_port=$(cat "$work/floor.out")
}

measure() { # NODES
	local calls=1000 round
	(($1 <= 10000)) || calls=400
	: >"$work/floor.runs"
	: >"$work/berth.runs"
	for ((round = 1; round <= rounds; round++)); do
		sleep 1.5 # the reservations of the round before have expired
		"$client" run "$floor_port" "$floor" "$work/names" "$calls" "$round" >>"$work/floor.runs"
		"$client" run "$port" "$serve" "$work/names" "$calls" "$round" >>"$work/berth.runs"
	done
}

report() { # NODES
	local p50 p99 cpu floor_p50 floor_p99 floor_cpu ratio
	p50=$(median "$work/berth.runs" 1) p99=$(median "$work/berth.runs" 2) cpu=$(median "$work/berth.runs" 3)
	floor_p50=$(median "$work/floor.runs" 1) floor_p99=$(median "$work/floor.runs" 2) floor_cpu=$(median "$work/floor.runs" 3)
	ratio=$(awk -v a="$p50" -v b="$floor_p50" 'BEGIN {printf "%.2f", a / b}')
	printf '%7s %9s | %8s %8s %8s | %8s %8s %8s | %6s\n' "$1" "$(awk 'NR == 1 {print $4}' "$work/berth.runs")" \
		"$p50" "$p99" "$cpu" "$floor_p50" "$floor_p99" "$floor_cpu" "$ratio"
	cat >>"$work/results" <<-RESULTS
		RESULT filter_p50_us_$1 $p50 us
		RESULT filter_p99_us_$1 $p99 us
		RESULT filter_floor_ratio_$1 $ratio x
		RESULT filter_cpu_us_$1 $cpu us
	RESULTS
}

client=$build/bench/bench_filter
echo "medians of $rounds interleaved runs, µs; CPU is the server's, user and system, a call"
printf '%7s %9s | %8s %8s %8s | %8s %8s %8s | %6s\n' nodes bytes p50 p99 CPU 'floor p50' 'floor p99' CPU ratio
for nodes in $sizes; do
	start_cluster "$nodes"
	start_serve
	start_floor
	measure "$nodes"
	report "$nodes"
	stop_all
done
cat "$work/results"
