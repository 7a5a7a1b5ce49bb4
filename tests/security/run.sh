#!/usr/bin/env bash
# run.sh BIN_DIR: the tests of TLS and SASL against a real Kafka, with everything logged that can be. Then the output, and whatever the
# assertions showed, is searched for the suite's secrets.
set -euo pipefail
out=$(mktemp)
trap 'rm -f "$out"' EXIT

code=0
"$1/broker_tests" "[security]" --success >"$out" 2>&1 || code=$?
if [ $code != 0 ]; then
  grep -a -B3 -A14 'FAILED' "$out" | head -200 || tail -50 "$out"
  exit $code
fi
logged=$(grep -ac '^kawait ' "$out") || true
[ "$logged" -ge 50 ] || { echo "security: only $logged lines were logged; is the log observer there?"; exit 1; }
grep -aq '^kawait_' "$out" || { echo "security: no metrics were printed"; exit 1; }

"$(dirname "$0")/search.sh" "$out"
echo "security: $logged lines logged, none with a secret"
