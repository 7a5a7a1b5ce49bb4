#!/usr/bin/env bash
# run.sh BIN_DIR: the examples that read a topic, on the embedded broker, and whether what they promise is true.
set -euo pipefail
bin=$(cd "$1" && pwd)
dir=$(mktemp -d)
broker= reader=
cleanup() {
  for p in $reader $broker; do kill -KILL "$p" 2>/dev/null || true; done
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

fail() {
  echo "examples: $1" >&2
  tail -n 5 "$dir"/*.err >&2 || true
  exit 1
}
until_true() {  # SECONDS COMMAND...
  for _ in $(seq $(($1 * 10))); do
    "${@:2}" && return
    sleep 0.1
  done
  fail "not within $1 s: ${*:2}"
}

"$bin/embedded_broker" --topic orders:4 --produce 2000 --session-timeout-ms 3000 --heartbeat-interval-ms 500 >"$dir/ready" &
broker=$!
until_true 20 test -s "$dir/ready"
bootstrap=$(cat "$dir/ready")

# Each key's records in their order, none twice; the offsets of all of them together were not.
timeout 60 "$bin/ordered_by_key" "$bootstrap" orders by-key 3000 >"$dir/ordered" 2>"$dir/ordered.err" ||
  fail "ordered_by_key exited $?"
[ "$(wc -l <"$dir/ordered")" -ge 3000 ] || fail "ordered_by_key did not work on 3000 records"
awk '{k = $1 " " $2; if (k in last && last[k] >= $3) {print "out of order: " $0; bad = 1}; last[k] = $3;
  if (newest[$1] > $3) mixed++; newest[$1] = $3} END {exit bad || mixed < 100}' "$dir/ordered" || fail "ordered_by_key's order"
# Who comes next begins where all is done.
timeout 60 "$bin/ordered_by_key" "$bootstrap" orders by-key 1000 >"$dir/next" 2>"$dir/next.err" || fail "ordered_by_key exited $?"
sort -u "$dir/ordered" "$dir/next" | awk '{n[$1]++; if ($3 > top[$1]) top[$1] = $3}
  END {for (p in n) if (top[p] + 1 - n[p] > 256) {print p, n[p], top[p]; exit 1}}' || fail "ordered_by_key: records are missing"

# Killed in the middle, twice; the last ends in order. Every offset is in the file.
: >"$dir/sink"
count() { wc -l <"$dir/sink"; }
has() { [ "$(count)" -ge "$1" ]; }
for signal in KILL KILL TERM; do
  before=$(count)
  "$bin/at_least_once" "$bootstrap" orders sink "$dir/sink" 2>"$dir/sink.err" &
  reader=$!
  until_true 30 has $((before + 2000))
  kill -$signal $reader
  code=0
  wait $reader 2>/dev/null || code=$?
  reader=
done
[ $code = 0 ] || fail "at_least_once: exit code $code after SIGTERM"
cut -d' ' -f1,2 "$dir/sink" | sort -u | awk '{n[$1]++; if ($2 > top[$1]) top[$1] = $2}
  END {for (p in n) if (n[p] != top[p] + 1) {print p, n[p], top[p]; exit 1}}' || fail "at_least_once: records are missing"

kill -TERM $broker
wait $broker || fail "the broker ended with $?"
broker=
echo "examples: $(wc -l <"$dir/ordered") records in order of their keys, $(wc -l <"$dir/sink") on the disk"
