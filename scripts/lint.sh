#!/usr/bin/env bash
# rustfmt, clippy, licences and bans (deny.toml), shellcheck. Each check runs even if an earlier one failed; the
# closing line names those that did.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

scripts/setup.sh lint
scripts/tools.sh cargo-deny

failed=()
check() {
    local name=$1 begun=$SECONDS
    shift
    if "$@"; then
        say "lint: $name ok ($((SECONDS - begun)) s)"
    else
        say "lint: $name FAILED ($((SECONDS - begun)) s)"
        failed+=("$name")
    fi
}

mapfile -t shell_files < <(git ls-files -co --exclude-standard '*.sh' .ci/run)

check rustfmt cargo fmt --all --check
check shellcheck shellcheck -x -P scripts "${shell_files[@]}"
check "licences, bans, sources" cargo deny --all-features --log-level error check licenses bans sources
check lockfile sh -c "cargo metadata --locked --format-version 1 >/dev/null"
check clippy cargo clippy --workspace --all-targets --quiet -- -D warnings

[ ${#failed[@]} -eq 0 ] || die "lint: failed: ${failed[*]}"
