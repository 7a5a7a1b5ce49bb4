#!/usr/bin/env bash
# quickstart.sh [--kafka | --bootstrap HOST:PORT [--topic NAME]]
#
# Shows kawait at work: two members of one group read a topic of six partitions. The second comes while the first reads, so
# the group rebalances live; the first then leaves at SIGTERM: it drains, commits, leaves.
#
# Installs what is missing (Debian 12; as root or with sudo), builds the examples, and starts kawait's embedded broker on
# loopback, which tells what it sees of the group. --kafka starts a real Kafka instead (with the Java that it needs), and
# --bootstrap takes one that is there (4.0 or later), with a topic made anew; Kafka's own tool then shows the offsets.
# --topic takes an existing topic of it: then nothing is written to it, and neither Java nor Maven is needed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
kafka=$root/tests/kafka
server=embedded bootstrap='' topic='' made=''
while [ $# -gt 0 ]; do
  case $1 in
    --kafka) server=kafka; shift ;;
    --bootstrap) server=theirs bootstrap=${2:?--bootstrap HOST:PORT}; shift 2 ;;
    --topic) topic=${2:?--topic NAME}; shift 2 ;;
    -h | --help) sed -n '2,11s/^# \?//p' "$0"; exit 0 ;;
    *) echo "quickstart.sh: unknown argument '$1'" >&2; exit 2 ;;
  esac
done
[ $server = theirs ] || [ -z "$topic" ] || { echo "quickstart.sh: --topic needs --bootstrap" >&2; exit 2; }

work=$(mktemp -d)
pids=()
cleanup() {
  trap '' INT TERM HUP
  for pid in ${pids[@]+"${pids[@]}"}; do kill -TERM "$pid" 2>/dev/null || true; done
  # A member drains and commits first; half of its time would do.
  for _ in $(seq 50); do
    running=0
    for pid in ${pids[@]+"${pids[@]}"}; do ! kill -0 "$pid" 2>/dev/null || running=1; done
    [ $running = 1 ] || break
    sleep 0.1
  done
  for pid in ${pids[@]+"${pids[@]}"}; do kill -KILL "$pid" 2>/dev/null || true; done
  [ $server != kafka ] || "$kafka/kafka-down" "$work/kafka"
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

# Lines of member A and B at a glance. The member is started by name, not at the end of a pipe, so that its id is its own.
start_member() { # A|B
  mkfifo "$work/$1"
  sed -u "s/^/   [$1] /" <"$work/$1" | tee "$work/$1.log" &
  "$build/bin/quickstart" "$bootstrap" "$topic" "$group" >"$work/$1" 2>&1 &
  member=$!
  pids+=("$member")
}
await_output() { # A|B: its first line, and then some seconds to watch it
  for _ in $(seq 240); do
    [ ! -s "$work/$1.log" ] || break
    kill -0 "$member" 2>/dev/null || break
    sleep 0.25
  done
  sleep "$2"
}
await_takeover() { # until B has all that either of them was ever assigned; then a second to watch it
  for _ in $(seq 240); do
    ! awk '$2 == "assigned" { all[$3]; if ($1 == "[B]") has[$3] }
           $2 == "drained" && $1 == "[B]" { delete has[$3] }
           END { for (p in all) if (!(p in has)) exit 1 }' "$work/A.log" "$work/B.log" || break
    kill -0 "$second" 2>/dev/null || break
    sleep 0.25
  done
  sleep 1
}
tool() { "${jvm[@]}" "$@" 2> >(grep -v SLF4J >&2); }

say "What is missing"
kinds=(build)
[ $server = embedded ] || [ -n "$topic" ] || kinds+=(kafka)
"$root/tests/install-packages" "${kinds[@]}"
echo "Nothing is missing now."

say "Building the examples"
build=$root/build/quickstart
options=()
# A container or the kernel may forbid io_uring; Asio's epoll backend does the same work there.
cat >"$work/ring.c" <<'C'
#include <liburing.h>
int main(void) { struct io_uring ring; return io_uring_queue_init(8, &ring, 0) != 0; }
C
if g++ -x c "$work/ring.c" -o "$work/ring" -luring 2>/dev/null && "$work/ring"; then
  options+=(-DKAWAIT_IO_URING=ON)
else
  echo "io_uring is not to be had here: building with -DKAWAIT_IO_URING=OFF (epoll)"
  options+=(-DKAWAIT_IO_URING=OFF)
fi
cmake -G Ninja -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DKAWAIT_TESTS=OFF -DKAWAIT_BENCH=OFF "${options[@]}" \
  >"$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }
cmake --build "$build"

if [ $server = embedded ]; then
  topic=orders
  say "Starting the embedded broker: topic $topic, six partitions, 20 records a second"
  mkfifo "$work/broker"
  sed -u 's/^/[broker] /' <"$work/broker" | tee "$work/broker.log" &
  "$build/bin/embedded_broker" --topic "$topic:6" --produce 20 --watch yes --heartbeat-interval-ms 500 >"$work/broker" 2>&1 &
  broker=$!
  pids+=("$broker")
  for _ in $(seq 100); do
    [ ! -s "$work/broker.log" ] || break
    kill -0 "$broker" 2>/dev/null || break
    sleep 0.1
  done
  bootstrap=$(sed -n '1s/^\[broker\] //p' "$work/broker.log")
elif [ -z "$topic" ]; then
  libs=$("$kafka/fetch-jars")
  jvm=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$libs/*")
  if [ $server = kafka ]; then
    say "Starting a Kafka on loopback"
    bootstrap=$(KAFKA_OWNER=$$ "$kafka/kafka-up" "$work/kafka" 1 0)
    echo "$bootstrap"
  fi
  topic=kawait-quickstart-$RANDOM made=yes
  say "Topic $topic, six partitions, 20 records a second"
  tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" --create --topic "$topic" --partitions 6 \
    --replication-factor 1
  "${jvm[@]}" org.apache.kafka.tools.VerifiableProducer --bootstrap-server "$bootstrap" --topic "$topic" --max-messages 2000 \
    --throughput 20 --repeating-keys 60 >"$work/producer.log" 2>&1 &
  pids+=($!)
fi

group=kawait-quickstart-$RANDOM
say "Member A joins group $group"
start_member A
first=$member
await_output A 5
say "Member B joins: some of A's partitions are revoked, each when its work in hand is done"
start_member B
second=$member
await_output B 7
say "Member A gets SIGTERM: it drains, commits and leaves, and B takes over"
kill -TERM "$first"
code=0
wait "$first" || code=$?
echo "   A ended with exit code $code"
await_takeover
say "Member B gets SIGTERM"
kill -TERM "$second"
other=0
wait "$second" || other=$?
echo "   B ended with exit code $other"

if [ -n "$made" ]; then
  say "What the group has committed, as Kafka's own tool sees it (LAG is what was produced since)"
  tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$bootstrap" --describe --group "$group"
fi
[ $code = 0 ] && [ $other = 0 ]
