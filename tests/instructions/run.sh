#!/usr/bin/env bash
# run.sh PROGRAM [LIMITS]: counts the instructions of the fetch path with valgrind, and compares with what limits.txt says. Counts are the
# same each time, whatever else the machine does; times are bench/. Comparisons with what is secret must have the same count wherever the
# difference is.
set -euo pipefail
program=$1 limits=${2:-$(dirname "$0")/limits.txt}
command -v valgrind >/dev/null || { echo "instructions: no valgrind (tests/install-packages test)" >&2; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

# A dump for each call of measured(). callgrind shows the program a CPU with SSE 4.2 and without AVX-512: that is the CRC counted.
LD_BIND_NOW=1 valgrind -q --tool=callgrind --callgrind-out-file="$dir/out" --zero-before=measured --dump-after=measured \
  --toggle-collect=prepared_copy --toggle-collect=prepared_answer --collect-atstart=yes "$program" >"$dir/names" ||
  { echo "instructions: $program exited $?" >&2; exit 1; }

number=0
while read -r name divisor; do
  number=$((number + 1))
  echo "counted $name $(awk '$1 == "totals:" {print $2}' "$dir/out.$number") $divisor"
done <"$dir/names" >"$dir/counted"

awk '
  /^#/ || NF == 0 { next }
  $1 == "counted" { of[$2] = $3 / $4; next }
  { limit[++n] = $2; name[n] = $1; $1 = $2 = ""; what[n] = $0 }
  END {
    figure["walk"] = of["walk"]
    figure["crc"] = of["crc"]
    figure["round"] = of["one"]
    figure["hot"] = of["among_idle"]
    figure["brokers"] = of["brokers"]
    figure["batch"] = (of["many"] - of["one"]) / 63
    figure["record"] = (of["loop"] - of["one_unchecked"]) / 999
    figure["plain"] = (of["plain"] - of["loop"]) / 1000
    figure["coroutine"] = (of["coroutine"] - of["loop"]) / 1000
    compared["signature"]; compared["secret"]
    if (n != 9) { print "instructions: " n " limits instead of 9"; exit 1 }
    for (i = 1; i <= n; ++i) {
      f = figure[name[i]]
      verdict = "ok"
      if (f > 1.1 * limit[i]) { verdict = "TOO MANY"; bad = 1 }
      if (f < 0.9 * limit[i]) verdict = "fewer: the limit may follow"
      # Nothing was counted, or a name is wrong.
      if (f <= 0) { verdict = "NOTHING COUNTED"; bad = 1 }
      printf "%-10s %9.1f of %7d  %s:%s\n", name[i], f, limit[i], verdict, what[i]
    }
    if (bad) print "instructions: above limits.txt + 10 %"
    for (pair in compared) {
      first = of[pair "_first"]; last = of[pair "_last"]
      equal = first > 0 && first == last
      printf "%-10s %9.1f, wrong near its begin; %.1f near its end: %s\n", pair, first, last, equal ? "ok" : "NOT ALIKE"
      if (!equal) bad = 1
    }
    exit bad
  }' "$dir/counted" "$limits"
