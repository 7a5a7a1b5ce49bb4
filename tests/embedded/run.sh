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

# with GENERATION PROGRAM...: on a cluster of two nodes, which must end well itself.
runs=0
with() {
  local generation=$1 program=$2 world=$dir/$((runs += 1))
  shift 2
  # A file of its own: the one before has left its line in its own, and a broker's shell empties it at its leisure.
  "$bin/embedded_broker" --nodes 2 --generation "$generation" --session-timeout-ms 6000 --heartbeat-interval-ms 500 \
    >"$world.ready" &
  broker=$!
  for _ in $(seq 300); do
    [ ! -s "$world.ready" ] || break
    kill -0 "$broker"
    sleep 0.1
  done
  [ -s "$world.ready" ] || { echo "embedded_broker --generation $generation is not ready after 30 s" >&2; return 1; }
  "$python" -B -u "$program" "$(cat "$world.ready")" "$libs" "$bin" "$world" "$@"
  kill -TERM "$broker"
  wait "$broker"
  broker=
}

for generation in 4.0 4.2 4.3; do
  with "$generation" "$here/conformance.py"
done
with 4.3 "$here/../interop/interop.py" group_of_three kill_9 conformance
