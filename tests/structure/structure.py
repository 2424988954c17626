"""Holds the tree to its own rules: who may include whom, what is linked, sizes, names, purity.

    structure.py ROOT    prints each violation and exits 1 if there is one.

The include table is read from CONTRIBUTING.md, so that what people read is what is enforced.
"""

import re
import sys
from pathlib import Path

LINES_MAX = 600
# Files that may be longer, with their length now: they may shrink, never grow. Keep it empty.
LONGER = {}

FOLDERS = {"cli", "completions", "daemon", "examples", "flowspec", "man", "policies", "proto",
           "tests"}
ROOT_FILES = {"CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json", "CONTRIBUTING.md", "LICENSE",
              "README.md", "dev", ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore"}
# What tools and builds leave in a working tree and .gitignore names.
IGNORED = re.compile(r"build($|-)|\.git$|\.cache$|\.ci$|compile_commands\.json$|__pycache__$")

CODE = {".h", ".cc", ".proto", ".py", ".cmake"}
HEAVY = re.compile(r"nlohmann/json\.hpp|yaml-cpp/|grpcpp/|grpc/|CLI/|spdlog/|valijson/|.*\.grpc\.pb\.h")
# The core is a function of its arguments: no clock, no thread, no chance, no I/O, no order that
# differs from one machine to the next.
IMPURE_INCLUDES = {"chrono", "ctime", "condition_variable", "filesystem", "fstream", "future",
                   "iostream", "mutex", "random", "thread", "time.h", "unistd.h", "unordered_map",
                   "unordered_set", "absl/random/random.h", "absl/synchronization/mutex.h",
                   "absl/time/clock.h"}
IMPURE_NAMES = re.compile(
    r"\babsl::(Now|SleepFor|GetCurrentTimeNanos|BitGen\w*)\b"
    r"|\bstd::(random_device|mt19937\w*|unordered_\w+|thread|rand|cout|cerr)\b"
    r"|\b(getenv|clock_gettime|gettimeofday)\b")
# Whole paths of the team's notes, written in two parts so that this file does not name them.
PRIVATE = re.compile(r"\.\./sh" r"ared|sh" r"ared/design")

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
CMAKE_COMMAND = re.compile(r"(\w+)\s*\(([^()]*)\)")


def files(root):
    """Every file of the tree that is ours, as a path relative to `root`."""
    pending = [root]
    while pending:
        for entry in sorted(pending.pop().iterdir()):
            if entry.is_dir() and (entry.name == ".ci" or not IGNORED.match(entry.name)):
                pending.append(entry)
            elif entry.is_file():
                yield entry.relative_to(root)


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def without_comments(code):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", code, flags=re.DOTALL)


def table(root):
    """Room -> the rooms that its row names, from the table in CONTRIBUTING.md."""
    rows = {}
    text = read(root / "CONTRIBUTING.md").partition("| room |")[2].partition("\n\n")[0]
    for line in text.splitlines()[2:]:
        cells = [c.strip() for c in line.strip("|").split("|")]
        room = cells[0].strip("`").rstrip("/")
        rows[room] = re.findall(r"`([\w/]+?)/?`", cells[-1])
    return rows


def closure(rows, room):
    """The rooms that `room` may include: those of its row, and what their headers include."""
    seen, pending = {room}, [room]
    while pending:
        for below in rows.get(pending.pop(), []):
            if below not in seen:
                seen.add(below)
                pending.append(below)
    return seen


def room_of(rows, path):
    """The room that a file lies directly in, or None: rooms are flat."""
    if path.startswith(("beamline/v1/", "google/rpc/")):  # generated from proto/
        return "proto"
    folder = path.rpartition("/")[0]
    return folder if folder in rows else None


def check_table(root, rows):
    """The table names rooms that exist in it, and nothing leads back to where it came from."""
    if not rows:
        yield "CONTRIBUTING.md: no include table found"
    for room, below in rows.items():
        for name in below:
            if name not in rows:
                yield f"CONTRIBUTING.md: {room} may include {name}, which is no room"
            elif room in closure(rows, name):
                yield f"CONTRIBUTING.md: {room} and {name} may include each other"


def check_includes(root, rows):
    for path in files(root):
        if path.suffix not in {".h", ".cc"} or path.parts[0] == "tests":
            continue
        room = room_of(rows, path.as_posix())
        if room is None:
            yield f"{path}: lies in no room of the table"
            continue
        allowed = closure(rows, room)
        for quote, name in INCLUDE.findall(read(root / path)):
            other = room_of(rows, name)
            if quote == '"' and "/" not in name:
                yield f"{path}: includes \"{name}\"; write the path from the root"
            if (other and other not in allowed) or name.startswith("tests/"):
                yield f"{path}: {room} must not include {name}"


def cmake_commands(text):
    """(command, [argument…]) of a CMakeLists.txt, comments removed."""
    for name, arguments in CMAKE_COMMAND.findall(re.sub(r"#[^\n]*", "", text)):
        yield name, arguments.split()


def links(root, rows):
    """Target -> (its room, the targets it links), from every CMakeLists.txt outside tests/."""
    room_by_target, linked = {}, {}
    for path in files(root):
        if path.name != "CMakeLists.txt" or path.parts[0] == "tests" or len(path.parts) == 1:
            continue
        room = room_of(rows, path.as_posix())
        for name, arguments in cmake_commands(read(root / path)):
            if name == "beamline_room":
                target, names = arguments[1], arguments[arguments.index("LINKS") + 1:]
            elif name in {"add_library", "add_executable"}:
                target, names = arguments[0], []
            elif name == "target_link_libraries":
                target, names = arguments[0], arguments[1:]
            else:
                continue
            room_by_target.setdefault(target, room)
            linked.setdefault(target, set()).update(names)
    return {t: (room_by_target[t], {n for n in linked[t] if n in linked}) for t in linked}


def check_links(root, rows):
    """Each target links only rooms of its row, and every room that it includes."""
    graph = links(root, rows)
    for target, (room, names) in sorted(graph.items()):
        for name in sorted(names):
            if graph[name][0] not in closure(rows, room):
                yield f"CMake target {target}: {room} must not link {name}"
    reached_by_room = {}
    for target, (room, _) in graph.items():
        seen, pending = {target}, [target]
        while pending:
            for name in graph[pending.pop()][1] - seen:
                seen.add(name)
                pending.append(name)
        reached_by_room.setdefault(room, set()).update(graph[name][0] for name in seen)
    for path in files(root):
        room = room_of(rows, path.as_posix())
        if path.suffix not in {".h", ".cc"} or room not in reached_by_room:
            continue
        for _, name in INCLUDE.findall(read(root / path)):
            other = room_of(rows, name)
            if other and other not in reached_by_room[room]:
                yield f"{path}: includes {name}, but {room} does not link {other}"


def check_sizes(root, rows):
    for path in files(root):
        if path.suffix not in CODE and path.name not in {"CMakeLists.txt", "dev"}:
            continue
        lines = read(root / path).count("\n")
        allowed = max(LINES_MAX, LONGER.get(path.as_posix(), 0))
        if lines > allowed:
            yield f"{path}: {lines} lines, over {allowed}; split it"
    for name, length in LONGER.items():
        if not (root / name).is_file() or read(root / name).count("\n") < length:
            yield f"{name}: shorter than its entry in LONGER says; lower or remove the entry"


def check_headers(root, rows):
    for path in files(root):
        if path.suffix not in {".h", ".cc"}:
            continue
        text = read(root / path)
        own = f'#include "{path.with_suffix(".h").as_posix()}"\n'  # which says it for both
        if not text.startswith(("// ", own)) and (path.suffix == ".h" or path.parts[0] != "tests"):
            yield f"{path}: starts without a comment that says what it is for"
        if path.suffix != ".h":
            continue
        if "\n#pragma once\n" not in text:
            yield f"{path}: has no #pragma once"
        for _, name in INCLUDE.findall(text):
            if HEAVY.match(name):
                yield f"{path}: a header includes {name}, which is for .cc files only"


def check_core(root, rows):
    for path in files(root):
        if path.suffix not in {".h", ".cc"} or path.parts[:2] != ("daemon", "run"):
            continue
        code = without_comments(read(root / path))
        for _, name in INCLUDE.findall(code):
            if name in IMPURE_INCLUDES:
                yield f"{path}: the core must not include <{name}>"
        for found in IMPURE_NAMES.finditer(code):
            yield f"{path}: the core must not use {found.group()}"


def check_private(root, rows):
    for path in files(root):
        if PRIVATE.search(read(root / path)):
            yield f"{path}: mentions notes that readers of this repository do not have"


def check_top(root, rows):
    found = {e.name for e in root.iterdir() if not IGNORED.match(e.name)}
    for name in sorted(found - FOLDERS - ROOT_FILES):
        yield f"{name}: nothing else belongs at the top of the tree"
    for name in sorted((FOLDERS | ROOT_FILES) - found):
        yield f"{name}: missing at the top of the tree"


CHECKS = [check_table, check_includes, check_links, check_sizes, check_headers, check_core,
          check_private, check_top]


def violations(root):
    rows = table(root)
    return [problem for check in CHECKS for problem in check(root, rows)]


def main():
    problems = violations(Path(sys.argv[1]).resolve())
    for problem in problems:
        print(problem)
    print(f"{len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
