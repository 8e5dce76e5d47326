#!/usr/bin/env bash
# The demo: a capture is replayed through the live pipeline into an embedded ClickHouse, then the question is asked.
#
#   DEMO_DATA=DIR scripts/demo.sh      any folder of MRT files; default: the lab capture of this repository

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

data=${DEMO_DATA:-examples/lab-capture}
[ -d "$data" ] || die "DEMO_DATA: there is no folder '$data'"
config=$data/netfault.yaml
[ -f "$config" ] || config=examples/lab-capture/netfault.yaml
netfault=$ROOT/target/release/netfault
[ -x "$netfault" ] || die "netfault is not built: make demo builds it"

if [ "$data" = examples/lab-capture ]; then
    say "A LAB capture (FRR, BIRD and GoBGP in network namespaces; $data/README.md), not the internet."
fi
store=$ROOT/target/demo
rm -rf "$store"
mkdir -p "$store"
export NETFAULT_STORE_EMBEDDED=$store/clickhouse

say "+ netfault replay --store $data"
"$netfault" replay -c "$config" --store --format table "$data"
say "+ netfault query withdrawals"
"$netfault" query withdrawals -c "$config"
