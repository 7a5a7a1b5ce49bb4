#!/usr/bin/env bash
# run.sh [--quick]
# Installs what is missing (Debian 12, root or sudo), builds, and passes all tests, those against a real Kafka included;
# then again by Meson with sanitizers, with clang and epoll, and the fuzzers for a while. --quick: the first build only.
# The last line: N passed, N failed.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
quick=0
case ${1:-} in
  '') ;;
  --quick) quick=1 ;;
  *) sed -n '2,5s/^# \?//p' "$0" >&2; exit 2 ;;
esac

work=$(mktemp -d)
# Everything that a test makes is beneath, and what it forgets to end is found there.
export TMPDIR=$work
# The build folders lie side by side, so that they can share what a compiler made of the same file.
export CCACHE_BASEDIR=$root
passed=0 failed=0 failures=() fetching='' building=''
export work

finish() {
  local each
  trap '' INT TERM HUP
  # Only what still runs: another process may have the id of what has ended.
  for each in $(jobs -pr); do
    # The step's own process group: its traps get a few seconds to end what they started.
    kill -TERM -- "-$each" 2>/dev/null
    for _ in $(seq 50); do kill -0 -- "-$each" 2>/dev/null || break; sleep 0.1; done
    kill -KILL -- "-$each" 2>/dev/null
  done
  find "$work" -name '[0-9]*.pid' -exec dirname {} \; 2>/dev/null | sort -u | while read -r dir; do
    tests/kafka/kafka-down "$dir"
  done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# step NAME COMMAND...: runs it in a process group of its own, to the terminal and to $work/log; $work/all keeps every step's.
# In the background and waited for, since bash runs a trap only after a foreground command has ended.
step() {
  local name=$1 code=0
  shift
  echo "--- $name: $*"
  setsid bash -c 'set -o pipefail; log=$1; shift; "$@" 2>&1 </dev/null | tee "$log" | tee -a "${log%/*}/all"' _ "$work/log" "$@" &
  wait $! || code=$?
  return $code
}

# start_beside COMMAND...: in a process group of its own, whose id is left in $beside, while the steps go on.
start_beside() {
  echo "--- beside what follows: $*"
  setsid "$@" >/dev/null 2>&1 </dev/null &
  beside=$!
}

# part NAME COMMAND...: of what runs beside, one after another. $work/NAME.log is what it says; $work/NAME.code, its exit code and how many
# seconds it took, is there when it has ended.
part() {
  local name=$1 code=0 start=$SECONDS
  shift
  "$@" >"$work/$name.log" 2>&1 || code=$?
  echo "$code $((SECONDS - start))" >"$work/$name.code"
}
export -f part

# Linux may share the processors out between sessions, autogroups, and `nice` then counts within one only: the session has a nice of
# its own. Where there is none, or it may not be set, what `nice` says has to do.
nice_session() { # PID NICE
  { echo "$2" >"/proc/$1/autogroup"; } 2>/dev/null || true
}
export -f nice_session

# end_part PID NAME: waits for a part of what start_beside began.
end_part() {
  local code='' seconds=0
  if [ ! -s "$work/$2.code" ]; then
    echo "--- waiting for $2"
    # Nothing else is to be done, so it need not stand back.
    [ "$1" != "$building" ] || nice_session "$1" 0
    until [ -s "$work/$2.code" ] || ! jobs -pr | grep -qx "$1"; do sleep 0.5; done
    [ "$1" != "$building" ] || nice_session "$1" 19
  fi
  if [ -s "$work/$2.code" ]; then
    read -r code seconds <"$work/$2.code"
    echo "--- $2, beside: $seconds s"
  else
    echo "--- $2, beside: whatever ran it was killed"
  fi
  touch "$work/$2.log"
  cat "$work/$2.log" >>"$work/all"
  [ "$code" != 0 ] || return 0
  cat "$work/$2.log"
  count "$2" 0 1
  show_end "$2" "$work/$2.log"
  return 1
}

count() { # NAME PASSED FAILED
  passed=$((passed + $2))
  failed=$((failed + $3))
  [ "$3" = 0 ] || failures+=("$1: $3")
}

# show_failed OWN FAILED LAST: the end of what each failed test said, for that is what tells. At once, and again at the end of it all:
# whoever reads the log looks at one of the two. The step's log is a test program's: its own lines match OWN, up to one that matches
# LAST, and beneath one that matches FAILED is the output of a test that did.
show_failed() {
  awk -v own="$1" -v failed="$2" -v last="$3" -v most=60 '
    function show(i) {
      if (heading == "") return
      print "\n=== " heading
      if (n > most) print "[...]"
      for (i = n > most ? n - most : 0; i < n; ++i) print line[i % most]
      heading = ""
    }
    $0 ~ last { exit }
    $0 ~ own { show(); n = 0; if ($0 ~ failed) heading = $0; next }
    { line[n++ % most] = $0 }
    END { show() }' "$work/log" | tee -a "$work/failures"
}

# show_end NAME FILE: for what is no test, at the end only.
show_end() { # NAME FILE
  { echo; echo "=== $1"; tail -n 60 "$2"; } >>"$work/failures"
}

build() { # NAME COMMAND...: counts only when it fails
  step "$@" && return
  count "$1" 0 1
  show_end "$1" "$work/log"
  return 1
}

run_ctest() { # NAME PRESET [ctest option...]
  local name=$1 preset=$2 line
  shift 2
  step "$name" ctest --preset "$preset" -j3 "$@"
  cat "build/$preset/Testing/Temporary/LastTest.log" >>"$work/all" # what the tests said that passed
  line=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+' "$work/log" | tail -1)
  if [[ $line =~ ([0-9]+)\ tests?\ failed\ out\ of\ ([0-9]+) ]]; then
    count "$name" $((BASH_REMATCH[2] - BASH_REMATCH[1])) "${BASH_REMATCH[1]}"
    [ "${BASH_REMATCH[1]}" = 0 ] || \
      show_failed '^ *[0-9]+/[0-9]+ Test +#[0-9]+: |^ +Start +[0-9]+: ' '[*][*][*]' '^[0-9]+% tests passed'
  else
    count "$name (no summary, no test)" 0 1
    show_end "$name" "$work/log"
  fi
}

# By Meson with the address and undefined-behaviour sanitizers: what needs no broker, and the smoke test's programs.
build_meson() {
  # Once: told again, plain takes the optimisation back.
  [ -e build/meson/build.ninja ] || meson setup build/meson --buildtype=plain -Doptimization=0 -Db_sanitize=address,undefined \
    -Dcpp_args='-g1 -fno-omit-frame-pointer -fno-sanitize-recover=all' || return
  # The examples and the other benches are in the build before it.
  meson compile -C build/meson -j 2 unit threads simulation simulate bench_consume verifiable_consumer
}
run_meson() {
  local ok bad
  end_part "$building" meson-build || return
  step meson meson test -C build/meson --no-rebuild --no-suite examples --print-errorlogs
  cat build/meson/meson-logs/testlog.txt >>"$work/all"
  ok=$(awk '$1 == "Ok:" {print $2}' "$work/log")
  bad=$(awk '$1 == "Fail:" || $1 == "Timeout:" || $1 == "Unexpected" {sum += $NF} END {print sum + 0}' "$work/log")
  [ "${ok:-0}" -gt 0 ] || bad=$((bad + 1))
  [ "$bad" = 0 ] || show_failed '^ *[0-9]+/[0-9]+ ' ' (FAIL|TIMEOUT|ERROR|UNEXPECTEDPASS) ' '^Summary of Failures:'
  count meson "${ok:-0}" "$bad"
  if step meson-smoke tests/smoke/run.sh "$root/build/meson/bench:$root/build/meson/examples"; then
    count meson-smoke 1 0
  else
    count meson-smoke 0 1
    show_end meson-smoke "$work/log"
  fi
}

run_fuzzers() {
  end_part "$building" fuzz-build || return
  step fuzz tests/fuzz/run.sh
  if [[ $(tail -1 "$work/log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    count fuzz "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    [ "${BASH_REMATCH[2]}" = 0 ] || show_failed '^(ok|FAILED) ' '^FAILED ' '^[0-9]+ passed, '
  else
    count "fuzz (no summary)" 0 1
    show_end fuzz "$work/log"
  fi
}

build_preset() { # PRESET TARGET [option...]
  local preset=$1 target=$2
  shift 2
  cmake --preset "$preset" -DKAWAIT_QUICK=ON && cmake --build --preset "$preset" --target "$target" "$@"
}

# What the tests need that follow those of the first build, in their order. Tests wait for their brokers most of the time.
build_the_others() {
  nice_session self 19
  part meson-build build_meson
  part tsan-build build_preset tsan threaded -j2
  part clang-epoll-build build_preset clang-epoll unit_and_smoke -j2
  part fuzz-build build_preset fuzz fuzzers -j2
}
fetch() {
  part jars tests/kafka/fetch-jars 4.3.1 4.0.0 4.2.1
  part venv tests/kafka/venv
}
export -f build_meson build_preset build_the_others fetch

configuration() { # PRESET [ctest option...]
  local preset=$1
  shift
  end_part "$building" "$preset-build" || return
  run_ctest "$preset" "$preset" "$@"
}

timed() {
  local start=$SECONDS name=$1 code=0
  "$@" || code=$?
  echo "--- $name ${2:-}: $((SECONDS - start)) s"
  return $code
}

kinds=(build test kafka)
[ $quick = 1 ] || kinds+=(clang)
step packages tests/install-packages "${kinds[@]}" || exit 1
start_beside bash -c fetch
fetching=$beside

built=1
timed build default-build build_preset default all || built=0
if [ $quick = 0 ]; then
  start_beside nice -n 19 bash -c build_the_others
  building=$beside
fi
# Before the tests, whose time-outs should not pay for a registry.
fetched=1
for part in jars venv; do end_part "$fetching" $part || fetched=0; done
[ $built = 0 ] || [ $fetched = 0 ] || timed run_ctest default default
if [ $quick = 0 ]; then
  timed run_meson
  timed configuration tsan -L '^threads$'
  timed configuration clang-epoll -L '^(unit|smoke)$'
  timed run_fuzzers
fi

# Whatever all of it printed, but for what assertions that fail show of a test's own.
if [ $failed = 0 ]; then
  if step secrets tests/security/search.sh "$work/all"; then
    count secrets 1 0
  else
    count secrets 0 1
    show_end secrets "$work/log"
  fi
fi

echo "--- all of it: $SECONDS s"
if [ -s "$work/failures" ]; then cat "$work/failures"; fi
for failure in ${failures[@]+"${failures[@]}"}; do echo "FAILED $failure"; done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
