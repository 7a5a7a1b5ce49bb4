#!/usr/bin/env bash
# run.sh BIN_DIR: runs the README's C++ snippets, which the build has extracted and compiled, and looks for what it names.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
words=$(mktemp)
trap 'rm -f "$words"' EXIT

# Nothing listens on port 1: the first snippet says so, by the address, and ends.
code=0
timeout 60 "$1/readme_snippet0" 127.0.0.1:1 2>"$words" || code=$?
[ $code = 1 ] && grep -q '127.0.0.1:1' "$words" || { echo "exit code $code:"; cat "$words"; exit 1; }
"$1/readme_snippet1"
"$1/readme_snippet2"
[ "$("$1/readme_snippet3")" = '***' ] || { echo "the README's secret is shown"; exit 1; }
# The last is the example, word for word, which is a test of its own.
sed -n '/^## Testing your consumer/,/^## /p' "$root/README.md" | sed -n '/^```cpp/,/^```/p' | sed '1d;$d' |
  diff - "$root/examples/test_your_consumer.cpp" || { echo "the README's test is not examples/test_your_consumer.cpp"; exit 1; }

"$1/properties" | diff "$root/examples/PROPERTIES.md" - ||
  { echo "examples/PROPERTIES.md is not what build/.../bin/properties prints"; exit 1; }

grep -oE '^\./[a-z]+/[a-z]+\.sh|`\./[a-z]+/[a-z.]+\.sh|`(examples|bench)/[a-z_]+\.(cpp|sh)' "$root/README.md" | tr -d '`' | sort -u |
  while read -r named; do [ -e "$root/$named" ] || { echo "the README names $named, which is not there"; exit 1; }; done
# A row of the table names a test case and the file that it is in.
grep -oE '\["[^"]+"\]\([^)]+\)' "$root/README.md" | sort -u | while IFS= read -r link; do
  file=${link##*\(} name=${link#\[}
  grep -qF "TEST_CASE(${name%\](*}" "$root/${file%)}" || { echo "the README names a test that is not there: $link"; exit 1; }
done
echo "readme: the snippets run"
