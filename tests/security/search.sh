#!/usr/bin/env bash
# search.sh FILE...: fails if one of the tests' secrets is in them, and shows where. All of the secrets begin with "hunter2"; SCRAM's and
# PLAIN's come in base64, too.
set -euo pipefail

# "hunter2" at each of the three places that base64 has for a text.
secrets=(hunter2 'PRIVATE KEY' aHVudGVyM h1bnRlcj odW50ZXIy 'Bearer ' 'eyJhbGciOiJub25lIn0')
for secret in "${secrets[@]}"; do
  if grep -aqF -- "$secret" "$@"; then
    echo "security: '$secret' was printed:"
    grep -aF -m3 -- "$secret" "$@"
    exit 1
  fi
done
