"""Fills the disk below a working beamlined: it stops with one clear message, nothing that it
answered is lost, clients say what is wrong, and with room again everything goes on to its end.

    full_disk.py --bin DIR      (in a mount namespace of its own; skipped where that is refused)
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

from world import World, skip, wait_for

DISK_BYTES = 24 << 20
FLOW = """
steps:
  - {id: first, run: 'echo first; sleep 0.05'}
  - id: each
    foreach: {items: '[range(5)]', max_parallel: 2}
    env: {N: '${{ item }}'}
    run: 'printf "n:=$N\\ntext=%0200d\\n" 7 >> $BEAMLINE_OUTPUT'
  - {id: last, set: {n: '${{ steps.each.output | length }}'}}
"""


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.world = World(BIN)
        self.addCleanup(self.world.__exit__)
        self.world.data.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs",
                        self.world.data], check=True)
        self.addCleanup(self.unmount)
        self.filler = self.world.data / "filler"

    def unmount(self):
        self.world.kill()
        subprocess.run(["umount", "-l", self.world.data], check=True)

    def fill(self, leave_bytes=0):
        free = shutil.disk_usage(self.world.data).free - leave_bytes
        with self.filler.open("ab", buffering=0) as file:
            try:
                while free > 0:
                    free -= file.write(b"x" * min(free, 64 << 10))
            except OSError:
                pass

    def submit_until_refused(self, flow):
        """The ids that were answered, and the first answer that was none."""
        accepted = []
        while True:
            done = self.world.cli("submit", flow, "-o", "json")
            if done.returncode != 0:
                return accepted, done
            accepted.append(json.loads(done.stdout)["id"])
            time.sleep(0.1)

    def test_a_disk_that_fills_up_under_load(self):
        world = self.world
        flow = world.flow("load", FLOW)
        world.start()
        results = []
        clients = [threading.Thread(target=lambda: results.append(self.submit_until_refused(flow)))
                   for _ in range(3)]
        for client in clients:
            client.start()
        wait_for(lambda: "load" in world.cli("runs", "list", "-s", "succeeded").stdout,
                 "a first run to succeed")
        # Slowly, so that the last room is the log's to take.
        until = time.monotonic() + 20
        while world.daemon.poll() is None and time.monotonic() < until:
            self.fill(leave_bytes=0)
            time.sleep(0.01)
        self.assertEqual(world.exit_code(), 74)
        for client in clients:
            client.join()

        errors = [json.loads(line) for line in world.log_text().splitlines()
                  if '"level":"error"' in line]
        self.assertEqual(len(errors), 1, world.log_text())
        message = errors[0]["msg"]
        for part in ("cannot record any more", "full", "Make room on the data directory",
                     str(world.data), "start beamlined again"):
            self.assertIn(part, message)
        accepted = [run for runs, _ in results for run in runs]
        self.assertGreaterEqual(len(accepted), 3)
        for _, refused in results:
            self.assertEqual(refused.returncode, 11, refused.stderr)
            self.assertIn("error:", refused.stderr)

        # No room: no start, for a stated reason.
        code, text = self.start_that_fails()
        self.assertEqual(code, 74, text)
        self.assertIn("full", text)
        self.assertIn("beamlined: ", text)

        self.filler.unlink()
        world.start()
        for run in accepted:
            self.assertEqual(world.await_run(run), 0, world.cli("runs", "show", run).stdout)
            events = world.events(run)
            self.assertEqual([e["seq"] for e in events], list(range(1, len(events) + 1)))
        self.assertEqual(world.stop(), 0)
        print(f"full disk: {len(accepted)} accepted runs went on to their end")

    def start_that_fails(self):
        before = len(self.world.log_text())
        self.world.start(listening=False)
        return self.world.exit_code(), self.world.log_text()[before:]

    def test_a_client_says_why_the_daemon_cannot_start_on_a_full_disk(self):
        self.fill()
        done = subprocess.run(
            [BIN / "beamline", "submit", self.world.flow("f", "steps: [{id: a, set: {x: 1}}]\n")],
            env=self.world.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 11, done.stderr)
        self.assertIn("full", done.stderr)
        self.assertIn(str(self.world.data), done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("--inside", action="store_true", help="this is the mount namespace")
    args = parser.parse_args()
    if not args.inside:
        # Mounts in here are seen by nobody else and cannot outlive us.
        unshare = ["unshare", "--mount"] if os.geteuid() == 0 else [
            "unshare", "--user", "--map-root-user", "--mount"]
        probe = [*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        allowed = (shutil.which("unshare") and
                   subprocess.run(probe, capture_output=True).returncode == 0)
        if not allowed:
            skip("mounting a small disk is not allowed here")
        os.execvp(unshare[0], [*unshare, sys.executable, "-B", *sys.argv, "--inside"])
    global BIN
    BIN = args.bin.resolve()
    unittest.main(argv=sys.argv[:1], verbosity=2)


if __name__ == "__main__":
    main()
