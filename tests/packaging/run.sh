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

project() { # NAME [FILE...]: a folder with a program, of light.cpp or those files, and a CMakeLists.txt with standard input in it
  local name=$1
  shift
  [ $# -gt 0 ] || set -- light.cpp
  mkdir -p "$dir/$name"
  (cd "$here" && cp "$@" "$dir/$name")
  {
    echo 'cmake_minimum_required(VERSION 3.25)'
    echo 'project(user LANGUAGES CXX)'
    cat
    echo "add_executable(user $*)"
    echo 'target_link_libraries(user PRIVATE kawait::kawait)'
  } >"$dir/$name/CMakeLists.txt"
}
# Neither optimised nor with what a debugger needs: it is to build and to run.
build() { # NAME [option...]
  local name=$1
  shift
  cmake -G Ninja -S "$dir/$name" -B "$dir/$name/build" -DCMAKE_BUILD_TYPE= "${launcher[@]}" "$@"
  cmake --build "$dir/$name/build" -j1 -v
  "$dir/$name/build/user"
}

# With the bodies of the headers, in two files, and our warnings: of an imported target's headers the compiler would not tell any.
by_find_package() {
  project find_package consumer.cpp two.cpp <<'L'
find_package(kawait 0.1 REQUIRED)
add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Werror)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_NO_SYSTEM_FROM_IMPORTED ON)
L
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
  $cxx -std=c++20 -O0 "$here/light.cpp" -o "$dir/pkg_config/user" $flags
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
  meson setup "$dir/meson/build" "$dir/meson" --buildtype=plain
  meson compile -C "$dir/meson/build"
  "$dir/meson/build/user"
}

cmake -G Ninja -S "$root" -B "$dir/build" -DCMAKE_INSTALL_PREFIX="$dir/prefix" \
  -DKAWAIT_TESTS=OFF -DKAWAIT_EXAMPLES=OFF -DKAWAIT_BENCH=OFF >"$dir/install.log" &&
  cmake --install "$dir/build" >>"$dir/install.log" || { cat "$dir/install.log"; exit 1; }

# Two at a time: the first, which takes the longest, beside all of the others.
ways=(find_package add_subdirectory fetch_content pkg_config meson)
for way in "${ways[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
  (
    set -e
    "by_$way"
    touch "$dir/$way.ok"
  ) >"$dir/$way.log" 2>&1 &
done
wait
passed=0 failed=0
for way in "${ways[@]}"; do
  if [ -e "$dir/$way.ok" ]; then
    passed=$((passed + 1))
    echo "ok      $way"
  else
    failed=$((failed + 1))
    echo "FAILED  $way"
    tail -n 30 "$dir/$way.log"
  fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
