#!/usr/bin/env bash
# memory.sh [-n RECORDS] [-r ROUNDS] [-b BIN]
#
# What a consumer of four partitions grows by whose handlers are slow, against a real Kafka: bench_memory over records of 100 bytes,
# uncompressed, lz4 and zstd. Fails if that is ever more than fetch.buffer.bytes and 8 MiB.
#
#   -n  records of each topic (1000000)
#   -r  rounds (3)
#   -b  the folder of kawait's programs (build/release/bin)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
records=1000000 rounds=3 bin=$root/build/release/bin
while getopts n:r:b:h option; do
  case $option in
    n) records=$OPTARG ;;
    r) rounds=$OPTARG ;;
    b) bin=$OPTARG ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
need "$bin/bench_memory"

say "starting Kafka"
bootstrap=$("${kafka_up[@]}")
for codec in none lz4 zstd; do
  say "writing $records records, compression $codec"
  fill "$bootstrap" "$codec" "$records" 100 "$codec"
done
for _ in $(seq "$rounds"); do
  for codec in none lz4 zstd; do
    "$bin/bench_memory" "$bootstrap" "$codec" "$records"
  done
done
