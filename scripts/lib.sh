# shellcheck shell=bash
# Sourced by the scripts beside it: where the repository is, where helper programs go, how to speak.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
TOOLS=$ROOT/target/tools
export PATH="$TOOLS/bin:$PATH"

say() { printf "%s\n" "$*" >&2; }
die() {
    say "$*"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
