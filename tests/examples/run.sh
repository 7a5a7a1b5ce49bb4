#!/usr/bin/env bash
# run.sh BIN_DIR: the examples that read a topic, on the embedded broker, and whether what they promise is true.
set -euo pipefail
bin=$(cd "$1" && pwd)
dir=$(mktemp -d)
running=() pid=
cleanup() {
  for p in ${running[@]+"${running[@]}"}; do kill -KILL "$p" 2>/dev/null || true; done
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
start() {  # NAME PROGRAM ARGUMENT...: its output in $dir/NAME, its process in $pid
  "$bin/$2" "${@:3}" >"$dir/$1" 2>"$dir/$1.err" &
  pid=$!
  running+=("$pid")
}
end() {  # SIGNAL PID: and the exit code is 0, unless it is killed
  local code=0 each left=()
  kill "-$1" "$2"
  wait "$2" 2>/dev/null || code=$?
  for each in "${running[@]}"; do [ "$each" = "$2" ] || left+=("$each"); done
  running=(${left[@]+"${left[@]}"})
  [ "$1" = KILL ] || [ $code = 0 ] || fail "exit code $code after SIG$1"
}
refused() {  # NAME PROGRAM ARGUMENT...: it ends by itself, and the exit code is 1
  local code=0
  timeout 20 "$bin/$2" "${@:3}" >"$dir/$1" 2>"$dir/$1.err" || code=$?
  [ $code = 1 ] || fail "exit code $code of $1"
}
said() { grep -q -e "$2" "$dir/$1"; }

start broker embedded_broker --topic orders:4 --topic orders-eu:2 --topic audit:1 --produce 4000 --watch yes \
  --session-timeout-ms 3000 --heartbeat-interval-ms 500
broker=$pid
until_true 20 said broker :
bootstrap=$(head -n 1 "$dir/broker")
# PARTITION OFFSET, a line for each of orders' partitions: what GROUP has committed
committed() {
  awk -v g="$1:" '$2 == g && $3 == "committed" {
    for (i = 4; i <= NF; i++) {split($i, a, "@"); if (sub("^orders-", "", a[1])) o[a[1]] = a[2]}}
    END {for (p in o) print p, o[p]}' "$dir/broker" | sort
}
agree() { [ "$($1)" = "$($2)" ]; }

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

# Killed in the middle, twice, with half a line left; the last ends in order. Every offset is in the file, in a line of its own.
: >"$dir/sink"
count() { wc -l <"$dir/sink"; }
has() { [ "$(count)" -ge "$1" ]; }
for signal in KILL KILL TERM; do
  before=$(count)
  start at_least_once at_least_once "$bootstrap" orders sink "$dir/sink"
  until_true 30 has $((before + 1500))
  end $signal $pid
  [ $signal = TERM ] || printf '0 1' >>"$dir/sink"
done
whole() {  # FILE: lines as they are to be, every offset among them
  sort -u "$1" | awk '!/^[0-9]+ [0-9]+ [0-9]+$/ {bad = "line: " $0} {n[$1]++; if ($2 > top[$1]) top[$1] = $2}
    END {for (p in n) if (n[p] != top[p] + 1) bad = "missing: " p " " n[p] " " top[p]; if (bad) {print bad; exit 1}}'
}
whole "$dir/sink" || fail "at_least_once: records are missing"
# A disk that is full in the middle of a line, and is not later: every record once.
trap '' XFSZ
ulimit -S -f 20
start full at_least_once "$bootstrap" orders full "$dir/full_sink"
ulimit -S -f hard
trap - XFSZ
size_is() { [ "$(stat -c %s "$dir/full_sink" 2>/dev/null)" = "$1" ]; }
until_true 20 size_is 20480
prlimit --pid "$pid" --fsize=unlimited:
has_outgrown() { [ "$(stat -c %s "$dir/full_sink")" -gt 30000 ]; }
until_true 20 has_outgrown
end TERM "$pid"
whole "$dir/full_sink" || fail "at_least_once: torn by a full disk"
[ -z "$(sort "$dir/full_sink" | uniq -d)" ] || fail "at_least_once: twice after a full disk"

