#!/bin/sh
# Compares kawait's protocol with Kafka's own: the declarations with the JSON definitions in kafka-clients, the bytes with Java's
# encoder.
# usage: run.sh LIBS_DIR BUILD_BIN_DIR [SEED [COUNT]]
# LIBS_DIR holds kafka-clients-*.jar and the jars that it needs; BUILD_BIN_DIR the programs `declarations` and `messages`.
set -eu

if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
fi
libs=$1
bin=$2
seed=${3:-1}
count=${4:-20}
here=$(cd "$(dirname "$0")" && pwd)

fail() {
  echo "protocol: $1" >&2
  exit 1
}

set -- "$libs"/kafka-clients-[0-9]*.jar
[ $# -eq 1 ] && [ -f "$1" ] || fail "there must be exactly one kafka-clients jar in $libs"
jar=$1
for program in declarations messages; do
  [ -x "$bin/$program" ] || fail "$bin/$program is not built"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bin/declarations" >"$work/declarations" || fail "declarations failed"
python3 "$here/compare_declarations.py" "$jar" <"$work/declarations" || fail "the declarations differ from Kafka's definitions"

echo "seed $seed, $count messages of each kind and version"
"$bin/messages" generate "$seed" "$count" >"$work/from-kawait" || fail "kawait refused to encode one of its own messages"
java -cp "$libs/*" "$here/Oracle.java" "$work/from-kawait" "$work/from-java" "$seed" "$count" ||
  fail "Java disagrees with what kawait encoded (seed $seed)"
"$bin/messages" verify <"$work/from-java" || fail "kawait disagrees with what Java encoded (seed $seed)"
