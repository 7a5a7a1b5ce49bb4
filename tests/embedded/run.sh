#!/usr/bin/env bash
# run.sh BIN_DIR: the embedded broker's conformance: clients of others produce to it, consume from it and share groups on it. First the
# cases of conformance.py, then those of tests/interop that a real Kafka passes too.
set -euo pipefail
bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
kafka=$here/../kafka
dir=$(mktemp -d)
broker=
cleanup() {
  [ -z "$broker" ] || kill -KILL "$broker" 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

libs=$("$kafka/fetch-jars")
python=$("$kafka/venv")

# with GENERATION COMMAND...: on a cluster of two nodes, which must end well itself.
with() {
  "$bin/embedded_broker" --nodes 2 --generation "$1" --session-timeout-ms 6000 --heartbeat-interval-ms 500 >"$dir/ready" &
  broker=$!
  shift
  for _ in $(seq 100); do
    [ ! -s "$dir/ready" ] || break
    sleep 0.1
  done
  "$python" -B -u "$1" "$(cat "$dir/ready")" "$libs" "$bin" "$dir/$RANDOM" "${@:2}"
  kill -TERM "$broker"
  wait "$broker"
  broker=
}

for generation in 4.0 4.2 4.3; do
  with "$generation" "$here/conformance.py"
done
with 4.3 "$here/../interop/interop.py" group_of_three kill_9 conformance
