#!/usr/bin/env bash
# settle.sh [-n ROUNDS] [-i INTERVAL] [-a INTERVAL] [-b BIN] [-t]
#
# How long a group takes to settle when a second member joins and when it leaves, and how long it takes the first then to read of all
# partitions again, which have records: bench_settle against librdkafka, Java and franz-go on one real Kafka, in one interleaved run;
# medians with minimum and maximum.
#
#   -n  counted rounds, after one that is thrown away: an odd number (15)
#   -i  the group's heartbeat interval in ms (1000)
#   -a  the broker's group.consumer.assignment.interval.ms (its default)
#   -b  the folder of kawait's programs (build/release/bin)
#   -t  the programs' rounds together instead of in turn: less exact, but a round takes as long as one program's
#
# Before the second member joins, and before it leaves, one heartbeat interval passes, and a part of another: the same for all programs,
# and another in every round, for the first member's next heartbeat is what the second waits for. franz-go is left out where there
# is no go. librdkafka is the one that the confluent-kafka wheel carries. A round that does not settle within two minutes ends it all.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
rounds=15 interval=1000 assignment='' bin=$root/build/release/bin together=no
while getopts n:i:a:b:th option; do
  case $option in
    n) rounds=$OPTARG ;;
    i) interval=$OPTARG ;;
    a) assignment=$OPTARG ;;
    b) bin=$OPTARG ;;
    t) together=yes ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

need "$bin/bench_settle"
build_librdkafka_rival librdkafka_settle
build_java_rival Settle java_settle -Xmx256m
programs=("$bin/bench_settle" "$work/librdkafka_settle" "$work/java_settle")
if build_go_rival settle franz_go_settle; then programs+=("$work/franz_go_settle"); fi

say "starting Kafka"
properties=("group.consumer.heartbeat.interval.ms=$interval")
[ -z "$assignment" ] || properties+=("group.consumer.assignment.interval.ms=$assignment")
bootstrap=$("${kafka_up[@]}" "${properties[@]}")
fill "$bootstrap" settle 2000 16 none # 500 to a partition

python3 - "$bootstrap" "$rounds" "$interval" "$together" "${programs[@]}" <<'P'
import json, statistics, subprocess, sys

bootstrap, rounds, interval, together = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "yes"

class Program:
    def __init__(self, path):
        self.process = subprocess.Popen([path, bootstrap, "settle", "4"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.results = []
    def ask(self, *milliseconds):
        print(*milliseconds, file=self.process.stdin, flush=True)
    def answer(self, n):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"settle: {self.process.args[0]} ended")
        print(f"settle: round {n}: {line.strip()}", file=sys.stderr)
        if n > 0:
            self.results.append(json.loads(line))

programs = [Program(path) for path in sys.argv[5:]]
try:
    for n in range(rounds + 1):
        # Phases that lie evenly in the interval, however many they are: a median of random ones would need many more.
        phase = round((1 + (max(n, 1) - 0.5) / rounds) * interval)
        for program in programs:
            program.ask(phase, phase)
            if not together:
                program.answer(n)
        for program in programs if together else ():
            program.answer(n)
finally:
    for program in programs:
        program.process.stdin.close()
        try:
            program.process.wait(10)
        except subprocess.TimeoutExpired:
            program.process.kill()

def figures(values, digits=0):
    return f"{statistics.median(values):7.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"

medians = {}
for program in programs:
    of = {what: [r[what] for r in program.results] for what in ("join_ms", "leave_ms", "first_ms")}
    name = program.results[0]["name"]
    medians[name] = {what: statistics.median(values) for what, values in of.items()}
    line = (f"{name:20} join {figures(of['join_ms']):24} ms, leave {figures(of['leave_ms']):24} ms, "
            f"first record {figures(of['first_ms'], 1):24} ms")
    if "heartbeats" in program.results[0]:
        line += f", heartbeats {figures([r['heartbeats'] for r in program.results])}"
    print(line)
for what in ("join_ms", "leave_ms", "first_ms"):
    best = min(m[what] for name, m in medians.items() if name != "kawait")
    print(f"kawait: {medians['kawait'][what] / best:.2f} of the best rival's {what}")
P
