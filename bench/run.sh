#!/usr/bin/env bash
# run.sh [-n RECORDS] [-r ROUNDS] [-s SIZE] [-c CODEC] [-b BIN[,BIN...]] [-a ARGUMENT]... [-o FILE] [-q] [-t]
#
# kawait by io_uring and by epoll against the cheapest client that there can be (bench_floor), librdkafka, Java and franz-go, on one
# real Kafka, in one interleaved run: CPU, records/s, peak memory and the time to the first record, medians with minimum and maximum.
#
#   -n  records of the topic (10000000)
#   -r  counted rounds, after one that is thrown away (7)
#   -s  bytes of a record's value (100)
#   -c  the producer's compression.type (none)
#   -b  the programs of kawait, named by their folders; without it the presets release and release-epoll are built and compared
#   -a  property=value for kawait's programs; may be repeated
#   -o  writes every counted run as a line of JSON, behind a line that tells what was run: bench/results.py prints the table of such a
#       file again, bench/plot.py makes a picture of it
#   -q  kawait and the floor alone, without rivals
#   -t  over TLS, without the floor, which has none. The broker has one version and one suite, so that all have the same.
#
# The broker is pinned to core 1, if there is one, and the consumer to core 0. The rivals have the settings that measured best, which
# are printed. librdkafka is the one that the confluent-kafka wheel carries; its program is built here against Debian's header. Java's
# figures are those of its third pass in one process. franz-go is left out where there is no go. Every run must read the same records:
# their number, bytes and a sum over them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
records=10000000 rounds=7 size=100 codec=none bins='' properties=() output=$work/results rivals=yes tls=''
while getopts n:r:s:c:b:a:o:qth option; do
  case $option in
    n) records=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) size=$OPTARG ;;
    c) codec=$OPTARG ;;
    b) bins=$OPTARG ;;
    a) properties+=("$OPTARG") ;;
    o) output=$OPTARG ;;
    q) rivals=no ;;
    t) tls='TLS 1.3, TLS_AES_256_GCM_SHA384' ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

"$root/tests/install-packages" build kafka bench
if [ -z "$bins" ]; then
  cd "$root"
  for preset in release release-epoll; do
    bins+=${bins:+,}$root/build/$preset/bin
    say "building preset $preset"
    { cmake --preset "$preset" && cmake --build --preset "$preset" --target bench_consume bench_floor bench_certificates; } \
      >"$work/build.log" 2>&1 || { tail -20 "$work/build.log" >&2; exit 1; }
  done
  cd "$OLDPWD"
fi
IFS=, read -r -a folders <<<"$bins"
need "${folders[@]/%//bench_consume}" "${folders[0]}"/bench_{floor,certificates}
programs=()
if [ "$rivals" = yes ]; then
  build_librdkafka_rival librdkafka_consume
  # The serial collector costs least on one core; the heap is bounded, or it grows to whatever there is.
  build_java_rival Consume java_consume -Xmx512m -XX:+UseSerialGC
  programs+=("$work/librdkafka_consume" "$work/java_consume")
  if build_go_rival consume franz_go_consume; then programs+=("$work/franz_go_consume"); fi
fi

describe what=consume "records=$records" "size=$size" "codec=$codec" "rounds=$rounds" "tls=$tls" \
  -- ${properties[@]+"${properties[@]}"} >"$output"
broker_core=$(($(nproc) > 1 ? 1 : 0))
say "starting Kafka on core $broker_core"
listener=() over=() java_over=()
if [ -n "$tls" ]; then
  "${folders[0]}/bench_certificates" "$work"
  listeners='PLAINTEXT://127.0.0.1:@1@,SSL://127.0.0.1:@11@'
  listener=("listeners=$listeners,CONTROLLER://127.0.0.1:@101@" "advertised.listeners=$listeners" ssl.keystore.type=PEM
    "ssl.keystore.location=$work/broker.pem" ssl.enabled.protocols=TLSv1.3 ssl.cipher.suites="${tls##* }")
  over=(security.protocol=SSL ssl.ca.location="$work/ca.pem")
  java_over=(security.protocol=SSL ssl.truststore.type=PEM ssl.truststore.location="$work/ca.pem")
fi
bootstrap=$(KAFKA_HEAP=768m taskset -c "$broker_core" "${kafka_up[@]}" log.segment.bytes=268435456 ${listener[@]+"${listener[@]}"})

say "writing $records records of $size bytes, compression $codec"
fill "$bootstrap" bench "$records" "$size" "$codec"
cat "$work"/kafka/data1/bench-*/*.log >/dev/null # the page cache is warm from here on
[ -z "$tls" ] || bootstrap=127.0.0.1:$((${bootstrap##*:} + 10))

run() { # PROGRAM [property=value...]
  local line
  line=$(taskset -c 0 timeout 300 "$1" "$bootstrap" bench "$records" "${@:2}" 2> >(without_slf4j))
  note "$round" "$1" "$line" "$output"
}
for round in $(seq 0 "$rounds"); do
  for folder in "${folders[@]}"; do
    run "$folder/bench_consume" ${over[@]+"${over[@]}"} ${properties[@]+"${properties[@]}"}
  done
  [ -n "$tls" ] || run "${folders[0]}/bench_floor"
  for program in ${programs[@]+"${programs[@]}"}; do
    case $program in
      */java_consume) run "$program" ${java_over[@]+"${java_over[@]}"} ;;
      *) run "$program" ${over[@]+"${over[@]}"} ;;
    esac
  done
done
python3 "$root/bench/results.py" "$output"