# Told to end: what is handed out is worked on, committed, and the group left.
start page graceful_shutdown "$bootstrap" orders graceful
until_true 20 said broker '^group graceful: committed orders'
end TERM $pid
said page.err 'left the group' || fail "graceful_shutdown did not leave"
handed_out() { sed -nE 's/^kawait_records_total\{.*partition="([0-9]+)"\} /\1 /p' "$dir/page" | sort; }
[ "$(handed_out | wc -l)" = 4 ] || fail "graceful_shutdown's metrics"
until_true 5 agree handed_out 'committed graceful'

# From a record's own time: that one and all behind it, and none before.
since() {
  timeout 20 "$bin/seek_to_timestamp" "$bootstrap" orders 4 "$2" >"$dir/$1" 2>"$dir/$1.err" || fail "seek_to_timestamp exited $?"
}
since all 1970-01-01T00:00:00Z
time=$(awk '$1 == 0 {t[n++] = $3} END {print t[int(n / 2)]}' "$dir/all")
since some "$(date -u -d "@$((time / 1000)).$(printf %03d $((time % 1000)))" +%Y-%m-%dT%H:%M:%S.%3NZ)"
since hour 3600
awk -v t="$time" 'FNR == 1 {file++} file == 1 {all[$1 " " $2] = $3}
  file == 2 {some[$1 " " $2] = 1; if ($3 < t) bad = "early: " $0}
  file == 3 {hour[$1 " " $2] = 1}
  END {for (r in all) {if (!(r in hour)) bad = "not within the hour: " r; if (all[r] >= t && !(r in some)) bad = "missing: " r}
    if (bad) {print bad; exit 1}}' "$dir/all" "$dir/some" "$dir/hour" || fail "seek_to_timestamp"
[ "$(wc -l <"$dir/some")" -gt 100 ] || fail "seek_to_timestamp found too little"

# The slow one's queue is bounded, the others do not wait for it, and nothing is left in a queue at the end.
start pressure backpressure "$bootstrap" orders pressure 1
until_true 20 said pressure '^resumed 1'
end TERM $pid
awk '$1 == "written" {if ($3 != next_[$2]++) bad = "order: " $0; if (waits && $2 != 1) others++}
  $1 == "paused" {if ($3 > 1000) bad = "too long: " $0}
  $2 == 1 && $1 != "written" {waits = $1 == "paused"}
  END {if (next_[1] < 200 || next_[0] <= next_[1]) bad = "written " next_[0] " " next_[1]; if (others < 100) bad = "others waited"
    if (bad) {print bad; exit 1}}' "$dir/pressure" || fail "backpressure"
written() { awk '$1 == "written" {n[$2]++} END {for (p in n) print p, n[p]}' "$dir/pressure" | sort; }
until_true 5 agree written 'committed pressure'

# Two members have the matching topics between them. One restarts and has what it had; the other has heard of nothing.
owned() {
  awk '{for (i = 2; i <= NF; i++) if ($1 == "assigned") o[$i] = 1; else delete o[$i]} END {for (p in o) print p}' "$dir/$1" | sort
}
has_three() { [ "$(owned "$1" | wc -l)" = 3 ]; }
start one pattern_static_member "$bootstrap" 'orders.*' fleet pod-1
one=$pid
start other pattern_static_member "$bootstrap" 'orders.*' fleet pod-2
other=$pid
until_true 20 has_three one
until_true 20 has_three other
[ "$( (owned one; owned other) | sort | tr '\n' ' ')" = "orders-0 orders-1 orders-2 orders-3 orders-eu-0 orders-eu-1 " ] ||
  fail "pattern_static_member reads other topics"
