#!/usr/bin/env python3
"""extract.py README FOLDER: writes the README's C++ snippets as FOLDER/readme_snippet0.cpp, 1, ..."""

import pathlib
import re
import sys

readme, folder = map(pathlib.Path, sys.argv[1:])
snippets = re.findall(r"^```cpp\n(.*?)^```", readme.read_text(), re.S | re.M)
if len(snippets) < 2:
    sys.exit("the README has lost its snippets")
folder.mkdir(parents=True, exist_ok=True)
for number, snippet in enumerate(snippets):
    path = folder / f"readme_snippet{number}.cpp"
    if not path.exists() or path.read_text() != snippet:
        path.write_text(snippet)
