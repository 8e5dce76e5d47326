#!/bin/sh
# Puts a Python environment with what the tests use at .netfault/venv: a ClickHouse client, an SMTP server; pinned.
# Quick when it is there already. Exit code 69 with one line on stderr when it cannot be had.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/.." && pwd)
venv=$root/.netfault/venv
wanted="clickhouse-connect==1.12.0 aiosmtpd==1.4.6"

fail() {
    echo "venv: $*" >&2
    exit 69
}

[ "$(cat "$venv/.wanted" 2>/dev/null)" = "$wanted" ] && exit 0
command -v python3 >/dev/null 2>&1 || fail "python3 is missing (Debian, Ubuntu: apt-get install python3 python3-venv)"
python3 -m venv "$venv" 2>/dev/null || fail "python3 cannot make a venv (Debian, Ubuntu: apt-get install python3-venv)"
log=$(mktemp)
# shellcheck disable=SC2086 # several packages
if ! "$venv/bin/pip" install --quiet --disable-pip-version-check $wanted >"$log" 2>&1; then
    reason=$(grep -i error "$log" | head -n 1)
    rm -f "$log"
    fail "pip install $wanted failed: ${reason:-no reason given}"
fi
rm -f "$log"
echo "$wanted" >"$venv/.wanted"
echo "venv: $venv ($wanted)"
