"""Directories, databases, sockets and settings that beamlined cannot work with: each gives one line
that says what to do, the right exit code, and never a damaged file.

    bad_places.py --bin DIR
"""

import argparse
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import unittest
from pathlib import Path

from world import World, wait_for

HELLO = "steps: [{id: hello, run: echo hello}]\n"


class BadPlaces(unittest.TestCase):
    def setUp(self):
        self.world = World(BIN)
        self.addCleanup(self.world.__exit__)

    def assert_refused(self, exit_code, *parts, arguments=(), env=None):
        """A start fails with this code and one line, which contains all `parts`."""
        world = self.world
        before = len(world.log_text())
        world.start(*arguments, env=env, listening=False)
        self.assertEqual(world.exit_code(), exit_code, world.log_text())
        text = world.log_text()[before:]
        self.assertTrue(text.startswith("beamlined: "), text)
        self.assertEqual(text.count("\n"), 1, text)
        for part in parts:
            self.assertIn(str(part), text)

    def assert_client_says(self, exit_code, *parts, program=None):
        """So does a client that starts the daemon itself, on stderr."""
        done = subprocess.run(
            [program or BIN / "beamline", "submit", self.world.flow("hello", HELLO)],
            env=self.world.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, exit_code, done.stderr)
        self.assertTrue(done.stderr.startswith("error: "), done.stderr)
        for part in parts:
            self.assertIn(str(part), done.stderr)

    def test_a_data_directory_that_cannot_be_written(self):
        data = self.world.data
        data.mkdir()
        # For root only a read-only mount is one; its namespace ends with the daemon.
        if os.geteuid() == 0:
            mounted = ["unshare", "--mount", "sh", "-c",
                       'mount -t tmpfs tmpfs "$0" && mount -o remount,ro "$0" && exec "$@"', data]
            done = subprocess.run([*mounted, BIN / "beamlined"], env=self.world.env,
                                  capture_output=True, text=True, timeout=60)
            if "mount:" in done.stderr:
                self.skipTest("mounting is not allowed here")
        else:
            data.chmod(0o500)
            done = subprocess.run([BIN / "beamlined"], env=self.world.env, capture_output=True,
                                  text=True, timeout=60)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertTrue(done.stderr.startswith("beamlined: "), done.stderr)
        self.assertIn(str(data), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_data_directory_that_is_a_file(self):
        self.world.data.write_text("mine")
        self.assert_refused(78, self.world.data, "is not a directory")
        self.assert_client_says(11, f"{self.world.data} is not a directory", "--data-dir")
        self.assertEqual(self.world.data.read_text(), "mine")

    def test_a_data_directory_that_another_daemon_uses(self):
        self.world.start()
        first = self.world.daemon
        self.assert_refused(75, f"(pid {first.pid}) is using {self.world.data}",
                            "beamline daemon stop", "--data-dir",
                            arguments=["--socket", self.world.root / "other"])
        self.assert_refused(75, "another beamlined is listening on", "--socket",
                            arguments=["--data-dir", self.world.root / "elsewhere"])
        self.world.daemon = first
        self.assertLess(self.world.answer_s(), 5)

    def test_a_database_of_garbage(self):
        self.world.data.mkdir()
        database = self.world.data / "runs.db"
        for garbage in (b"x" * 8192, b"SQLite format 3\0" + b"\xff" * 8176, b"", b"short"):
            with self.subTest(garbage=garbage[:20]):
                database.write_bytes(garbage)
                self.world.start(listening=False)
                if not garbage:  # as SQLite has it, an empty file is an empty database
                    self.world.await_answer()
                    self.assertEqual(self.world.stop(), 0)
                    continue
                self.assertEqual(self.world.exit_code(), 74, self.world.log_text())
                line = self.world.log_text().splitlines()[-1]
                self.assertTrue(line.startswith("beamlined: "), line)
                self.assertIn(str(database), line)
                self.assertEqual(database.read_bytes(), garbage)
                self.assert_client_says(11, database)

    def test_a_database_that_was_cut_short(self):
        world = self.world
        world.start()
        run = world.submit(world.flow("hello", HELLO))
        self.assertEqual(world.await_run(run), 0)
        self.assertEqual(world.stop(), 0)
        database = world.data / "runs.db"
        with database.open("r+b") as file:
            file.truncate(database.stat().st_size // 2 // 4096 * 4096)
        world.start(listening=False)
        self.assertEqual(world.exit_code(), 74, world.log_text())
        self.assertIn(str(database), world.log_text().splitlines()[-1])

    def test_a_database_of_a_newer_release(self):
        world = self.world
        world.start()
        self.assertEqual(world.stop(), 0)
        database = sqlite3.connect(world.data / "runs.db")
        database.execute("UPDATE meta SET value = 9999 WHERE name = 'schema_version'")
        database.commit()
        database.close()
        self.assert_refused(78, world.data / "runs.db", "9999", "newer")
        self.assert_client_says(11, "newer")

    def test_a_socket_path_that_is_too_long(self):
        long = self.world.root / ("x" * 120)
        self.assert_refused(78, "the system allows 107", "shorter --socket",
                            arguments=["--socket", long])
        done = self.world.cli("daemon", "status", "--socket", long)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("107", done.stderr)

    def test_a_socket_that_a_dead_daemon_left(self):
        world = self.world
        world.start()
        world.kill()
        self.assertTrue(world.socket.is_socket())
        done = world.cli("daemon", "status")
        self.assertEqual(done.returncode, 11)
        self.assertIn(str(world.socket), done.stderr)
        world.start()  # takes it over

    def test_a_socket_to_which_nobody_listens(self):
        world = self.world
        bound = socket.socket(socket.AF_UNIX)
        self.addCleanup(bound.close)
        bound.bind(str(world.socket))  # and never listens
        self.assertEqual(world.cli("runs", "list").returncode, 11)
        world.start()

    def test_a_socket_on_which_something_else_listens(self):
        world = self.world
        other = socket.socket(socket.AF_UNIX)
        self.addCleanup(other.close)
        other.bind(str(world.socket))
        other.listen(100)  # connects, and never says a word
        self.assert_refused(75, "listening on", world.socket)
        # It could be a daemon that recovers many runs: clients wait, and say so.
        said = world.root / "said"
        with said.open("wb") as stdout:
            world.cli_started("submit", world.flow("hello", HELLO), stdout=stdout)
        wait_for(lambda: "waiting for beamlined" in said.read_text(), "the client to say so")

        def hang_up():
            while True:
                try:
                    other.accept()[0].close()
                except OSError:
                    return
        threading.Thread(target=hang_up, daemon=True).start()
        done = world.cli("submit", world.root / "hello.flow.yaml")
        self.assertEqual(done.returncode, 11, done.stderr)
        self.assertIn(f"beamlined on {world.socket} does not answer", done.stderr)

    def test_a_path_that_is_no_socket(self):
        self.world.socket.write_text("mine")
        self.assert_refused(78, self.world.socket, "is no socket")
        self.assertEqual(self.world.socket.read_text(), "mine")

    def test_a_configuration_with_mistakes(self):
        config = self.world.root / "beamlined.yaml"
        for text, parts in {
            "colour: red\n": ("colour", "1"),
            "grace: soon\n": ("grace", "duration"),
            "max_parallel: 0\n": ("max_parallel", "1 to 4096"),
            "grace: [\n": (),
            "- a list\n": (),
            "x" * 70000: ("65536",),
        }.items():
            with self.subTest(config=text[:40]):
                config.write_text(text)
                self.assert_refused(78, config, *parts, arguments=["--config", config])
        self.assert_refused(78, "/nowhere", arguments=["--config", "/nowhere"])

    def test_a_machine_without_bash(self):
        world = self.world
        tools = world.root / "tools"
        tools.mkdir()
        world.start(env={"PATH": str(tools)})
        run = world.submit(world.flow("hello", HELLO))
        self.assertEqual(world.await_run(run), 1)
        error = world.show(run)["steps"][0]["error"]
        self.assertEqual(error["kind"], "spawn")
        self.assertIn("bash", error["message"])
        shown = world.cli("runs", "show", run).stdout
        self.assertIn("bash", shown)

    def test_a_client_without_a_daemon_beside_it(self):
        self.assert_client_says(11, "beamlined is neither beside this program nor in PATH",
                                program=self.world.cli_path)

    def test_a_daemon_that_cannot_be_executed(self):
        tools = self.world.root / "tools"
        tools.mkdir()
        shutil.copy2(BIN / "beamline", tools)
        (tools / "beamlined").write_text("#!/bin/false\n")
        (tools / "beamlined").chmod(0o700)
        self.assert_client_says(11, "beamlined ended at once", program=tools / "beamline")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, type=Path)
    BIN = parser.parse_args().bin.resolve()
    unittest.main(argv=sys.argv[:1], verbosity=2)
