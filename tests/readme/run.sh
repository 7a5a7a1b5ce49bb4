#!/usr/bin/env bash
# run.sh BUILD_DIR: compiles, links and runs every C++ snippet of the README, and checks that the commands it names are there.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$root/README.md" "$work" <<'P'
import pathlib, re, sys
text = pathlib.Path(sys.argv[1]).read_text()
snippets = re.findall(r"^```cpp\n(.*?)^```", text, re.S | re.M)
assert len(snippets) >= 2, "the README has lost its snippets"
for number, snippet in enumerate(snippets):
    pathlib.Path(sys.argv[2], f"snippet{number}.cpp").write_text(snippet)
P
cat >"$work/CMakeLists.txt" <<C
cmake_minimum_required(VERSION 3.25)
project(readme CXX)
set(KAWAIT_IO_URING ${KAWAIT_IO_URING:-ON})
add_subdirectory($root kawait EXCLUDE_FROM_ALL)
file(GLOB snippets \${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
foreach(snippet IN LISTS snippets)
  cmake_path(GET snippet STEM name)
  add_executable(\${name} \${snippet})
  target_link_libraries(\${name} PRIVATE kawait::compiled)
endforeach()
C
cmake -G Ninja -S "$work" -B "$work/build" -DCMAKE_CXX_COMPILER="${KAWAIT_CXX:-g++}" \
  -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)" >"$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/build" >"$work/log" || { cat "$work/log"; exit 1; }

# Nothing listens on port 1: the first snippet says so, by the address, and ends.
code=0
timeout 60 "$(find "$work/build" -name snippet0 -type f)" 127.0.0.1:1 2>"$work/words" || code=$?
[ $code = 1 ] && grep -q '127.0.0.1:1' "$work/words" || { echo "exit code $code:"; cat "$work/words"; exit 1; }
"$(find "$work/build" -name snippet1 -type f)"

grep -oE '^\./[a-z]+/[a-z]+\.sh|`\./[a-z]+/[a-z.]+\.sh|`(examples|bench)/[a-z_]+\.(cpp|sh)' "$root/README.md" | tr -d '`' | sort -u |
  while read -r named; do [ -e "$root/$named" ] || { echo "the README names $named, which is not there"; exit 1; }; done
echo "readme: all snippets compile and run"
