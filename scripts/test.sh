#!/usr/bin/env bash
# Every test there is. Words given are passed to the test runner: scripts/test.sh -p netfault-engine
# In CI nothing may be left out: a missing library or tool is an error there, elsewhere the tests that need it skip.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

optional() {
    local what=$1
    shift
    if ! "$@"; then
        [ -z "${CI:-}" ] || die "$what is missing, and in CI nothing may be skipped."
        say "Going on without $what; the tests that need it are skipped, and say so."
    fi
}

scripts/setup.sh test
optional "the embedded ClickHouse engine" scripts/libchdb/get.sh
[ ! -x scripts/venv.sh ] || optional "the Python clients" scripts/venv.sh
optional "cargo-nextest" scripts/tools.sh cargo-nextest

# Daemons live in sbin on Debian.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

if ! have cargo-nextest; then
    exec cargo test --workspace "$@"
fi

profile=default
[ -z "${CI:-}" ] || profile=ci
report=target/nextest/$profile/junit.xml
rm -f "$report"
status=0
cargo nextest run --workspace --profile "$profile" "$@" || status=$?

# nextest hides the output of tests that pass; what they left out must be seen all the same.
skipped=$(grep -ohE 'SKIPPED: [^<]*' "$report" 2>/dev/null | sort -u || true)
if [ -n "$skipped" ]; then
    say "Left out:"
    say "$skipped"
    [ -z "${CI:-}" ] || die "In CI nothing may be left out."
fi
exit "$status"
