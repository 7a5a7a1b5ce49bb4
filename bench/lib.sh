# Sourced by the scripts beside it: $root is the repository, $work a folder that goes when the script ends, and with it its
# background jobs and the Kafka that "${kafka_up[@]}" PROPERTY=VALUE... starts there.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
export KAFKA_OWNER=$$ KAFKA_JIT=4
kafka_up=("$root/tests/kafka/kafka-up" "$work/kafka" 1 "${KAFKA_BASE_PORT:-0}" num.partitions=4)
cleanup() {
  trap '' INT TERM HUP
  kill $(jobs -p) 2>/dev/null || true
  "$root/tests/kafka/kafka-down" "$work/kafka" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

script=$(basename "$0" .sh)
say() { echo "$script: $*" >&2; }

# What a Java client says that has no logger is of no use.
without_slf4j() { grep -v SLF4J >&2 || true; }

# The script's head, behind the line that names its interpreter.
usage() { sed -n '2,/^[^#]/s/^# \?//p' "$0"; }

# need PROGRAM...: known before anything takes its time.
need() {
  local program
  for program in "$@"; do
    [ -x "$program" ] || { say "$program is not there: cmake --preset release && cmake --build --preset release"; exit 2; }
  done
}

# build_librdkafka_rival NAME: $work/NAME of rivals/NAME.c, with the librdkafka that the confluent-kafka wheel carries and Debian's header.
build_librdkafka_rival() {
  local python library
  python=$("$root/tests/kafka/venv")
  library=$(find "$(dirname "$python")/../lib" -name 'librdkafka-*.so.1' | head -1)
  gcc -O2 -pthread "$root/bench/rivals/$1.c" "$library" -Wl,-rpath,"$(dirname "$library")" -o "$work/$1"
}

# build_java_rival NAME PROGRAM [JVM-OPTION...]: $work/PROGRAM runs rivals/NAME.java.
build_java_rival() {
  local name=$1 program=$work/$2 libs
  shift 2
  libs=$("$root/tests/kafka/fetch-jars")
  javac -cp "$libs/*" -d "$work" "$root/bench/rivals/$name.java"
  printf '#!/bin/sh\nexec java %s -cp "%s:%s/*" %s "$@"\n' "$*" "$work" "$libs" "$name" >"$program"
  chmod +x "$program"
}

# build_go_rival NAME PROGRAM: $work/PROGRAM of rivals/franz-go/NAME. Debian's go is too old for franz-go: false where there is none.
build_go_rival() {
  local go
  go=$(PATH=$PATH:/usr/local/go/bin command -v go) || { say "no go here: franz-go is left out"; return 1; }
  (cd "$root/bench/rivals/franz-go" && "$go" build -buildvcs=false -o "$work/$2" "./$1") || { say "go build failed"; exit 1; }
}

# make_topic BOOTSTRAP TOPIC PARTITIONS
make_topic() {
  java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$("$root/tests/kafka/fetch-jars")/*" org.apache.kafka.tools.TopicCommand \
    --bootstrap-server "$1" --create --topic "$2" --partitions "$3" 2> >(without_slf4j) >&2
}

# fill BOOTSTRAP TOPIC RECORDS SIZE CODEC [PARTITIONS]: into the first so many partitions, or into all. The broker makes the topic for
# the first who asks for it.
fill() {
  java -Xmx256m -cp "$("$root/tests/kafka/fetch-jars")/*" "$root/bench/Fill.java" "$@" 2> >(without_slf4j) >&2
}

# describe NAME=VALUE... -- PROPERTY=VALUE...: the first line of a file of results: what was run, where, and with which properties of
# kawait's. Call it before there is any load of our own.
describe() {
  python3 - "kafka=$(basename "$("$root/tests/kafka/fetch-jars")")" "load=$(cut -d' ' -f1 /proc/loadavg)" "$@" <<'P'
import json, sys
end = sys.argv.index("--")
print(json.dumps({**dict(word.split("=", 1) for word in sys.argv[1:end]), "properties": sys.argv[end + 1:]}))
P
}

# note ROUND PROGRAM LINE OUTPUT: what PROGRAM printed, told, and kept unless it is the round that is thrown away: the broker is cold.
note() {
  say "round $1: ${3%%,\"settings\"*}"
  [ "$1" = 0 ] || printf '%s,"round":%s,"program":"%s"}\n' "${3%\}}" "$1" "${2#"$root"/}" >>"$4"
}
