#!/usr/bin/env bash
# The demo: a capture is served as RIS Live over a real WebSocket, the collector service takes it in, keeps it in an
# embedded ClickHouse and alerts; then the question is asked.
#
#   DEMO_DATA=DIR scripts/demo.sh      any folder of MRT files; default: the lab capture of this repository
#
# A netfault.yaml in that folder is used; where there is none, every prefix is watched with the default settings. Table
# dumps (rib.*, bview.*) seed the service. What the demo keeps is in target/demo, and made anew each time.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

data=$(realpath "${DEMO_DATA:-examples/lab-capture}")
[ -d "$data" ] || die "DEMO_DATA: there is no folder '$data'"
netfault=target/release/netfault
[ -x "$netfault" ] || die "netfault is not built: 'make demo' builds it"

server=
service=
finish() {
    # Only what this script started.
    for pid in $service $server; do kill "$pid" 2>/dev/null || true; done
}
trap finish EXIT

rm -rf target/demo
mkdir -p target/demo
config=target/demo/netfault.yaml

if [ "$data" = "$ROOT/examples/lab-capture" ]; then
    say "A LAB capture: FRR, BIRD and GoBGP in network namespaces, not the internet (examples/lab-capture/README.md)."
fi

shopt -s nullglob
updates=("$data"/updates.*)
[ ${#updates[@]} -gt 0 ] || updates=("$data")
dumps=("$data"/rib.* "$data"/bview.*)
say "" "\$ netfault dev ris-live-server --speed max --once $data"
"$netfault" -q dev ris-live-server --speed max --once "${updates[@]}" >target/demo/url &
server=$!
for _ in $(seq 100); do
    [ ! -s target/demo/url ] || break
    sleep 0.1
done
[ -s target/demo/url ] || die "the RIS Live server did not start"

if [ -f "$data/netfault.yaml" ]; then
    sed 's|\.\./\.\./target/demo|.|' "$data/netfault.yaml" >"$config"
else
    printf 'data_dir: .\nwatch: all\nstore: { embedded: clickhouse, updates: all }\n' >"$config"
fi
{
    # Time comes from the capture, so its stamps are taken as they are.
    printf 'sources:\n  ris_live: { url: "%s", everything: true, lateness: trust }\n' "$(cat target/demo/url)"
    if [ ${#dumps[@]} -gt 0 ]; then
        printf '  mrt:\n    seed:\n'
        printf '      - "%s"\n' "${dumps[@]}"
    fi
} >>"$config"

say "\$ netfault run -c $config"
"$netfault" -q run -c "$config" &
service=$!
wait "$server" || die "the RIS Live server failed"
server=
say "The capture has been served; to the service its end looks like a lost feed."
sleep 2 # for what is still under way on loopback
kill -TERM "$service"
wait "$service" || die "the service ended badly"
service=

say "" "\$ netfault query withdrawals -c $config"
"$netfault" query withdrawals -q -c "$config"
