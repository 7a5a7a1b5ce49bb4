#!/usr/bin/env python3
"""Holds the headers against the rules of the house, file by file:

- a header includes only its own room and rooms above it (ROOMS, in order);
- machines do no I/O, read no clock, draw no random bits and are no coroutines;
- #pragma once; <kawait/...> includes only, of files that exist; no header over 400 lines (of the rest, such files are named);
- every .ipp is included by a header (header-only) and by kawait/src.hpp (compiled once).

check.py ROOT              check the repository at ROOT
check.py --write-src ROOT  write ROOT/include/kawait/src.hpp anew from the .ipp files that there are
"""

import pathlib
import re
import sys

# detail/config.hpp is beneath everything; the rest of detail/ is for Asio (detail/asio.hpp), and nothing below net may see it.
ROOMS = ["config", "core", "wire", "protocol", "machine", "detail", "net", "runtime", "", "testing"]
PARTS = [["core", "wire", "protocol", "machine"], ["detail", "net"], ["runtime"], [""], ["testing"]]  # of src.hpp
MAX_LINES = 400
SOURCES = {".hpp", ".ipp", ".cpp", ".c"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>]+>|"[^"]+")', re.M)
# The second kind of literal not after a digit: 1'000.
COMMENT_OR_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z])\'(?:\\.|[^\'\\\n])+\'', re.S)
NOT_IN_MACHINES = [
    (re.compile(r"::\s*now\b|\bclock_gettime\b|\bgettimeofday\b"), "a clock is read"),
    (re.compile(r"\basio\b"), "Asio"),
    (re.compile(r"\bawaitable\b|\bco_(?:await|return|yield)\b"), "a coroutine"),
    (re.compile(r"\brandom_device\b|\bmt19937|\bs?rand\s*\("), "randomness"),
    (re.compile(r"\bstd::(?:cout|cerr|clog|thread|mutex)\b"), "I/O or threads"),
]
HEADERS_NOT_IN_MACHINES = re.compile(
    r"asio.*|kawait/detail/asio\.hpp|random|iostream|fstream|cstdio|ctime|thread|mutex|condition_variable|future|coroutine|"
    r"sys/.*")


def room_of(path):
    """'core' for core/x.hpp and core/impl/x.ipp; '' for x.hpp and impl/x.ipp."""
    if path.as_posix() == "detail/config.hpp":
        return "config"
    return path.parts[0] if len(path.parts) > 1 and path.parts[0] != "impl" else ""


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_includes(path, text, include_dir, complain):
    # src.hpp collects the .ipp files of all rooms and is included by none.
    room = "testing" if path.as_posix() == "src.hpp" else room_of(path)
    for match in INCLUDE.finditer(text):
        spelled, line = match.group(1), line_of(text, match.start())
        target = spelled[1:-1]
        if spelled[0] == '"':
            complain(path, line, f'{spelled}: headers include <kawait/...>, never "..."')
            continue
        if room == "machine" and HEADERS_NOT_IN_MACHINES.fullmatch(target):
            complain(path, line, f"{spelled} in a machine: no I/O, no clock, no randomness, no coroutine")
        if not target.startswith("kawait/"):
            continue
        inner = pathlib.PurePosixPath(target).relative_to("kawait")
        if not (include_dir / target).is_file():
            complain(path, line, f"{spelled} does not exist")
        elif room_of(inner) not in ROOMS:
            complain(path, line, f"{spelled}: no such room")
        elif room in ROOMS and ROOMS.index(room_of(inner)) > ROOMS.index(room):
            complain(path, line, f"{spelled} is an arrow upwards: '{room or 'top'}' may not use '{room_of(inner) or 'top'}'")


