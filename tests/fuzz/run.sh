#!/usr/bin/env bash
# run.sh [-n RUNS | -t SECONDS] [-b BIN_DIR] [NAME...]
#
# Each fuzzer from its corpus: RUNS inputs (20000), the same ones every time, or new ones for so many seconds. Input that breaks something
# is kept in BIN_DIR (build/fuzz/bin) and named; keep it in corpus/NAME once it is mended.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$here/../../build/fuzz/bin budget=(-runs=20000 -seed=1)
while getopts n:t:b:h option; do
  case $option in
    n) budget=(-runs="$OPTARG" -seed=1) ;;
    t) budget=(-max_total_time="$OPTARG") ;;
    b) bin=$OPTARG ;;
    *) sed -n '2,5s/^# \?//p' "$0"; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
cd "$bin" || exit 1
names=("$@")
if [ $# = 0 ]; then
  # The slow ones first, so that the end is not to wait for one of them alone.
  for each in fuzz_{frame,properties,scram,token_answer} fuzz_*; do
    case " ${names[*]-} " in *" ${each#fuzz_} "*) ;; *) names+=("${each#fuzz_}") ;; esac
  done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Two at a time, and what they say only if it is of a failure.
one() {
  mkdir -p "$work/$1" "$here/corpus/$1"
  # What is unbounded shows as memory or as time: no input here may take five seconds, nor 512 MiB.
  "./fuzz_$1" "${budget[@]}" -rss_limit_mb=512 -malloc_limit_mb=64 -timeout=5 -max_len=4096 -print_final_stats=1 \
    -artifact_prefix="$1-" "$work/$1" "$here/corpus/$1" >"$work/$1.log" 2>&1
  echo $? >"$work/$1.code"
}
for name in "${names[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
  one "$name" &
done
wait
passed=0 failed=0
for name in "${names[@]}"; do
  if [ "$(cat "$work/$name.code")" = 0 ]; then
    passed=$((passed + 1))
    echo "ok      $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log") inputs"
  else
    failed=$((failed + 1))
    echo "FAILED  $name"
    tail -n 60 "$work/$name.log"
  fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
