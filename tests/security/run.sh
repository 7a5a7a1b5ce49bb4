#!/usr/bin/env bash
# run.sh BIN_DIR: the tests of TLS and SASL against a real Kafka, with everything logged that can be. Then the output, and whatever the
# assertions showed, is searched for the suite's secrets: all of them begin with "hunter2"; SCRAM's and PLAIN's come in base64, too.
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

# "hunter2" at each of the three places that base64 has for a text.
secrets=(hunter2 'PRIVATE KEY' aHVudGVyM h1bnRlcj odW50ZXIy 'Bearer ' 'eyJhbGciOiJub25lIn0')
for secret in "${secrets[@]}"; do
  if grep -aqF -- "$secret" "$out"; then
    echo "security: '$secret' was printed:"
    grep -aF -m3 -- "$secret" "$out"
    exit 1
  fi
done
echo "security: $logged lines logged, none with a secret"
