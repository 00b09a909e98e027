#!/usr/bin/env bash
# The cached state: `berth serve` alone, on an embedded cluster of 10,000 nodes and 100,000 pods. Called by bench/run; see README.md.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
exec python3 "$root/bench/state_run.py" "${BERTH_BENCH_BUILD:?call bash bench/run state}/berth" "$root/config/policy.yaml" "$@"
