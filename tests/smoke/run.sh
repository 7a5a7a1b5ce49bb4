#!/usr/bin/env bash
# run.sh BIN_DIR[:BIN_DIR]: a real Kafka and the two programs that others script, once through: join, read, commit, leave.
# Small enough for every compiler, backend and sanitizer; tests/broker has the rest.
set -euo pipefail
PATH=$1:$PATH
kafka=$(cd "$(dirname "$0")/../kafka" && pwd)
count=3000
dir=$(mktemp -d)
member=
cleanup() {
  [ -z "$member" ] || kill -KILL "$member" 2>/dev/null || true
  "$kafka/kafka-down" "$dir"
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

fail() {
  echo "smoke: $1" >&2
  tail -n 8 "$dir"/*.err "$dir"/*.json >&2 || true
  exit 1
}

libs=$("$kafka/fetch-jars")
tool() { java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$libs/*" "$@" \
  2> >(grep -v SLF4J >&2); }
bootstrap=$(KAFKA_OWNER=$$ "$kafka/kafka-up" "$dir" 1 0)
tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" --create --topic smoke --partitions 6 >/dev/null
tool org.apache.kafka.tools.VerifiableProducer --bootstrap-server "$bootstrap" --topic smoke --max-messages $count \
  --repeating-keys 50 >"$dir/producer.json"

timeout 60 bench_consume "$bootstrap" smoke $count >"$dir/bench.json" 2>"$dir/bench.err" || fail "bench_consume exited $?"
grep -Eq "\"records\": ?$count\b" "$dir/bench.json" || fail "bench_consume did not read $count records"

arguments=(--bootstrap-server "$bootstrap" --topic smoke --group-id smoke --group-protocol consumer --reset-policy earliest
  --enable-autocommit)
timeout 60 verifiable_consumer "${arguments[@]}" --max-messages $count >"$dir/all.json" 2>"$dir/all.err" ||
  fail "verifiable_consumer exited $?"
grep -q shutdown_complete "$dir/all.json" || fail "no shutdown_complete"

# A second member finds everything committed, waits, and leaves when it is told to.
verifiable_consumer "${arguments[@]}" >"$dir/second.json" 2>"$dir/second.err" &
member=$!
for _ in $(seq 120); do
  grep -q partitions_assigned "$dir/second.json" && break
  kill -0 $member 2>/dev/null || break
  sleep 0.25
done
grep -q partitions_assigned "$dir/second.json" || fail "the second member was assigned nothing"
kill -TERM $member
code=0
wait $member || code=$?
member=
[ $code = 0 ] || fail "SIGTERM: exit code $code"
grep -q shutdown_complete "$dir/second.json" || fail "SIGTERM: no shutdown_complete"
! grep -q records_consumed "$dir/second.json" || fail "the first member committed less than it had read"
tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$bootstrap" --describe --group smoke \
  --offsets 2>/dev/null | tee "$dir/group" | awk '$2 == "smoke" {lag += $6; n++} END {exit !(n == 6 && lag == 0)}' ||
  { cat "$dir/group" >&2; fail "the group's offsets are not the topic's ends"; }
echo "smoke: $count records, committed, left"
