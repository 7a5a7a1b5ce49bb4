#!/usr/bin/env bash
# run.sh BIN_DIR [CASE...]: one group with members of ours, Java's and librdkafka's, on a Kafka of its own. Cases: interop.py.
set -euo pipefail
bin=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
kafka=$here/../kafka
dir=$(mktemp -d)
cases=
cleanup() {
  # interop.py's members die with it.
  [ -z "$cases" ] || kill -KILL "$cases" 2>/dev/null || true
  "$kafka/kafka-down" "$dir/kafka"
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

libs=$("$kafka/fetch-jars")
python=$("$kafka/venv")
# A member that was killed is missed after six seconds, not 45.
bootstrap=$(KAFKA_OWNER=$$ "$kafka/kafka-up" "$dir/kafka" 1 0 group.consumer.session.timeout.ms=6000 \
  group.consumer.heartbeat.interval.ms=500)
"$python" -B -u "$here/interop.py" "$bootstrap" "$libs" "$bin" "$dir" "$@" &
cases=$!
code=0
wait "$cases" || code=$?
cases=
exit $code
