"""What fault tests stand on: a directory of their own, a real beamlined in it, and its clients."""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SKIPPED = 77
# A sanitizer's daemon is slower: CMake says by how much.
SLOWNESS = float(os.environ.get("BEAMLINE_TEST_SLOWNESS", "1"))
END_S = 30 * SLOWNESS  # for what is expected to end


class World:
    """A directory on a real disk (fsync must cost what it costs), a daemon, and clients.

    The command line is a copy of its own without a beamlined beside it: no client starts a daemon
    that the test does not know of. Everything that was started is ended, by its process id.
    """

    def __init__(self, bin_dir, parent="/var/tmp"):
        # Short, since the path of a socket has at most 107 bytes.
        self.scratch = tempfile.TemporaryDirectory(prefix="bl-", dir=parent)
        self.root = Path(self.scratch.name)
        self.data = self.root / "data"
        self.socket = self.root / "s"
        self.log = self.root / "log"
        self.bin = Path(bin_dir).resolve()
        self.cli_path = self.root / "beamline"
        shutil.copy2(self.bin / "beamline", self.cli_path)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(self.root), "LANG": "C.UTF-8", "TZ": "UTC",
                    "BEAMLINE_SOCKET": str(self.socket), "BEAMLINE_DATA_DIR": str(self.data)}
        self.env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        self.daemon = None
        self.started = []  # processes to be ended with this world

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.kill()
        # A killed daemon's supervisor may still be at its last steps; they write below here.
        for _ in range(50):
            try:
                return self.scratch.cleanup()
            except OSError:
                time.sleep(0.1)
        self.scratch.cleanup()

    # --- the daemon ---

    def start(self, *arguments, env=None, listening=True):
        """Starts beamlined; `arguments` are added to those that every test wants."""
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                [self.bin / "beamlined", "--idle-timeout=0", *map(str, arguments)],
                env={**self.env, **(env or {})}, cwd=self.root, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        if listening:
            self.await_answer()
        return self.daemon

    def await_answer(self):
        wait_for(lambda: self.cli("daemon", "status").returncode != 11 or
                 self.daemon.poll() is not None, "the daemon to answer")
        if self.daemon.poll() is not None:
            raise AssertionError(
                f"beamlined ended with {self.daemon.returncode}: {self.log_text()}")

    def kill(self):
        """As a crash would: nothing of the daemon runs after this returns."""
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.kill()
        return self.exit_code()

    def stop(self):
        self.daemon.terminate()
        return self.exit_code()

    def exit_code(self, timeout_s=END_S):
        return None if self.daemon is None else self.daemon.wait(timeout_s)

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def resident_mib(self):
        for line in Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    # --- the command line ---

    def cli(self, *arguments, timeout_s=60 * SLOWNESS, stdin=None):
        """Runs `beamline` to its end; the result's stdout and stderr are text."""
        done = subprocess.run(
            [self.cli_path, *map(str, arguments)], env=self.env, cwd=self.root, input=stdin or b"",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s)
        done.stdout, done.stderr = (t.decode(errors="replace") for t in (done.stdout, done.stderr))
        return done

    def cli_started(self, *arguments, stdout=subprocess.DEVNULL):
        """Starts `beamline` and returns the process."""
        process = subprocess.Popen(
            [self.cli_path, *map(str, arguments)], env=self.env, cwd=self.root,
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT)
        self.started.append(process)
        return process

    def flow(self, name, text):
        """Writes a flow file and returns its path."""
        path = self.root / f"{name}.flow.yaml"
        path.write_text(f"beamline: flow/v1\nname: {name}\n" + text)
        return path

    def submit(self, path, *arguments):
        """Starts a run and returns its id."""
        done = self.cli("submit", path, "-o", "json", *arguments)
        if done.returncode != 0:
            raise AssertionError(f"submit ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)["id"]

    def show(self, run):
        return json.loads(self.cli("runs", "show", run, "-o", "json").stdout)

    def events(self, run):
        return [json.loads(line) for line in self.cli("runs", "export", run).stdout.splitlines()]

    def await_run(self, run, timeout_s=END_S):
        """The exit code of `beamline wait`: 0 succeeded, 1 failed, 7 waiting for a person …"""
        return self.cli("wait", run, "--for", "waiting", "--timeout", f"{int(timeout_s)}s",
                        timeout_s=timeout_s + 10).returncode

    def answer_s(self):
        """How long the daemon takes to answer a new client, the client's own start included."""
        before = time.monotonic()
        done = self.cli("daemon", "status", "-o", "json")
        if done.returncode != 0:
            raise AssertionError(f"the daemon does not answer: {done.stderr}")
        return time.monotonic() - before

    def connect(self):
        """A plain connection, to be misused."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect(str(self.socket))
        return connection


def wait_for(condition, what, timeout_s=END_S):
    """Polls until `condition` is true, and returns what it returned."""
    until = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"waited for {what} in vain")
        time.sleep(0.01)
    return value


def is_alive(pid):
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def skip(why):
    print(f"SKIPPED: {why}", flush=True)
    sys.exit(SKIPPED)


def kill_arguments(kills):
    """What a kill loop is told: its arguments, how often it kills, and what it leaves to chance."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--plant", action="store_true")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    return (arguments, int(os.environ.get("BEAMLINE_KILLS", kills)),
            random.Random(arguments.seed))
