#!/usr/bin/env python3
"""Compares kawait's message declarations with the definitions inside Kafka's kafka-clients jar.

usage: declarations | compare_declarations.py kafka-clients-X.jar

Within the versions that kawait implements, every field must agree in order, type, versions, nullability, tag, default and
whether it may be left out silently. Fields that Kafka has only in other versions are not declared.
"""
import json
import sys
import zipfile

LAST = 32767


def versions(text, within):
    """The set of versions that "3+", "2-7", "5" or "none" means, within another set."""
    if text in (None, "none"):
        return set()
    first, plus, _ = text.partition("+")
    if plus:
        low, high = int(first), LAST
    else:
        low, _, high = text.partition("-")
        low, high = int(low), int(high or low)
    return {v for v in within if low <= v <= high}


def flexible_versions(first):
    """Kafka's words for "since version `first`"; what is never flexible is declared to be so in the last version there can be."""
    return "none" if first == LAST else f"{first}+"


def strip_comments(text):
    """Kafka's definitions are JSON with whole-line // comments; none of their strings contains one after white space only."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))


def kafka_default(field, kind):
    text = field.get("default")
    text = None if text is None else str(text)
    if kind.startswith("[]"):
        return text or "empty"
    if kind == "struct":
        return text or "struct"
    if kind == "records":
        return text or "empty"
    if kind == "uuid":
        return text or "zero"
    if kind == "string":
        return text or ""
    if kind == "bool":
        return (text or "false").lower()
    return str(int(text, 0)) if text else "0"


def kafka_fields(fields, structs, within, prefix, out):
    for field in fields:
        here = versions(field["versions"], within)
        if not here:
            continue
        raw = field["type"].replace("bytes", "records")  # the same on the wire
        array = raw.startswith("[]")
        base = raw[2:] if array else raw
        nested = field.get("fields") or structs.get(base)
        kind = ("[]" if array else "") + ("struct" if nested else base)
        path = prefix + field["name"]
        tagged = versions(field.get("taggedVersions"), here)
        if tagged not in (set(), here):
            raise SystemExit(f"{path}: tagged in some of its versions only, which kawait cannot declare")
        nullable = versions(field.get("nullableVersions"), here)
        out.append({
            "path": path,
            "type": kind,
            "versions": here,
            "nullable versions": nullable,
            "optional": bool(nullable),
            "tag": field["tag"] if tagged else -1,
            "ignorable": bool(field.get("ignorable", False)),
            "default": kafka_default(field, kind),
        })
        if nested:
            kafka_fields(nested, structs, here, path + ".", out)


def own_fields(lines, within):
    out, versions_of = [], {"": within}
    for line in lines:
        parent = line["path"].rpartition(".")[0]
        here = {v for v in versions_of[parent] if line["first"] <= v <= line["last"]}
        versions_of[line["path"]] = here
        out.append({
            "path": line["path"],
            "type": line["type"],
            "versions": here,
            "nullable versions": {v for v in here if v >= line["first_nullable"]},
            "optional": line["optional"],
            "tag": line["tag"],
            "ignorable": line["ignorable"],
            "default": line["default"],
        })
    return out


def show(value):
    return str(sorted(value)) if isinstance(value, set) else repr(value)


def compare(name, ours, kafkas):
    problems = []
    mine, theirs = {f["path"]: f for f in ours}, {f["path"]: f for f in kafkas}
    problems += [f"{name}.{p}: not declared" for p in theirs if p not in mine]
    problems += [f"{name}.{p}: not in Kafka's definition" for p in mine if p not in theirs]
    for path in (p for p in mine if p in theirs):
        for key, value in mine[path].items():
            if value != theirs[path][key]:
                problems.append(f"{name}.{path}: {key} is {show(value)}, Kafka has {show(theirs[path][key])}")
    if not problems:
        for a, b in zip(ours, kafkas):
            if a["path"] != b["path"]:
                return [f"{name}.{a['path']}: Kafka has {b['path']} at this place"]
    # The encoder writes tags in the order of their declaration, and they must ascend.
    last = {}
    for f in ours:
        if f["tag"] >= 0:
            parent = f["path"].rpartition(".")[0]
            if f["tag"] <= last.get(parent, -1):
                problems.append(f"{name}.{f['path']}: tags are not declared in ascending order")
            last[parent] = f["tag"]
    return problems


def check_message(head, lines, jar):
    name = head["message"]
    definition = json.loads(strip_comments(jar.read(f"common/message/{name}.json").decode()))
    within = set(range(head["min"], head["max"] + 1))
    problems = []
    if definition["apiKey"] != head["api_key"]:
        problems.append(f"{name}: api key {head['api_key']}, Kafka has {definition['apiKey']}")
    missing = within - versions(definition["validVersions"], within)
    if missing:
        problems.append(f"{name}: Kafka does not have version {show(missing)}")
    if flexible_versions(head["flexible"]) != definition["flexibleVersions"]:
        problems.append(f"{name}: flexible since {head['flexible']}, Kafka has {definition['flexibleVersions']}")
    structs = {s["name"]: s["fields"] for s in definition.get("commonStructs", [])}
    kafkas = []
    kafka_fields(definition["fields"], structs, within, "", kafkas)
    return problems + compare(name, own_fields(lines, within), kafkas), len(kafkas)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    # A message may come twice: as the client declares it, and as the embedded broker does.
    messages = []
    for text in sys.stdin:
        line = json.loads(text)
        if "path" in line:
            messages[-1][1].append(line)
        else:
            messages.append((line, []))
    if not messages:
        raise SystemExit("no declarations on the standard input")
    problems, count = [], 0
    with zipfile.ZipFile(sys.argv[1]) as jar:
        for head, lines in messages:
            found, n = check_message(head, lines, jar)
            problems += found
            count += n
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise SystemExit(f"{len(problems)} differences from Kafka's definitions")
    print(f"{len(messages)} messages, {count} fields agree with Kafka's definitions")


main()
