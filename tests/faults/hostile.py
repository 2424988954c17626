"""Clients, flows and steps that mean no good: the daemon answers others in time, its memory stays
bounded, each bad input is refused for a stated reason, and runs beside it go on.

    hostile.py --bin DIR
"""

import argparse
import os
import pty
import random
import signal
import sys
import time
import unittest
from pathlib import Path

from world import SLOWNESS, World, is_alive, wait_for

ANSWER_S = 2 * SLOWNESS  # the machine may be busy with other tests; 20 ms on a quiet one
SANITIZED = SLOWNESS > 1  # whose memory is not the daemon's own
LOUD = "steps: [{id: loud, run: 'yes 0123456789abcde | head -c %d || true'}]\n"


class Hostile(unittest.TestCase):
    def setUp(self):
        self.world = World(BIN)
        self.addCleanup(self.world.__exit__)
        self.world.start("--max-parallel=4")
        self.most_mib = self.world.resident_mib()

    def look(self):
        """The daemon answers in time; remembers the most memory it was seen to hold."""
        took = self.world.answer_s()
        self.assertLess(took, ANSWER_S)
        self.most_mib = max(self.most_mib, self.world.resident_mib())
        return took

    def assert_memory(self, most_mib):
        self.look()
        print(f"[{self._testMethodName}: at most {self.most_mib:.0f} MiB]", end=" ", flush=True)
        if not SANITIZED:
            self.assertLess(self.most_mib, most_mib)

    def look_until(self, condition, what):
        def looked():
            self.look()
            return condition()
        wait_for(looked, what, 60 * SLOWNESS)

    def ended(self, run):
        return lambda: self.world.show(run)["status"] not in ("pending", "running")


