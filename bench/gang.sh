#!/usr/bin/env bash
# Gangs on a real control plane, beside as many singles by kube-scheduler alone. Called by bench/run; see README.md.
set -euo pipefail
build=$(realpath "${BERTH_BENCH_BUILD:?call bash bench/run gang}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. test/e2e/toolchain.sh
find_go
build_control_plane
(cd test/e2e && go build -o "$build/bench/gang" ./bench/gang)
exec "$build/bench/gang" "$CONTROLPLANE_BIN" "$build/berth" "$PWD/test/e2e/bench/gang/policy.yaml" "$PWD/config/kube-scheduler.yaml" "$@"
