#!/usr/bin/env bash
# Installs what a job needs beyond the Rust toolchain: with apt where we are root, else names it in one line.
#
#   scripts/setup.sh build          a C compiler, npm (the embedded ClickHouse engine comes as an npm package)
#   scripts/setup.sh test           the same, and the name servers, resolver and readers that tests run against
#   scripts/setup.sh lint           shellcheck, Python
#   scripts/setup.sh bench          the name server and dnsperf, which the DNS figures are measured against
#   scripts/setup.sh lab            the routing daemons that scripts/lab-capture.py runs
#
# Prints nothing when all is there. Without root, a missing build tool is an error; a missing test tool is not: the
# tests that need it are skipped, each with a line.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# program:package
build=(cc:build-essential npm:npm)
test=(knotd:knot knotc:knot nsd:nsd unbound:unbound dig:bind9-dnsutils bgpdump:bgpdump curl:curl ip:iproute2
    prometheus-alertmanager:prometheus-alertmanager python3:python3 bzip2:bzip2 openssl:openssl named:bind9
    dnssec-signzone:bind9-utils nft:nftables)
bench=(nsd:nsd dnsperf:dnsperf bzip2:bzip2 gzip:gzip)
lint=(shellcheck:shellcheck python3:python3)
lab=(/usr/lib/frr/bgpd:frr bird:bird2 gobgpd:gobgpd bgpdump:bgpdump ip:iproute2 python3:python3)

# Debian puts daemons in sbin, which is not on an ordinary user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

packages_missing() {
    local entry
    for entry in "$@"; do
        have "${entry%%:*}" || printf '%s\n' "${entry#*:}"
    done | sort -u
}

# python3-venv has no program of its own; a Python from elsewhere brings the module along.
venv_missing() {
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || printf 'python3-venv\n'
}

# The tests start their own daemons on free ports; the ones that Debian starts on port 53 would be in the way.
stop_services() {
    local package
    [ -d /run/systemd/system ] || return 0
    for package in "$@"; do
        case $package in
        knot | nsd | unbound | frr | gobgpd | prometheus-alertmanager) systemctl disable --quiet --now "$package" || true ;;
        bind9) systemctl disable --quiet --now named || true ;;
        bird2) systemctl disable --quiet --now bird || true ;;
        esac
    done
}

job=${1:-test}
case $job in
build) wanted=("${build[@]}") ;;
test) wanted=("${build[@]}" "${test[@]}") ;;
bench) wanted=("${build[@]}" "${bench[@]}") ;;
lint) wanted=("${build[@]}" "${lint[@]}") ;;
lab) wanted=("${lab[@]}") ;;
*) die "setup.sh: no job is called '$job'; there are build, test, bench, lint and lab" ;;
esac

mapfile -t missing < <(
    packages_missing "${wanted[@]}"
    case $job in test | lint) venv_missing ;; esac
)
have cargo || die "The Rust toolchain is missing: install rustup, then run this again."
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ] && have apt-get; then
    say "Installing ${missing[*]}"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    if ! { apt-get update -q && apt-get install -qy --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "apt could not install ${missing[*]}; its last lines are above."
    fi
    stop_services "${missing[@]}"
    exit 0
fi

say "Missing: ${missing[*]}. As root: apt install ${missing[*]}"
[ "$job" != lab ] || exit 1
mapfile -t needed < <(packages_missing "${build[@]}")
[ ${#needed[@]} -eq 0 ] || exit 1
say "The rest goes on without; what needs them is skipped, and says so."
