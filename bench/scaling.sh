#!/usr/bin/env bash
# scaling.sh [-n RECORDS] [-r ROUNDS] [-s SIZE] [-b BIN] [-a ARGUMENT]... [-o FILE]
#
# What a record costs one consumer of 1, 10, 100 and 1,000 partitions, and of 1,000 of which one has all the records: the same number of
# them each time, on one real Kafka, in one interleaved run; medians with minimum and maximum, and as ratios to one partition.
#
#   -n  records of each topic (4000000)
#   -r  counted rounds, after one that is thrown away (7)
#   -s  bytes of a record's value (100)
#   -b  the folder of kawait's programs (build/release/bin)
#   -a  property=value for bench_consume; may be repeated
#   -o  writes every counted run as a line of JSON; bench/scaling.py prints the table of such a file again, and makes a picture of it
#
# The broker is pinned to core 1, if there is one, and the consumer to core 0. The broker's own CPU is told beside the consumer's, and how
# many fetches brought the records, which is counted in the round that is thrown away. Every run must read the same number of bytes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
records=4000000 rounds=7 size=100 bin=$root/build/release/bin properties=() output=$work/results
while getopts n:r:s:b:a:o:h option; do
  case $option in
    n) records=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) size=$OPTARG ;;
    b) bin=$OPTARG ;;
    a) properties+=("$OPTARG") ;;
    o) output=$OPTARG ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
need "$bin/bench_consume"

read -r load _ </proc/loadavg # before our own
broker_core=$(($(nproc) > 1 ? 1 : 0))
say "starting Kafka on core $broker_core"
bootstrap=$(KAFKA_HEAP=768m taskset -c "$broker_core" "${kafka_up[@]}")
topics=(one=1 ten=10 hundred=100 thousand=1000 hot=1000)
for topic in "${topics[@]}"; do
  make_topic "$bootstrap" "${topic%=*}" "${topic#*=}"
  used=${topic#*=}
  [ "${topic%=*}" != hot ] || used=1
  say "writing $records records of $size bytes to $used of ${topic#*=} partitions"
  fill "$bootstrap" "${topic%=*}" "$records" "$size" none "$used"
done
cat "$work"/kafka/data1/*/*.log >/dev/null # the page cache is warm from here on

python3 - "$(basename "$("$root/tests/kafka/fetch-jars")")" "$records" "$size" "$rounds" "$load" \
  ${properties[@]+"${properties[@]}"} >"$output" <<'P'
import json, sys
about = dict(zip(("kafka", "records", "size", "rounds", "load"), sys.argv[1:]))
print(json.dumps({**about, "properties": sys.argv[6:]}))
P
broker_ticks() { awk '{print $14 + $15}' "/proc/$(cat "$work/kafka/1.pid")/stat"; }
run() { # TOPIC PARTITIONS
  local line before after fetches=()
  [ "$round" != 0 ] || fetches=(fetches)
  before=$(broker_ticks)
  line=$(taskset -c 0 timeout 300 "$bin/bench_consume" "$bootstrap" "$1" "$records" ${fetches[@]+"${fetches[@]}"} \
    ${properties[@]+"${properties[@]}"})
  after=$(broker_ticks)
  say "round $round: $1: ${line//$'\n'/ }"
  if [ "$round" = 0 ]; then
    # The broker is cold in the first.
    printf '{"topic":"%s",%s\n' "$1" "${line##*\{}" >>"$output"
  else
    printf '%s,"round":%s,"partitions":%s,"broker_s":%s}\n' "${line%\}}" "$round" "$2" \
      "$(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN {print t / hz}')" >>"$output"
  fi
}
for round in $(seq 0 "$rounds"); do
  for topic in "${topics[@]}"; do run "${topic%=*}" "${topic#*=}"; done
done
python3 "$root/bench/scaling.py" "$output"
