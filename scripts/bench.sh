#!/usr/bin/env bash
# Speed and memory, as ratios in one run on this machine; about fifteen minutes. The real day is needed: ../shared/data.
# BENCH='replay store' runs only those parts (replay store decode gz table ris-live dns dns-scale alerts).

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for tool in bzip2 gzip; do
    have "$tool" || die "bench needs $tool: apt-get install $tool"
done
day=${NETFAULT_SHARED_DATA:-../shared/data}/route-views2-20080224
[ -d "$day" ] || die "bench needs the real day, and $day is not there"
cargo build --release --quiet --bin netfault
cargo build --release --quiet -p netfault-tests --example table_bench --example dns_bench --example dns_scale_bench --example alert_bench
cargo build --release --quiet -p netfault-sources --example decode_bench --example ris_live_bench
read -ra parts <<<"${BENCH:-}"
exec python3 scripts/bench.py "$day" "${parts[@]}"
