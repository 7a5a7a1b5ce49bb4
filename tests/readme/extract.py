#!/usr/bin/env python3
"""extract.py README FOLDER [FILE...]: writes the README's C++ snippets as FOLDER/readme_snippet0.cpp, 1, ..., but for those that are one of
the files word for word, which the build has."""

import pathlib
import re
import sys

readme, folder, *files = map(pathlib.Path, sys.argv[1:])
snippets = re.findall(r"^```cpp\n(.*?)^```", readme.read_text(), re.S | re.M)
if len(snippets) < 2:
    sys.exit("the README has lost its snippets")
compiled = [file.read_text() for file in files]
folder.mkdir(parents=True, exist_ok=True)
for number, snippet in enumerate(snippets):
    path = folder / f"readme_snippet{number}.cpp"
    if snippet in compiled:
        path.unlink(missing_ok=True)
    elif not path.exists() or path.read_text() != snippet:
        path.write_text(snippet)
