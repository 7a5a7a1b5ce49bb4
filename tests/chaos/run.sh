#!/usr/bin/env bash
# run.sh [-n RECORDS] [-s SECONDS] [-r SEED] BIN_DIR
#   Moves numbered records through a chain of three groups while connections are cut, nodes and members killed and stopped
#   (chaos.py says how), for SECONDS (40), and looks whether what reliability means held. 20000 records without -n. What fell in
#   which order is the seed's, when it fell is the machine's: a run is not repeatable by it.
# A long one: run.sh -n 1000000 -s 560 BIN_DIR. $CHAOS_LOGS is where the logs of a run are kept that failed.
# The last line: N passed, M failed.
set -euo pipefail
usage() { sed -n '2,/^[^#]/s/^# \?//p' "$0" >&2; exit 2; }
records=20000 seconds=40 seed=$RANDOM
while getopts n:s:r: option; do
  case $option in
    n) records=$OPTARG ;;
    s) seconds=$OPTARG ;;
    r) seed=$OPTARG ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# = 1 ] || usage
bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
kafka=$here/../kafka
dir=$(mktemp -d)
chaos='' code=1
cleanup() {
  trap '' INT TERM HUP
  # Members and proxy die with it; it waits for nodes that it is starting, so that their ids are written.
  if [ -n "$chaos" ]; then
    kill -TERM "$chaos" 2>/dev/null || true
    wait "$chaos" 2>/dev/null || true
  fi
  "$kafka/kafka-down" "$dir/kafka"
  if [ "$code" != 0 ] && [ -n "${CHAOS_LOGS:-}" ]; then
    mkdir -p "$CHAOS_LOGS" && cp "$dir"/*.err "$dir"/kafka/*.log "$CHAOS_LOGS" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

"$kafka/fetch-jars" >/dev/null
python=$("$kafka/venv")
KAFKA_OWNER=$$ KAFKA_HEAP=384m "$python" -B -u "$here/chaos.py" "$bin" "$dir" "$records" "$seconds" "$seed" &
chaos=$!
code=0
wait "$chaos" || code=$?
chaos=
exit $code
