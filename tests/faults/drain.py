"""Ends of the daemon while steps run. After SIGTERM, what ends within the grace is recorded, what
does not is treated after the restart as its effect class says; nothing starts meanwhile, and no
process is left behind. After SIGKILL, no step begins again before the one that was cut off is dead.

    drain.py --bin DIR
"""

import argparse
import os
import signal
import sys
import time
import unittest
from pathlib import Path

from world import SLOWNESS, World, is_alive, wait_for

FLOW = """
inputs: {notes: {type: string}}
env: {NOTES: '${{ inputs.notes }}'}
steps:
  - id: all
    parallel:
      - {id: short, run: 'echo short $$ >> $NOTES; sleep 1; echo "done:=1" >> $BEAMLINE_OUTPUT'}
      - {id: quick, effect: once, run: 'echo quick $$ >> $NOTES; sleep 1'}
      - {id: long, run: 'echo long $$ >> $NOTES; [[ $BEAMLINE_ATTEMPT == */2 ]] || sleep 600'}
  - {id: next, set: {done: '${{ steps.all.output.short.done }}'}}
"""
ONCE = """
inputs: {notes: {type: string}}
steps:
  - id: pay
    effect: once
    env: {NOTES: '${{ inputs.notes }}'}
    run: 'echo pay $$ >> $NOTES; trap "" TERM; sleep 600 & wait; wait'
"""


class Drain(unittest.TestCase):
    def setUp(self):
        self.world = World(BIN)
        self.addCleanup(self.world.__exit__)
        self.notes = self.world.root / "notes"
        self.notes.touch()

    def submit(self, name, text):
        return self.world.submit(self.world.flow(name, text), "-i", f"notes={self.notes}")

    def noted(self):
        """[(word, pid)] in the order in which the steps began."""
        lines = map(str.split, self.notes.read_text().splitlines())
        return [(word, int(pid)) for word, pid in lines]

    def begun(self, *words):
        wait_for(lambda: {word for word, _ in self.noted()} >= set(words), f"{words} to begin")

    def begun_to_drain(self):
        wait_for(lambda: "draining" in self.world.cli("daemon", "status").stdout, "the drain")

    def outcomes(self, run, path):
        return [e["outcome"] for e in self.world.events(run)
                if e["type"] == "AttemptFinished" and e["path"] == path]

    def test_steps_within_the_grace_are_recorded_and_the_others_begin_again(self):
        world = self.world
        world.start(f"--grace={3 * SLOWNESS:.0f}s")
        run = self.submit("mixed", FLOW)
        self.begun("short", "quick", "long")
        world.daemon.terminate()
        self.begun_to_drain()
        refused = world.cli("submit", world.root / "mixed.flow.yaml", "-i", f"notes={self.notes}")
        self.assertEqual(refused.returncode, 11, refused.stderr)
        self.assertEqual(world.exit_code(), 0)
        for word, pid in self.noted():
            self.assertFalse(is_alive(pid), f"{word} outlived the daemon")
        self.assertIn('"attempts_cut_off":1', world.log_text())

        world.start()
        self.assertEqual(world.await_run(run), 0, world.cli("runs", "show", run).stdout)
        self.assertEqual(self.outcomes(run, "all/short"), ["succeeded"])
        self.assertEqual(self.outcomes(run, "all/quick"), ["succeeded"])
        self.assertEqual(self.outcomes(run, "all/long"), ["unknown", "succeeded"])
        words = sorted(word for word, _ in self.noted())
        self.assertEqual(words, ["long", "long", "quick", "short"])
        self.assertEqual(world.show(run)["steps"][-1]["output"], {"done": 1})

    def test_a_step_with_effect_once_that_is_cut_off_waits_for_a_person(self):
        world = self.world
        world.start("--grace=300ms")
        run = self.submit("once", ONCE)
        self.begun("pay")
        self.assertEqual(world.stop(), 0)
        self.assertFalse(is_alive(self.noted()[0][1]))

        world.start()
        self.assertEqual(world.await_run(run), 7)
        self.assertEqual(world.show(run)["steps"][0]["status"], "parked")
        self.assertEqual(self.outcomes(run, "pay"), ["unknown"])
        time.sleep(0.3)
        self.assertEqual(len(self.noted()), 1)
        self.assertEqual(world.cli("cancel", run, "--yes").returncode, 0)
        self.assertEqual(world.cli("wait", run).returncode, 10)

    def test_a_second_sigterm_ends_the_grace(self):
        world = self.world
        world.start("--grace=10m")
        run = self.submit("mixed", FLOW)
        self.begun("short", "quick", "long")
        world.daemon.terminate()
        self.begun_to_drain()
        world.daemon.terminate()
        self.assertEqual(world.exit_code(), 0)
        self.assertFalse(any(is_alive(pid) for _, pid in self.noted()))
        world.start()
        self.assertIn(world.await_run(run), (0, 7))

    def test_no_step_begins_again_beside_one_that_a_killed_daemon_left(self):
        world = self.world
        world.start()
        run = self.submit("again", """
inputs: {notes: {type: string}}
env: {NOTES: '${{ inputs.notes }}'}
steps: [{id: long, run: 'echo long $$ >> $NOTES; [[ $BEAMLINE_ATTEMPT == */2 ]] || sleep 600'}]
""")
        self.begun("long")
        first = self.noted()[0][1]
        # The supervisor is to end it; a busy machine may not let it, for a while.
        supervisor = self.supervisor()
        os.kill(supervisor, signal.SIGSTOP)
        try:
            world.kill()
            world.start()
            time.sleep(1)
            self.assertTrue(is_alive(first))
            self.assertEqual(len(self.noted()), 1, "the step began again beside its first attempt")
            self.assertLess(world.answer_s(), 2 * SLOWNESS)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        self.assertEqual(world.await_run(run), 0)
        self.assertFalse(is_alive(first))
        self.assertEqual(len(self.noted()), 2)

    def supervisor(self):
        """The daemon's child that starts the steps."""
        for tasks in Path(f"/proc/{self.world.daemon.pid}/task").iterdir():
            for pid in (tasks / "children").read_text().split():
                if b"--supervise" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
        raise AssertionError("there is no supervisor")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, type=Path)
    BIN = parser.parse_args().bin.resolve()
    unittest.main(argv=sys.argv[:1], verbosity=2)
