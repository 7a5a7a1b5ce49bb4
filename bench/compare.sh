#!/usr/bin/env bash
# compare.sh [-n RECORDS] [-r ROUNDS] [-s SIZE] [-b BIN[,BIN...]] [-c CODEC] [-a ARGUMENT]...
#
# bench_consume against librdkafka, and against the cheapest client there can be (bench_floor), on one real Kafka, in one interleaved
# run: CPU and records/s, medians with minimum and maximum.
#
#   -n  records of the topic (10000000)
#   -r  counted rounds, after one that is thrown away (7)
#   -s  bytes of a record's value (100)
#   -b  the programs, named by their folders: builds of kawait that are compared (build/release/bin)
#   -c  the producer's compression.type (none)
#   -a  property=value for kawait's programs; may be repeated
#
# The broker is pinned to core 1, if there is one, and the consumer to core 0. librdkafka is the one that the confluent-kafka wheel
# carries; its program is built here against Debian's header. Every run must read the same records: their number, bytes and a sum over
# them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
records=10000000 rounds=7 size=100 codec=none bins=$root/build/release/bin properties=()
while getopts n:r:s:b:c:a:h option; do
  case $option in
    n) records=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) size=$OPTARG ;;
    b) bins=$OPTARG ;;
    c) codec=$OPTARG ;;
    a) properties+=("$OPTARG") ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

IFS=, read -r -a folders <<<"$bins"
need "${folders[@]/%//bench_consume}" "${folders[0]}/bench_floor"
build_librdkafka_rival librdkafka_consume

broker_core=$(($(nproc) > 1 ? 1 : 0))
say "starting Kafka on core $broker_core"
bootstrap=$(KAFKA_HEAP=768m taskset -c "$broker_core" "${kafka_up[@]}" log.segment.bytes=268435456)

say "writing $records records of $size bytes, compression $codec"
fill "$bootstrap" bench "$records" "$size" "$codec"
cat "$work"/kafka/data1/bench-*/*.log >/dev/null # the page cache is warm from here on

run() { # NAME PROGRAM [property=value...]
  local name=$1 line
  shift
  line=$(taskset -c 0 timeout 300 "$1" "$bootstrap" bench "$records" "${@:2}")
  echo "$name $line" >>"$work/lines"
  say "$name $line"
}
for round in $(seq 0 "$rounds"); do
  [ "$round" != 1 ] || : >"$work/lines" # the broker was cold
  for folder in "${folders[@]}"; do
    run "kawait:${folder#"$root"/build/}" "$folder/bench_consume" ${properties[@]+"${properties[@]}"}
  done
  run floor "${folders[0]}/bench_floor"
  run librdkafka "$work/librdkafka_consume"
done

python3 - "$work/lines" <<'P'
import json, statistics, sys
runs = {}
for line in open(sys.argv[1]):
    name, text = line.split(" ", 1)
    runs.setdefault(name, []).append(json.loads(text))
proof = {(r["records"], r["bytes"], r["sum"]) for each in runs.values() for r in each}
def figures(values, unit):
    return f"{statistics.median(values):8.1f} ({min(values):.1f}-{max(values):.1f}) {unit}"
medians = {}
for name, rounds in runs.items():
    cpu = [(r["user_s"] + r["sys_s"]) / r["records"] * 1e9 for r in rounds]
    medians[name] = statistics.median(cpu)
    user = [r["user_s"] / r["records"] * 1e9 for r in rounds]
    rate = [r["records"] / r["wall_s"] / 1e6 for r in rounds]
    first = [r["first_s"] * 1e3 for r in rounds]
    memory = [r["maxrss_kb"] / 1024 for r in rounds]
    print(f"{name:24} CPU {figures(cpu, 'ns/record')}, of it user {figures(user, 'ns')}; {figures(rate, 'M records/s')};"
          f" first record {figures(first, 'ms')}; {figures(memory, 'MiB')}")
for name, median in medians.items():
    if name not in ("librdkafka", "floor"):
        print(f"{name}: {median / medians['librdkafka']:.2f} of librdkafka's CPU, {median / medians['floor']:.2f} of the floor's")
if len(proof) != 1:
    sys.exit(f"the runs read different records: {proof}")
P
