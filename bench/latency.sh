#!/usr/bin/env bash
# latency.sh [-p PER_SECOND] [-t SECONDS] [-w WARM_UP] [-r ROUNDS] [-s SIZE] [-b BIN[,BIN...]] [-a ARGUMENT]... [-o FILE] [-q]
#
# How long a record takes from its producer to the consumer's code while few are written, and what the consumer's CPU costs meanwhile:
# kawait by io_uring and by epoll against the cheapest client that there can be (bench_floor), librdkafka, Java and franz-go, on one real
# Kafka, in one interleaved run.
#
#   -p  records a second (1000), in turn to four partitions, each sent at once
#   -t  seconds that count of a run (4), -w those before them (3)
#   -r  counted rounds, after one that is thrown away (7)
#   -s  bytes of a record's value (100)
#   -b  the programs of kawait, named by their folders (build/release/bin,build/release-epoll/bin)
#   -a  property=value for kawait's programs; may be repeated
#   -o  writes every counted run as a line of JSON, behind a line that tells what was run: bench/results.py prints the table of such a
#       file again, bench/plot.py makes a picture of it
#   -q  kawait and the floor alone, without rivals
#
# One producer (librdkafka, C) writes all the time, and all clients read what it writes, in turn; every round begins with another.
# It is pinned to the broker's core, 1, if there is one, and the consumers to core 0. The rivals' settings are printed. No run may
# leave out an offset, or read other than PER_SECOND x SECONDS records, but for one in twenty.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
per_second=1000 seconds=4 warm_up=3 rounds=7 size=100 bins=$root/build/release/bin,$root/build/release-epoll/bin properties=()
output=$work/results rivals=yes
while getopts p:t:w:r:s:b:a:o:qh option; do
  case $option in
    p) per_second=$OPTARG ;;
    t) seconds=$OPTARG ;;
    w) warm_up=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) size=$OPTARG ;;
    b) bins=$OPTARG ;;
    a) properties+=("$OPTARG") ;;
    o) output=$OPTARG ;;
    q) rivals=no ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

IFS=, read -r -a folders <<<"$bins"
programs=("${folders[@]/%//bench_latency}")
kawaits=${#programs[@]}
programs+=("${folders[0]}/bench_floor")
need "${programs[@]}"
build_librdkafka_rival librdkafka_pace
if [ "$rivals" = yes ]; then
  build_librdkafka_rival librdkafka_latency
  # The second compiler would be at work for longer than a run takes, and on the one core that the consumer has.
  build_java_rival Latency java_latency -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1
  programs+=("$work/librdkafka_latency" "$work/java_latency")
  if build_go_rival latency franz_go_latency; then programs+=("$work/franz_go_latency"); fi
fi

describe what=latency "per_second=$per_second" "seconds=$seconds" "size=$size" "rounds=$rounds" -- \
  ${properties[@]+"${properties[@]}"} >"$output"
broker_core=$(($(nproc) > 1 ? 1 : 0))
say "starting Kafka on core $broker_core"
bootstrap=$(KAFKA_HEAP=768m taskset -c "$broker_core" "${kafka_up[@]}")
fill "$bootstrap" latency 1 "$size" none
taskset -c "$broker_core" "$work/librdkafka_pace" "$bootstrap" latency 4 "$per_second" "$size" &

run() { # PROGRAM [property=value...]
  local line
  line=$(taskset -c 0 timeout 120 "$1" "$bootstrap" latency "$warm_up" "$seconds" "${@:2}" 2> >(without_slf4j))
  note "$round" "$1" "$line" "$output"
}
for round in $(seq 0 "$rounds"); do
  for turn in $(seq 0 $((${#programs[@]} - 1))); do
    n=$(((round + turn + ${#programs[@]} - 1) % ${#programs[@]}))
    if [ "$n" -lt "$kawaits" ]; then run "${programs[n]}" ${properties[@]+"${properties[@]}"}; else run "${programs[n]}"; fi
  done
done
python3 "$root/bench/results.py" "$output"
