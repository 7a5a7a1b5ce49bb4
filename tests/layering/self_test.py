#!/usr/bin/env python3
"""Shows that check.py bites: one bad file at a time in a tree that is otherwise clean."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True
import check  # noqa: E402

IPP = "#pragma once\n#include <kawait/core/types.hpp>\n"
CLEAN = {
    "detail/config.hpp": "#pragma once\n",
    "core/types.hpp": "#pragma once\n#include <kawait/detail/config.hpp>\n#include <kawait/core/impl/types.ipp>\n",
    "core/impl/types.ipp": IPP,
    "machine/membership.hpp": '#pragma once\n#include <chrono>\n#include <kawait/core/types.hpp>\n'
                              '// asio and clock::now() in a comment, and it\'s fine\ninline auto f() { return "asio"; }\n'
                              "inline int g(int now) { return now + 1\'000; }\n",
    "consumer.hpp": "#pragma once\n#include <kawait/machine/membership.hpp>\n",
    "testing/world.hpp": "#pragma once\n#include <kawait/consumer.hpp>\n",
    "src.hpp": "#pragma once\n#include <kawait/core/impl/types.ipp>\n",
}

# What is laid over the clean tree, and words of the complaint that must come.
BAD = [
    ({"core/bad.hpp": "#pragma once\n#include <kawait/machine/membership.hpp>\n"},
     "core/bad.hpp:2: <kawait/machine/membership.hpp> is an arrow"),
    ({"core/impl/types.ipp": IPP + "#include <kawait/consumer.hpp>\n"},
     "core/impl/types.ipp:3: <kawait/consumer.hpp> is an arrow"),
    ({"consumer.hpp": "#pragma once\n#  include <kawait/testing/world.hpp>\n"}, "arrow upwards: 'top' may not use 'testing'"),
    ({"core/bad.hpp": "#pragma once\n#include <kawait/core/gone.hpp>\n"}, "does not exist"),
    ({"detail/asio.hpp": "#pragma once\n", "wire/bad.hpp": "#pragma once\n#include <kawait/detail/asio.hpp>\n"},
     "'wire' may not use 'detail'"),
    ({"core/bad.hpp": '#pragma once\n#include "types.hpp"\n'}, 'never "..."'),
    ({"core/bad.hpp": "int x;\n"}, "no #pragma once"),
    ({"other/bad.hpp": "#pragma once\n"}, "is no room"),
    ({"core/bad.hpp": "#pragma once\n" + "//\n" * 400}, "401 lines"),
    ({"core/impl/lost.ipp": IPP}, "core/impl/lost.ipp> is missing"),
    ({"core/impl/lost.ipp": IPP}, "no header includes it"),
    ({"machine/bad.hpp": "#pragma once\n#include <random>\n"}, "<random> in a machine"),
    ({"machine/bad.hpp": "#pragma once\n#include <iostream>\n"}, "<iostream> in a machine"),
    ({"machine/bad.hpp": "#pragma once\n#include <asio/ip/tcp.hpp>\n"}, "<asio/ip/tcp.hpp> in a machine"),
    ({"machine/bad.hpp": "#pragma once\ninline auto t() {\n  return std::chrono::steady_clock::now();\n}\n"},
     "bad.hpp:3: '::now"),
    ({"machine/bad.hpp": "#pragma once\nawaitable<void> run();\n"}, "'awaitable' in a machine"),
    ({"machine/bad.hpp": "#pragma once\nasio::steady_timer t;\n"}, "'asio' in a machine"),
    ({"machine/bad.hpp": "#pragma once\nvoid f() { co_await g(); }\n"}, "'co_await' in a machine"),
]


def complaints_of(overlay):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**CLEAN, **overlay}.items():
            path = root / "include" / "kawait" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check.check_tree(root)


def main():
    failures = [f"the clean tree: {c}" for c in complaints_of({})]
    for overlay, words in BAD:
        found = complaints_of(overlay)
        if not any(words in complaint for complaint in found):
            failures.append(f"{list(overlay)[0]}: expected '{words}', got {found}")
    for failure in failures:
        print(failure)
    print(f"{len(BAD) + 1 - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