class HostileClients(Hostile):
    def test_a_watcher_that_stops_reading_slows_nobody_else(self):
        world = self.world
        size = 40 << 20
        run = world.submit(world.flow("loud", LOUD % size))
        outs = [world.root / f"out{n}" for n in range(8)]
        watchers = []
        for path in outs:
            with path.open("wb") as stdout:
                watchers.append(world.cli_started("tail", run, stdout=stdout))
        slow = watchers[0]
        wait_for(lambda: outs[0].stat().st_size > 0, "the slow watcher to see something")
        slow.send_signal(signal.SIGSTOP)
        self.look_until(lambda: all(w.poll() is not None for w in watchers[1:]),
                        "the others to end")
        self.assertEqual({w.returncode for w in watchers[1:]}, {0})
        # All saw all of it: each line has "loud | " in front.
        self.assertEqual({path.stat().st_size for path in outs[1:]}, {size // 16 * (16 + 7)})
        self.assertIsNone(slow.poll())
        self.assert_memory(200)
        slow.send_signal(signal.SIGCONT)
        self.assertEqual(slow.wait(60 * SLOWNESS), 0)
        self.assertEqual(outs[0].stat().st_size, outs[1].stat().st_size)

    def test_silent_connections(self):
        silent = [self.world.connect() for _ in range(200)]
        for _ in range(5):
            self.look()
        for connection in silent:
            connection.close()
        self.assert_memory(100)

    def test_garbage_on_the_socket(self):
        rng = random.Random(7)
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        settings = b"\0\0\0\4\0\0\0\0\0"
        for attempt in range(60):
            start = rng.choice([b"", b"GET / HTTP/1.1\r\n\r\n", preface, preface + settings])
            connection = self.world.connect()
            try:
                connection.sendall(start + rng.randbytes(rng.choice([1, 9, 1000, 100_000])))
                if attempt % 2:
                    connection.settimeout(0.05)
                    while connection.recv(65536):
                        pass
            except OSError:
                pass  # it may hang up at any time
            connection.close()
        self.look()
        # A frame that announces 16 MiB and never comes, and settings without an end.
        waiting = self.world.connect()
        waiting.sendall(preface + settings + b"\xff\xff\xff\0\0\0\0\0\1")
        flood = self.world.connect()
        try:
            for _ in range(2000):
                flood.sendall(settings * 100)
        except OSError:
            pass  # nor need it answer them all
        self.look()
        waiting.close()
        flood.close()
        self.assert_memory(100)

    def test_flows_that_are_too_much(self):
        world = self.world
        head = "beamline: flow/v1\nname: big\nsteps: [{id: a, set: {x: 1}}]\n"
        fits = head + "#" * ((1 << 20) - len(head))
        bomb = ["beamline: flow/v1", "name: bomb", "x-0: &x0 [a, a, a, a, a, a, a, a, a, a]"]
        bomb += [f"x-{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 9)]
        bomb.append("steps: [{id: a, set: {x: *x8}}]")
        deep = "[" * 100_000 + "]" * 100_000
        steps = "".join(f"- {{id: s{n}, set: {{x: 1}}}}\n" for n in range(20_000))
        for name, text, code, part in [
            ("fits", fits, 0, ""),
            ("big", fits + "#", 3, "BL0001"),
            ("bomb", "\n".join(bomb), 3, "error[BL"),
            ("deep", f"beamline: flow/v1\nname: deep\nsteps: {deep}\n", 3, "error[BL"),
            ("block", "\n".join(" " * n + "a:" for n in range(1000)), 3, "error[BL"),
            ("cycle", "beamline: flow/v1\nname: c\nsteps: &a [*a]\n", 3, "error[BL"),
            ("nothing", "", 3, "error[BL"),
            ("binary", "\0\1\2\xff", 3, "error[BL"),
            ("steps", f"beamline: flow/v1\nname: many\nsteps:\n{steps}", 0, ""),
        ]:
            with self.subTest(flow=name):
                path = world.root / f"{name}.flow.yaml"
                path.write_text(text, encoding="latin-1")
                before = time.monotonic()
                done = world.cli("submit", path, "--no-input")
                self.assertLess(time.monotonic() - before, 10 * SLOWNESS)
                self.assertEqual(done.returncode, code, done.stderr[:2000])
                self.assertIn(part, done.stderr)
                self.assertLess(len(done.stderr), 20_000)
                self.look()
        self.assert_memory(200)

    def test_inputs_that_are_too_much(self):
        world = self.world
        path = world.flow("input", "inputs: {x: {type: string}}\nsteps: [{id: a, set: {n: "
                          "'${{ inputs.x | length }}'}}]\n")
        value = world.root / "value"
        value.write_text("x" * (1 << 20))
        self.assertEqual(world.await_run(world.submit(path, "-i", f"x=@{value}")), 0)
        value.write_text("x" * (5 << 20))
        done = world.cli("submit", path, "-i", f"x=@{value}")
        self.assertEqual(done.returncode, 2)
        self.assertIn("larger than 4 MiB", done.stderr)
        # Each of them fits, both do not.
        value.write_text("x" * (3 << 20))
        both = world.flow("both", "inputs: {x: {type: string}, y: {type: string}}\n"
                          "steps: [{id: a, set: {n: 1}}]\n")
        done = world.cli("submit", both, "-i", f"x=@{value}", "-i", f"y=@{value}")
        self.assertEqual(done.returncode, 3, done.stderr[:500])
        self.assertIn("4 MiB are allowed", done.stderr)
        nested = world.root / "nested.json"
        nested.write_text('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}")
        done = world.cli("submit", path, "--inputs-file", nested)
        self.assertIn(done.returncode, (2, 3), done.stderr[:500])
        self.assert_memory(150)

    def test_names_that_nothing_has(self):
        world = self.world
        run = world.submit(world.flow("f", "steps: [{id: a, set: {x: 1}}]\n"))
        self.assertEqual(world.await_run(run), 0)
        # An id of today begins as all of today's do: "0" is no answer, but many.
        for name in ("zzzz", "@nothing", "@latest-failed", "../../etc/passwd", "0" * 26,
                     "x" * 10_000, "\x1b[31m", "a b", "ü", "%s%n", "'; drop table runs"):
            for verb in ("runs show", "runs export", "wait", "tail", "cancel --yes", "why"):
                with self.subTest(verb=verb, name=name[:30]):
                    done = world.cli(*verb.split(), name, *(["a"] if verb == "why" else []))
                    self.assertIn(done.returncode, (2, 5), done.stderr)
                    self.assertIn("error:", done.stderr)
                    self.assertNotIn("\x1b[31m", done.stderr)
                    self.assertLess(len(done.stderr), 2000)
        for arguments in (("why", run, "nothing"), ("tail", run, "--step", "nothing")):
            done = world.cli(*arguments)
            self.assertEqual(done.returncode, 5, done.stderr)
        self.look()


class HostileSteps(Hostile):
    def test_expressions_without_an_end_or_a_bound(self):
        world = self.world
        expressions = ("def f: f; f", "[range(1e9)]", '"x" * 1e9', "[repeat(1)]", "last(repeat(1))",
                       "[limit(1e9; repeat(1))] | length", "reduce range(1e9) as $i (0; . + $i)")
        steps = [f"  - {{id: e{n}, needs: [], on_error: continue, set: {{x: '${{{{ {e} }}}}'}}}}\n"
                 for n, e in enumerate(expressions)]
        bad = world.submit(world.flow("bad", "steps:\n" + "".join(steps)))
        good = world.flow("good", "steps: [{id: a, set: {x: '${{ [range(100)] | add }}'}}]\n")
        # Each of the bad ones takes its 250 ms and no more from those beside it.
        count, slowest = 0, 0.0
        while not self.ended(bad)() or count < 5:
            before = time.monotonic()
            self.assertEqual(world.await_run(world.submit(good)), 0)
            slowest, count = max(slowest, time.monotonic() - before), count + 1
            self.look()
        self.assertLess(slowest, 5 * SLOWNESS)
        for step in world.show(bad)["steps"]:
            self.assertEqual(step["status"], "failed", step)
            self.assertTrue(step["error"]["message"], step)
        print(f"[{count} runs beside, the slowest took {slowest:.2f} s]", end=" ")
        self.assert_memory(150)

    def test_a_hundred_megabytes_of_output(self):
        world = self.world
        run = world.submit(world.flow("loud", LOUD % 100_000_000))
        quick = world.submit(world.flow("quick", "steps: [{id: a, run: echo quick}]\n"))
        self.assertEqual(world.await_run(quick), 0)
        self.look_until(self.ended(run), "the loud step to end")
        self.assertEqual(world.show(run)["status"], "succeeded")
        captured = world.submit(world.flow("captured", """
steps: [{id: a, capture: text, run: 'yes | head -c 100000000 || true'}]
"""))
        self.look_until(self.ended(captured), "the captured step to end")
        error = world.show(captured)["steps"][0]["error"]
        self.assertEqual(error["kind"], "output")
        self.assertIn("16 MiB", error["message"])
        self.assert_memory(200)

    def test_a_step_that_forks_and_will_not_go(self):
        world = self.world
        pids = world.root / "pids"
        run = world.submit(world.flow("swarm", f"""
steps:
  - id: swarm
    timeout: 500ms
    env: {{PIDS: {pids}}}
    run: |
      trap "" TERM
      exec >&- 2>&-
      for i in $(seq 100); do
        (trap "" TERM; (echo $BASHPID >> "$PIDS"; exec setsid sleep 600) & sleep 600) &
        echo $! >> "$PIDS"
      done
      wait
"""))
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) >= 200, "200 processes")
        self.look()
        self.assertEqual(world.cli("cancel", run, "--force", "--yes").returncode, 0)
        wait_for(self.ended(run), "the run to end")
        born = [int(pid) for pid in pids.read_text().split()]
        wait_for(lambda: not any(map(is_alive, born)), "all of them to be dead", 10 * SLOWNESS)
        self.assert_memory(100)

    def test_output_that_is_no_text(self):
        world = self.world
        run = world.submit(world.flow("bytes", r"""
steps:
  - {id: random, run: head -c 200000 /dev/urandom}
  - {id: broken, capture: text, on_error: continue, run: 'printf "a\xff\xfeb"'}
  - {id: zero, capture: json, on_error: continue, run: 'printf "{\0}"'}
  - {id: deep, capture: json, on_error: continue, run: 'printf "[%.0s" {1..100000}'}
  - {id: lines, on_error: continue, run: 'printf "k=\xff\n=x\nk<<E\nno end" >> $BEAMLINE_OUTPUT'}
  - {id: escape, run: 'printf "\e]0;owned\a\e[2Jx\n"'}
  - {id: long, run: 'head -c 5000000 /dev/zero | tr "\0" x'}
  - {id: directory, on_error: continue, run: 'rm -f $BEAMLINE_OUTPUT; mkdir $BEAMLINE_OUTPUT'}
  - {id: endless, on_error: continue, run: 'ln -sf /dev/zero $BEAMLINE_OUTPUT'}
  - {id: last, run: echo fine}
"""))
        self.assertEqual(world.await_run(run), 0, world.cli("runs", "show", run).stdout)
        by_id = {step["id"]: step for step in world.show(run)["steps"]}
        for step in ("zero", "deep", "lines"):
            self.assertEqual(by_id[step]["status"], "failed", by_id[step])
            self.assertEqual(by_id[step]["error"]["kind"], "output")
        for step in ("random", "escape", "long", "last"):
            self.assertEqual(by_id[step]["status"], "succeeded", by_id[step])
        for command in ("tail", run, "--step", "escape"), ("tail", run), ("runs", "show", run):
            shown = self.on_terminal(*command)
            self.assertIn(b"x", shown)
            self.assertNotIn(b"\x1b]", shown)  # no title
            self.assertNotIn(b"\x1b[2J", shown)  # no cleared screen
        self.assertEqual(world.cli("tail", run, "--no-follow").returncode, 0)
        self.assertEqual(world.cli("runs", "show", run).returncode, 0)
        self.assert_memory(100)

    def on_terminal(self, *command):
        """What `beamline` writes to a terminal."""
        ours, theirs = pty.openpty()
        process = self.world.cli_started(*command, stdout=theirs)
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:
            pass  # the other side is closed
        os.close(ours)
        self.assertEqual(process.wait(), 0)
        return shown

    def test_what_a_step_can_do_to_the_daemon(self):
        world = self.world
        for name, script in {
            "parent": "kill -9 $PPID; sleep 600",
            "limits": "ulimit -n 3; ulimit -f 0; echo x > $BEAMLINE_OUTPUT",
            "stopped": "kill -STOP $$",
            "scratch": "rm -rf $(dirname $BEAMLINE_OUTPUT); echo x",
        }.items():
            with self.subTest(step=name):
                run = world.submit(world.flow(
                    name, f"steps: [{{id: a, effect: once, timeout: 1s, run: '{script}'}}]\n"))
                self.assertIn(world.await_run(run), (0, 1, 7))
                self.look()
                after = world.submit(world.flow("after", "steps: [{id: a, run: echo fine}]\n"))
                self.assertEqual(world.await_run(after), 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("names", nargs="*", help="only these, as HostileSteps.test_…")
    args = parser.parse_args()
    BIN = args.bin.resolve()
    unittest.main(argv=[sys.argv[0], *args.names], verbosity=2)