def check_header(path, text, include_dir, complain):
    if room_of(path) not in ROOMS:
        complain(path, 1, f"'{room_of(path)}' is no room: {', '.join(r or 'top' for r in ROOMS)}")
    if "#pragma once" not in text:
        complain(path, 1, "no #pragma once")
    check_includes(path, text, include_dir, complain)
    if room_of(path) == "machine":
        # Blanked rather than removed, so that line numbers stay right.
        code = COMMENT_OR_LITERAL.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
        code = INCLUDE.sub(lambda m: " " * len(m.group()), code)
        for pattern, what in NOT_IN_MACHINES:
            for match in pattern.finditer(code):
                complain(path, line_of(code, match.start()), f"'{match.group()}' in a machine: {what}")


def kawait_files(root):
    """Paths below include/kawait with their texts; src.hpp last of its room, since it only collects the others."""
    kawait = root / "include" / "kawait"
    return {p.relative_to(kawait): p.read_text() for p in sorted(kawait.rglob("*")) if p.suffix in (".hpp", ".ipp")}


def src_includes(files):
    ipps = [p for p in files if p.suffix == ".ipp"]
    ipps.sort(key=lambda p: (ROOMS.index(room_of(p)) if room_of(p) in ROOMS else len(ROOMS), str(p)))
    return [f"kawait/{p.as_posix()}" for p in ipps]


def write_src(root):
    lines = ["#pragma once", "",
             "/// The library compiled once: define KAWAIT_SEPARATE_COMPILATION everywhere, include this in exactly one translation unit;",
             f"/// or in {len(PARTS)}, which compile side by side: each defines KAWAIT_SRC_PART as one of the numbers from 1 first.",
             "/// Written by tests/layering/check.py --write-src.", "",
             "#include <kawait/detail/config.hpp>", "",
             "#if !defined(KAWAIT_SEPARATE_COMPILATION)",
             "#error \"kawait/src.hpp needs KAWAIT_SEPARATE_COMPILATION, in every translation unit\"",
             "#endif", ""]
    for number, rooms in enumerate(PARTS, 1):
        lines += [f"#if !defined(KAWAIT_SRC_PART) || KAWAIT_SRC_PART == {number}"]
        lines += [f"#include <{path}>" for path in src_includes(kawait_files(root))
                  if room_of(pathlib.PurePosixPath(path).relative_to("kawait")) in rooms]
        lines += ["#endif", ""]
    lines.pop()
    (root / "include" / "kawait" / "src.hpp").write_text("\n".join(lines) + "\n")


def check_collected(files, complain):
    included = {}
    for path, text in files.items():
        for match in INCLUDE.finditer(text):
            included.setdefault(match.group(1)[1:-1], set()).add(path.as_posix())
    for name in src_includes(files):
        by = included.get(name, set())
        if "src.hpp" not in by:
            complain(pathlib.PurePosixPath("src.hpp"), 1, f"<{name}> is missing: tests/layering/check.py --write-src")
        if not by - {"src.hpp"}:
            path = pathlib.PurePosixPath(name).relative_to("kawait")
            complain(path, 1, "no header includes it: header-only programs would not link")


def check_tree(root):
    """All complaints about the repository at root, as lines 'file:line: words'."""
    complaints = []
    files = kawait_files(root)

    def complain(path, line, words):
        complaints.append(f"include/kawait/{path}:{line}: {words}")

    for path, text in files.items():
        check_header(path, text, root / "include", complain)
    check_collected(files, complain)
    for folder in ("include", "tests", "bench", "examples"):
        for path in sorted((root / folder).rglob("*")):
            lines = len(path.read_text().splitlines()) if path.suffix in SOURCES else 0
            if lines > MAX_LINES:
                words = f"{path.relative_to(root)}:{MAX_LINES + 1}: {lines} lines; no file over {MAX_LINES}"
                if folder == "include":
                    complaints.append(words)
                else:
                    print("remark:", words)
    return complaints


def main():
    arguments = sys.argv[1:]
    write = arguments[:1] == ["--write-src"]
    root = pathlib.Path(arguments[-1] if arguments[write:] else pathlib.Path(__file__).parents[2]).resolve()
    if write:
        write_src(root)
    complaints = check_tree(root)
    for complaint in complaints:
        print(complaint)
    print(f"{len(kawait_files(root))} files, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
