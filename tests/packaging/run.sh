#!/usr/bin/env bash
# Every way of taking kawait into a program: each is a project of its own, built and run outside of the repository.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cxx=${KAWAIT_CXX:-g++}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
# The sanitizers and flags of whoever runs us are not those of the programs.
unset CXXFLAGS LDFLAGS
export CXX=$cxx
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi

project() { # NAME [PROGRAM]: a folder with a program and a CMakeLists.txt that ends with standard input
  mkdir -p "$dir/$1"
  cp "$here/${2:-light}.cpp" "$dir/$1/main.cpp"
  {
    echo 'cmake_minimum_required(VERSION 3.25)'
    echo 'project(user LANGUAGES CXX)'
    cat
    echo 'add_executable(user main.cpp)'
    echo 'target_link_libraries(user PRIVATE kawait::kawait)'
  } >"$dir/$1/CMakeLists.txt"
}
build() { # NAME [option...]
  local name=$1
  shift
  cmake -G Ninja -S "$dir/$name" -B "$dir/$name/build" -DCMAKE_BUILD_TYPE=Debug "${launcher[@]}" "$@"
  cmake --build "$dir/$name/build" -j1
  "$dir/$name/build/user"
}

by_find_package() {
  project find_package consumer <<<'find_package(kawait 0.1 REQUIRED)'
  build find_package -DCMAKE_PREFIX_PATH="$dir/prefix"
}
# With every option turned round, since a program that asks for less must build too.
by_add_subdirectory() {
  project add_subdirectory <<<"add_subdirectory($root kawait)"
  build add_subdirectory -DKAWAIT_IO_URING=OFF -DKAWAIT_ZLIB=OFF -DKAWAIT_LZ4=OFF -DKAWAIT_SNAPPY=OFF
}
by_fetch_content() {
  project fetch_content <<L
include(FetchContent)
FetchContent_Declare(kawait SOURCE_DIR $root)
FetchContent_MakeAvailable(kawait)
L
  build fetch_content
}
by_pkg_config() {
  mkdir "$dir/pkg_config"
  local flags
  flags=$(PKG_CONFIG_PATH=$(dirname "$(find "$dir/prefix" -name kawait.pc)") pkg-config --cflags --libs kawait)
  # shellcheck disable=SC2086 # flags are words
  $cxx -std=c++20 "$here/light.cpp" -o "$dir/pkg_config/user" $flags
  "$dir/pkg_config/user"
}
by_meson() {
  mkdir -p "$dir/meson/subprojects"
  ln -s "$root" "$dir/meson/subprojects/kawait"
  cp "$here/light.cpp" "$dir/meson/main.cpp"
  cat >"$dir/meson/meson.build" <<'L'
project('user', 'cpp', default_options: ['cpp_std=c++20'])
executable('user', 'main.cpp', dependencies: dependency('kawait', fallback: ['kawait', 'kawait_dep']))
L
  meson setup "$dir/meson/build" "$dir/meson"
  meson compile -C "$dir/meson/build"
  "$dir/meson/build/user"
}

cmake -G Ninja -S "$root" -B "$dir/build" -DCMAKE_INSTALL_PREFIX="$dir/prefix" \
  -DKAWAIT_TESTS=OFF -DKAWAIT_EXAMPLES=OFF -DKAWAIT_BENCH=OFF >"$dir/install.log" &&
  cmake --install "$dir/build" >>"$dir/install.log" || { cat "$dir/install.log"; exit 1; }

# Two at a time: each is one compiler run.
ways=(find_package add_subdirectory fetch_content pkg_config meson)
pids=()
for i in "${!ways[@]}"; do
  [ "$i" -lt 2 ] || wait "${pids[i - 2]}" 2>/dev/null || true
  (
    set -e
    "by_${ways[i]}"
  ) >"$dir/${ways[i]}.log" 2>&1 &
  pids+=($!)
done
passed=0 failed=0
for i in "${!ways[@]}"; do
  if wait "${pids[i]}"; then
    passed=$((passed + 1))
    echo "ok      ${ways[i]}"
  else
    failed=$((failed + 1))
    echo "FAILED  ${ways[i]}"
    tail -n 30 "$dir/${ways[i]}.log"
  fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
