#!/usr/bin/env bash
# Singles on a real control plane, beside kube-scheduler alone. Called by bench/run; see README.md.
set -euo pipefail
build=$(realpath "${BERTH_BENCH_BUILD:?call bash bench/run road}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. test/e2e/toolchain.sh
find_go
build_control_plane
(cd test/e2e && go build -o "$build/bench/road" ./bench/road)
exec "$build/bench/road" "$CONTROLPLANE_BIN" "$build/berth" "$PWD/config/policy.yaml" "$PWD/config/kube-scheduler.yaml" "$@"
