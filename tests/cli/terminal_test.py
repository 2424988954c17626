"""What only a person at a terminal meets: the live view's keys, job control, and questions.

Each test types into an interactive bash on a pseudo-terminal, in a directory and with a daemon of its
own.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

BIN = Path(os.environ["BEAMLINE_BIN"])
TIMEOUT_S = 30
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
SLOW = "beamline: flow/v1\nname: slow\nsteps:\n  - {id: nap, run: sleep 1000}\n"
ASK = """beamline: flow/v1
name: ask
inputs:
  count: {type: integer, description: how many}
  token: {type: string, sensitive: true}
steps:
  - {id: a, env: {C: '${{ inputs.count }}'}, run: 'echo "count $C"'}
"""
REVIEW = """beamline: flow/v1
name: article
steps:
  - {id: draft, run: 'echo "draft for $F"', env: {F: '${{ feedback.comment | default("none") }}'}, capture: text}
  - id: review
    approve:
      title: 'Publish?'
      show: '${{ steps.draft.output }}'
      self_approval: true
      form: {type: object, properties: {words: {type: integer}}}
      on_changes: {rerun: draft}
outputs: {words: '${{ steps.review.output.words }}'}
"""


@unittest.skipUnless((BIN / "beamlined").exists(), "beamlined is not built")
class Terminal(unittest.TestCase):
    def setUp(self):
        # Short, since the path of a socket has at most 107 bytes.
        scratch = tempfile.TemporaryDirectory(prefix="bl-", dir="/tmp")
        self.addCleanup(scratch.cleanup)
        root = Path(scratch.name)
        (root / "slow.flow.yaml").write_text(SLOW)
        (root / "ask.flow.yaml").write_text(ASK)
        (root / "review.flow.yaml").write_text(REVIEW)
        self.env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(root), "LANG": "C.UTF-8",
                    "BEAMLINE_DATA_DIR": str(root / "data"), "TERM": "xterm", "NO_COLOR": "1",
                    "PS1": "ready> "}
        self.env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        self.seen = b""
        self.shell, self.terminal = pty.fork()
        if self.shell == 0:
            os.chdir(root)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], self.env)
        self.addCleanup(self.end)
        self.expect("ready> ")

    def end(self):
        subprocess.run([BIN / "beamline", "daemon", "stop", "--grace", "0s", "-q"], env=self.env,
                       check=False, timeout=TIMEOUT_S)
        os.kill(self.shell, signal.SIGKILL)
        os.close(self.terminal)
        os.waitpid(self.shell, 0)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def expect(self, text):
        """Reads until `text` came; what came with it is returned, and not looked at again."""
        limit, wanted = time.monotonic() + TIMEOUT_S, text.encode()
        while wanted not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], limit - time.monotonic())
            self.assertTrue(ready, f"no `{text}` in {self.seen.decode(errors='replace')}")
            self.seen += os.read(self.terminal, 65536)
        end = self.seen.index(wanted) + len(wanted)
        before, self.seen = self.seen[:end], self.seen[end:]
        return before

    def start_slow(self):
        self.type("beamline run slow.flow.yaml; echo \"code=$?\"\n")
        self.expect("^C cancel · d detach")

    def test_ctrl_c_asks_and_d_detaches(self):
        self.start_slow()
        self.type("\x03")
        self.expect("[c]ancel the run  [d]etach, it goes on  [any key] back")
        self.type("d")
        shown = self.expect("code=0")
        self.assertIn("the run goes on", shown.decode())
        self.assertGreater(shown.rfind(SHOW), shown.rfind(HIDE))
        self.type("beamline runs list --jq '.[].status'\n")
        self.expect("running")

    def test_ctrl_c_and_c_cancel(self):
        self.start_slow()
        self.type("\x03")
        self.expect("[c]ancel the run")
        self.type("c")
        self.expect("code=10")

    def test_ctrl_z_gives_the_terminal_back(self):
        self.start_slow()
        self.type("\x1a")
        shown = self.expect("Stopped")
        self.assertGreater(shown.rfind(SHOW), shown.rfind(HIDE))
        self.type("fg\n")
        shown = self.expect("^C cancel · d detach")
        self.assertIn(HIDE, shown)
        self.type("d")
        self.expect("the run goes on")

    def test_a_job_that_comes_to_the_front_gets_the_keys(self):
        self.type("beamline run slow.flow.yaml &\n")
        self.expect("ready> ")
        self.type("until beamline runs list -q --jq '.[].status' | grep running; do sleep 0.1; done\n")
        self.expect("running\r\n")
        self.type("fg\n")
        self.expect("^C cancel · d detach")
        self.type("d")
        self.expect("the run goes on")

    def test_inputs_are_asked_for_until_they_fit(self):
        self.type("beamline run ask.flow.yaml\n")
        self.expect("(a whole number, how many): ")
        self.type("many\n")
        self.expect("wants integer, got string")
        self.type("3\n")
        self.expect("(text, not shown): ")
        self.type("s3cret\n")
        shown = self.expect("succeeded")
        self.assertNotIn(b"s3cret", shown)
        self.expect("count 3")

    def test_a_review_is_decided_by_keys(self):
        self.type("beamline run -q review.flow.yaml\n")
        self.expect("ready> ")
        self.type("beamline review t1; echo \"code=$?\"\n")
        self.expect("draft for none")
        self.expect("[q]uit")
        self.type("q")
        self.expect("nothing was decided")
        self.expect("code=7")
        self.type("beamline review t1; echo \"code=$?\"\n")
        self.expect("[q]uit")
        self.type("c")
        self.expect("what is to be changed: ")
        self.type("tides\n")
        self.expect("decide it yourself? [y/N] ")
        self.type("y\n")
        self.expect("code=0")
        self.type("beamline wait --for waiting @latest\n")
        self.expect("waiting")
        self.type("EDITOR=\"printf '{\\\"words\\\":7}' >\" beamline review t1; echo \"code=$?\"\n")
        self.expect("+draft for tides")
        self.expect("[q]uit")
        self.type("e")
        self.expect('filled in: {"words":7}')
        self.type("a")
        self.expect("decide it yourself? [y/N] ")
        self.type("y\n")
        self.expect("t1 is approved")
        self.expect("code=0")
        self.type("beamline wait @latest -o json --jq .outputs.words\n")
        self.expect("7\r\n")

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def test_top_counts_along_fits_the_screen_and_ends_by_q(self):
        self.resize(24, 80)
        self.type("beamline submit slow.flow.yaml -q; beamline top; echo \"code=$?\"\n")
        self.expect("1 running, 0 waiting")
        self.expect("OLDEST")
        self.resize(6, 30)
        shown = self.expect("total ")
        self.assertIn(b"\x1b[2J", shown)  # what the terminal made of the old lines is gone
        self.assertNotIn(b"OLDEST", shown.split(b"\x1b[2J")[-1])
        self.resize(24, 80)
        self.expect("OLDEST")
        self.type("q")
        shown = self.expect("code=0")
        self.assertGreater(shown.rfind(SHOW), shown.rfind(HIDE))

    def test_many_runs_are_cancelled_when_somebody_says_yes(self):
        self.type("for i in 1 2; do beamline submit slow.flow.yaml -q; done\n")
        self.expect("ready> ")
        self.type("beamline cancel --flow slow; echo \"code=$?\"\n")
        self.expect("cancel 2 runs? [y/N] ")
        self.type("n\n")
        self.expect("nothing was changed")
        self.expect("code=2")
        self.type("beamline cancel --flow slow; echo \"code=$?\"\n")
        self.expect("cancel 2 runs? [y/N] ")
        self.type("y\n")
        self.expect("2 runs being cancelled")
        self.expect("code=0")

    def test_a_dumb_terminal_gets_plain_lines(self):
        self.type("TERM=dumb beamline run ask.flow.yaml -i count=3 -i token=t\n")
        shown = self.expect("ask succeeded")
        self.assertIn(b"a | count 3", shown)
        self.assertIsNone(re.search(rb"\x1b\[(?!\?2004)", shown.split(b"\n", 1)[1]), shown)


if __name__ == "__main__":
    sys.exit(unittest.main())
