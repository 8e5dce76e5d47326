#!/usr/bin/env bash
# The demo: a capture is replayed through the live pipeline into an embedded ClickHouse, then the question is asked.
#
#   DEMO_DATA=DIR scripts/demo.sh      any folder of MRT files; default: the lab capture of this repository
#
# A netfault.yaml in that folder is used; where there is none, every prefix is watched with the default settings.
# What the demo keeps is in target/demo, and made anew each time.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

data=${DEMO_DATA:-examples/lab-capture}
[ -d "$data" ] || die "DEMO_DATA: there is no folder '$data'"
netfault=target/release/netfault
[ -x "$netfault" ] || die "netfault is not built: 'make demo' builds it"

rm -rf target/demo
mkdir -p target/demo
config=$data/netfault.yaml
if [ ! -f "$config" ]; then
    config=target/demo/netfault.yaml
    cat >"$config" <<YAML
data_dir: .
watch: all
store: { embedded: clickhouse, updates: all }
YAML
fi

run() {
    say "" && say "\$ netfault $*"
    "$netfault" "$@"
}

if [ "$data" = examples/lab-capture ]; then
    say "A LAB capture: FRR, BIRD and GoBGP in network namespaces, not the internet ($data/README.md)."
fi
run replay -c "$config" --store "$data"
run query withdrawals -c "$config"