# Members with partitions that there have been, and the highest epoch: it is a new one when anything has moved.
epochs() {
  awk '/^group fleet: member .* owns orders/ {if (!($4 in m)) n++; m[$4] = 1; if ($7 > top) top = $7}
    END {print n + 0, top}' "$dir/broker"
}
seen() { [ "$(epochs | cut -d' ' -f1)" = "$1" ]; }
until_true 5 seen 2
before=$(epochs)
mine=$(owned one)
cp "$dir/other" "$dir/other_before"
end TERM $one
start again pattern_static_member "$bootstrap" 'orders.*' fleet pod-1
one=$pid
until_true 10 has_three again
until_true 5 seen 3
[ "$(epochs)" = "3 ${before#* }" ] || fail "the group noticed the restart: $before, then $(epochs)"
[ "$(owned again)" = "$mine" ] || fail "other partitions after the restart"
cmp "$dir/other" "$dir/other_before" || fail "the other member noticed"
# Nor does one under a name that is taken get in: it says so and ends.
refused taken pattern_static_member "$bootstrap" 'orders.*' fleet pod-2
cmp "$dir/other" "$dir/other_before" || fail "the other member noticed"
end TERM $one
end TERM $other

# Killed at any time, and with another member beside it: each record once.
rows=-
if [ -x "$bin/transactional_sink" ]; then
  sql() { python3 -c 'import sqlite3, sys
try:
  for row in sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None).execute(sys.argv[2]): print(*row)
except sqlite3.OperationalError: print(0)  # no table yet' "$dir/db" "$1"; }
  least='SELECT CASE WHEN count(*) = 4 THEN min(offset) ELSE 0 END FROM next'
  reaches() { [ "$(sql "$least")" -ge "$1" ]; }
  start table1 transactional_sink "$bootstrap" orders table "$dir/db"
  until_true 20 reaches 300
  end KILL $pid
  start table2 transactional_sink "$bootstrap" orders table "$dir/db"
  first=$pid
  start table3 transactional_sink "$bootstrap" orders table "$dir/db"
  second=$pid
  # The one that is gone has a session to lose yet; then they share.
  until_true 20 reaches $(($(sql 'SELECT max(offset) FROM next') + 100))
  end KILL $first
  until_true 20 reaches $(($(sql 'SELECT max(offset) FROM next') + 100))
  end TERM $second
  [ "$(sql 'SELECT count(*) FROM next JOIN (SELECT partition AS p, count(*) AS n, count(DISTINCT offset) AS d,
    max(offset) + 1 AS m FROM records GROUP BY partition) ON p = partition
    WHERE n = offset AND d = offset AND m = offset')" = 4 ] || fail "transactional_sink: not each record once"
  rows=$(sql 'SELECT count(*) FROM records')
  # Where the log has no such offset, and where the records are stored already, it stops, and no row comes or goes.
  rows_of='SELECT count(*), max(offset) FROM records WHERE partition = 0'
  stored=$(sql "$rows_of")
  stops() {  # NAME CHANGE WORDS: of partition 0's next offset
    sql "UPDATE next SET offset = offset + $2 WHERE partition = 0"
    refused "$1" transactional_sink "$bootstrap" orders table "$dir/db"
    said "$1.err" "$3" || fail "transactional_sink ended for another reason"
    sql "UPDATE next SET offset = offset - $2 WHERE partition = 0"
    [ "$(sql "$rows_of")" = "$stored" ] || fail "transactional_sink: other rows than before"
  }
  stops beyond 1000000 'auto.offset.reset is none'
  stops twice -100 'UNIQUE constraint failed'
fi

# Two members in one process share the partitions, and the service answers meanwhile.
start cores thread_per_core "$bootstrap" orders cores 2 0
until_true 20 test -s "$dir/cores"
ask() { cat <"/dev/tcp/127.0.0.1/$(head -n 1 "$dir/cores")" | awk '{if ($2 == 2 && $3 >= 500) n++} END {exit n != 2}'; }
until_true 20 ask
end TERM $pid

end TERM $broker
echo "examples: $(wc -l <"$dir/ordered") records in order of their keys, $(wc -l <"$dir/sink") on the disk, $rows in the table"
