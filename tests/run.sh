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
passed=0 failed=0 failures=() group='' beside=''

finish() {
  local each
  trap '' INT TERM HUP
  for each in $group $beside; do
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
  group=$!
  wait "$group" || code=$?
  group=
  return $code
}

# start_beside COMMAND...: at the lowest priority, while tests wait for their brokers; end_beside NAME waits for it.
start_beside() {
  echo "--- beside what follows: $*"
  setsid nice -n 19 "$@" >"$work/beside" 2>&1 </dev/null &
  beside=$!
}
end_beside() {
  local code=0
  wait "$beside" || code=$?
  beside=
  [ $code = 0 ] && return
  cat "$work/beside"
  count "$1" 0 1
  show_end "$1" "$work/beside"
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
  meson compile -C build/meson -j 2 unit threads simulation simulate test_your_consumer bench_consume verifiable_consumer
}
export -f build_meson
run_meson() {
  local ok bad
  end_beside meson-build || return
  step meson meson test -C build/meson --no-rebuild --print-errorlogs
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
  build_preset fuzz fuzzers || return
  step fuzz tests/fuzz/run.sh
  if [[ $(tail -1 "$work/log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    count fuzz "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    [ "${BASH_REMATCH[2]}" = 0 ] || show_failed '^(ok|FAILED) ' '^FAILED ' '^[0-9]+ passed, '
  else
    count "fuzz (no summary)" 0 1
    show_end fuzz "$work/log"
  fi
}

build_preset() { # PRESET TARGET
  build "$1-configure" cmake --preset "$1" -DKAWAIT_QUICK=ON && build "$1-build" cmake --build --preset "$1" --target "$2"
}

configuration() { # PRESET TARGET [ctest option...]
  local preset=$1 target=$2
  shift 2
  build_preset "$preset" "$target" || return
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
# Before the tests, whose time-outs should not pay for a registry.
step jars tests/kafka/fetch-jars 4.3.1 4.0.0 4.2.1 || exit 1
step venv tests/kafka/venv || exit 1

if timed build_preset default all; then
  [ $quick = 1 ] || start_beside bash -c build_meson
  timed run_ctest default default
fi
if [ $quick = 0 ]; then
  [ -n "$beside" ] || start_beside bash -c build_meson
  timed run_meson
  timed configuration tsan threaded -L '^threads$'
  timed configuration clang-epoll unit_and_smoke -L '^(unit|smoke)$'
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
