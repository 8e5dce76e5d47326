#!/bin/sh
# Puts the embedded ClickHouse engine at .netfault/lib/libchdb.so of the workspace.
#
#   scripts/libchdb/get.sh            npm ci, with the lockfile's sha512, then the sha256 in SHA256SUMS
#   LIBCHDB=/path/libchdb.so …        use that file instead, unchecked
#
# Quick when it is there already. Exit code 69 with one line on stderr when it cannot be had.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
target=$root/.netfault/lib/libchdb.so

fail() {
    echo "libchdb: $*" >&2
    exit 69
}

link() {
    mkdir -p "$root/.netfault/lib"
    ln -sfn "$1" "$target"
}

if [ -n "${LIBCHDB:-}" ]; then
    [ -f "$LIBCHDB" ] || fail "LIBCHDB=$LIBCHDB does not exist"
    link "$(realpath -- "$LIBCHDB")"
    echo "libchdb: using $LIBCHDB"
    exit 0
fi

case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) package=lib-linux-x64-gnu ;;
    Linux-aarch64) package=lib-linux-arm64-gnu ;;
    *) fail "there is no package for $(uname -s) $(uname -m); set LIBCHDB to the path of a libchdb" ;;
esac
file=node_modules/@chdb/$package/libchdb.so
sums=$here/SHA256SUMS
want=$(sed -n "s|  $file\$||p" "$sums")
[ -n "$want" ] || fail "the lockfile and SHA256SUMS have no entry for $package yet; set LIBCHDB to the path of a libchdb"

# A stamp beside the file spares hashing half a gigabyte each time; any change of the file's size or time voids it.
stamp=$root/.netfault/lib/libchdb.checked
facts="$want $(stat -L -c '%s %Y %i' "$here/$file" 2>/dev/null || true)"
if [ -f "$here/$file" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$facts" ] && [ "$(realpath -- "$target" 2>/dev/null)" = "$(realpath -- "$here/$file")" ]; then
    exit 0
fi

if [ ! -f "$here/$file" ]; then
    command -v npm >/dev/null 2>&1 || fail "npm is missing (Debian, Ubuntu: apt-get install npm), or set LIBCHDB to the path of a libchdb.so"
    command -v node >/dev/null 2>&1 || fail "node is missing (Debian, Ubuntu: apt-get install nodejs), or set LIBCHDB to the path of a libchdb.so"
    echo "libchdb: fetching @chdb/$package (0.6 GB unpacked)"
    log=$(mktemp)
    if ! (cd "$here" && npm ci --no-audit --no-fund --loglevel=error >"$log" 2>&1); then
        reason=$(grep -i error "$log" | head -n 1)
        rm -f "$log"
        fail "npm ci failed: ${reason:-no reason given}"
    fi
    rm -f "$log"
    [ -f "$here/$file" ] || fail "npm ci brought no $file"
fi

got=$(sha256sum "$here/$file" | cut -d' ' -f1)
[ "$got" = "$want" ] || fail "$here/$file has the digest $got, not $want as in SHA256SUMS; remove $here/node_modules and try again"
link "$here/$file"
stat -L -c "$want %s %Y %i" "$here/$file" >"$stamp"
echo "libchdb: $target"
