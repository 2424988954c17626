"""Replays terminal transcripts (*.txtar) against the real programs.

A file is a txtar archive: a comment, files, and a last part `-- transcript --` with commands and what
they print:

    $ beamline validate hello.flow.yaml
    a line on stdout
    2> a line on stderr
    [3]                      the exit code, if it is not 0

Each command is run by bash in a directory that holds the files; HOME and the XDG directories are in
it, so nothing outside is read or changed, and a daemon of its own is started where one is needed. In
expected lines <id> <short> <dur> <time> <hex> <n> <any> stand for what differs from run to run (one blank
before <dur> is any number of them), and a line `...` for any lines. A comment line `needs: PROGRAM` skips the
file where that program is not built.

    transcript.py --bin DIR FILE…            fails with a diff
    transcript.py --bin DIR --update FILE…   writes what is printed; lines that still match stay
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
PATTERNS = {
    "<id>": r"[0-9a-hjkmnp-tv-z]{26}",
    "<short>": r"[0-9a-hjkmnp-tv-z]{6}",
    "<dur>": r"(?:\d+ms|\d+(?:\.\d+)?s|\d+m\d\ds|\d+h\d\dm|\d+d\d+h)",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "<hex>": r"[0-9a-f]{7,64}",
    "<n>": r"\d+",
    "<any>": r".*",
}
# What an update writes in place of what it saw.
REPLACEMENTS = [(rf"\b{PATTERNS['<id>']}\b", "<id>"), (PATTERNS["<time>"], "<time>")]
PART = re.compile(r"^-- (.+) --$")


def parse(text):
    """The comment, the files in order, and the lines of the transcript."""
    comment, files, name = [], {}, None
    for line in text.splitlines(keepends=True):
        part = PART.match(line)
        if part:
            name = part[1]
            files[name] = []
        elif name is None:
            comment.append(line)
        else:
            files[name].append(line)
    transcript = "".join(files.pop("transcript", []))
    return "".join(comment), {n: "".join(c) for n, c in files.items()}, transcript


def split(transcript):
    """[(command, expected lines)]: a block begins at each `$ `; an empty line separates blocks."""
    blocks = []
    for line in transcript.splitlines():
        if line.startswith("$ "):
            blocks.append((line[2:], []))
        elif blocks:
            blocks[-1][1].append(line)
        elif line:
            sys.exit(f"text before the first command: {line}")
    for _, lines in blocks:
        while lines and not lines[-1]:
            lines.pop()
    return blocks


def line_pattern(line):
    """The regular expression of one expected line."""
    parts = re.split("(" + "|".join(map(re.escape, PATTERNS)) + ")", line)
    pattern = "".join(PATTERNS.get(part, re.escape(part)) for part in parts)
    return pattern.replace(r"\ " + PATTERNS["<dur>"], " +" + PATTERNS["<dur>"])


def matches(expected, actual):
    """Whether the lines are as expected; `...` takes as few lines as will do."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[i:]) for i in range(len(actual) + 1))
    return (bool(actual) and re.fullmatch(line_pattern(expected[0]), actual[0]) is not None
            and matches(expected[1:], actual[1:]))


class Shell:
    """A directory of its own, in which commands are run one after the other."""

    def __init__(self, bin_dir, files):
        # Short, since the path of a socket has at most 107 bytes.
        self.scratch = tempfile.TemporaryDirectory(prefix="bl-", dir="/tmp")
        self.root = Path(self.scratch.name).resolve()
        self.work = self.root / "work"
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.work.mkdir(exist_ok=True)
        self.env = {
            "PATH": f"{bin_dir}:{os.environ['PATH']}", "HOME": str(self.root), "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.root / "config"), "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_RUNTIME_DIR": str(self.root / "run"), "SHELL": "/bin/bash", "TZ": "UTC",
            "TESTS": str(Path(__file__).resolve().parent.parent),
        }
        self.env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        (self.root / "run").mkdir(mode=0o700)

    def run(self, command):
        """What `command` prints, in the lines of a transcript."""
        # Files, not pipes: a daemon that a command starts would hold a pipe open.
        out, err = self.root / "stdout", self.root / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            code = subprocess.run(["bash", "-c", command], cwd=self.work, env=self.env, stdout=stdout,
                                  stderr=stderr, stdin=subprocess.DEVNULL, timeout=60).returncode
        lines = self.shown(out) + [f"2> {line}".rstrip() for line in self.shown(err)]
        while lines and not lines[-1]:
            lines.pop()  # as an empty line before the next command would be
        return lines + ([f"[{code}]"] if code else [])

    def shown(self, path):
        text = path.read_bytes().decode(errors="replace").replace(str(self.root), "<tmp>")
        return text.splitlines()

    def close(self):
        # Ends a daemon that a command started.
        if (self.root / "run" / "beamline").exists() or (self.root / "state").exists():
            subprocess.run(["beamline", "daemon", "stop", "--context", "default", "--grace",
                            "0s", "--yes", "-q"], env=self.env,
                           cwd=self.work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           timeout=30, check=False)
        self.scratch.cleanup()


def updated(expected, actual):
    """`actual` with the placeholders of `expected` where they still hold."""
    if matches(expected, actual):
        return expected
    lines = []
    for i, line in enumerate(actual):
        if i < len(expected) and expected[i] != "..." and re.fullmatch(line_pattern(expected[i]), line):
            lines.append(expected[i])
            continue
        for pattern, name in REPLACEMENTS:
            line = re.sub(pattern, name, line)
        lines.append(line)
    return lines


def replay(path, bin_dir, update):
    """True if all is as the file says."""
    comment, files, transcript = parse(path.read_text())
    for program in re.findall(r"^needs: (\S+)$", comment, re.M):
        if not (Path(bin_dir) / program).exists():
            print(f"{path.name}: skipped, {program} is not built")
            return SKIPPED
    shell, blocks, ok = Shell(bin_dir, files), [], True
    try:
        for command, expected in split(transcript):
            actual = shell.run(command)
            if not update and not matches(expected, actual):
                ok = False
                print(f"{path.name}: $ {command}")
                diff = difflib.unified_diff(expected, actual, "expected", "printed", lineterm="")
                print("\n".join(diff))
            blocks.append("\n".join([f"$ {command}", *updated(expected, actual)]) + "\n")
    finally:
        shell.close()
    if update:
        parts = [f"-- {name} --\n{content}" for name, content in files.items()]
        path.write_text(comment + "".join(parts) + "-- transcript --\n" + "\n".join(blocks))
    return 0 if ok else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", required=True, help="the directory of beamline")
    parser.add_argument("--update", action="store_true", help="write what is printed")
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    codes = [replay(file, arguments.bin, arguments.update) for file in arguments.files]
    sys.exit(1 if 1 in codes else max(codes))


if __name__ == "__main__":
    main()
