"""Workers that die, sleep, lie and answer twice; and the daemon dying under good ones.

The tests' own workers are made from the .proto files alone, as a stranger's would be.
"""

import argparse
import contextlib
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent import futures
from pathlib import Path

from world import END_S, World, skip, wait_for

BIN = STUBS = None
ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("BEAMLINE_TEST_SEED", time.time_ns() % 10**9))

try:
    import grpc
except ImportError:
    grpc = None
    # Another Python may come first in $PATH than the one that Debian's packages are for.
    if not os.path.samefile(sys.executable, "/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])


def make_stubs(directory):
    """Generates the Python stubs as examples/worker.py says, and imports them."""
    plugin = shutil.which("grpc_python_plugin")
    if grpc is None or plugin is None or shutil.which("protoc") is None:
        skip("python3-grpcio, protoc or grpc_python_plugin is missing")
    subprocess.run(["protoc", "-I", ROOT / "proto", f"--python_out={directory}",
                    f"--grpc_out={directory}", f"--plugin=protoc-gen-grpc={plugin}",
                    "beamline/v1/worker.proto", "beamline/v1/usage.proto"], check=True)
    sys.path.insert(0, str(directory))


def hello(worker_id="w", credit=1, version=1, tasks=("t",), queue_name="q"):
    return pb.Hello(worker_id=worker_id, protocol_version=version, credit=credit,
                    capabilities=[pb.Capability(queue=queue_name, tasks=tasks)])


class Worker:
    """One stream, word by word."""

    def __init__(self, world, greeting):
        self.channel = grpc.insecure_channel(f"unix:{world.socket}",
                                             [("grpc.default_authority", "localhost")])
        self.said, self.heard, self.end = queue.Queue(), queue.Queue(), None
        self.say(pb.WorkerWord(hello=greeting))
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        stub = worker_grpc.WorkerServiceStub(self.channel)
        try:
            for response in stub.Attach(iter(self.said.get, None)):
                for word in response.words:
                    self.heard.put(word)
        except grpc.RpcError as error:
            self.end = error
        self.heard.put(None)

    def say(self, *words):
        self.said.put(pb.AttachRequest(words=words))

    def hear(self, kind):
        """The next word of this kind; others are passed over. None at the end of the stream."""
        while (word := self.heard.get(timeout=END_S)) is not None:
            if word.HasField(kind):
                return getattr(word, kind)
        return None

    def answer(self, assign, epoch=None, **outcome):
        self.say(pb.WorkerWord(result=pb.Result(
            ref=assign.ref, lease_epoch=assign.lease_epoch if epoch is None else epoch, **outcome)))
        return self.hear("result_ack")

    def close(self):
        self.said.put(None)
        self.channel.close()
        self.thread.join(END_S)


def one_step(task="t", extra=""):
    return f"steps:\n  - {{id: s, worker: {{queue: q, task: {task}, input: {{n: 1}}}}{extra}}}\n"


class WorkerTest(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.world = self.stack.enter_context(World(BIN))
        self.world.start()
        self.addCleanup(self.stack.close)

    def attach(self, greeting=None):
        worker = Worker(self.world, greeting or hello())
        self.addCleanup(worker.close)
        return worker

    def run_worker(self, *flags, command=("cat",)):
        process = self.world.cli_started("worker", "run", "--queue", "q", "--task", "t", *flags,
                                         "--", *command)
        return process

    def workers(self):
        import json
        return json.loads(self.world.cli("worker", "list", "-o", "json").stdout)

    def await_attached(self, count=1):
        wait_for(lambda: len(self.workers()["workers"]) == count, f"{count} workers")

    def submit(self, text, name="f"):
        return self.world.submit(self.world.flow(name, text))


class Protocol(WorkerTest):
    """What a worker may say wrongly, and what it hears then."""

    def test_another_version_is_refused(self):
        worker = self.attach(hello(version=7))
        self.assertIsNone(worker.hear("welcome"))
        self.assertEqual(worker.end.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertIn("protocol 7", worker.end.details())

    def test_greetings_that_are_none(self):
        for greeting in (hello(worker_id="a b"), hello(credit=-1), hello(tasks=())):
            worker = self.attach(greeting)
            self.assertIsNone(worker.hear("welcome"))
            self.assertEqual(worker.end.code(), grpc.StatusCode.INVALID_ARGUMENT)
        first = self.attach()
        self.assertEqual(first.hear("welcome").protocol_version, 1)
        second = self.attach()
        self.assertIsNone(second.hear("welcome"))
        self.assertEqual(second.end.code(), grpc.StatusCode.ALREADY_EXISTS)

    def test_wrong_results_leave_the_stream_and_the_right_one_counts(self):
        worker = self.attach()
        run = self.submit(one_step())
        assign = worker.hear("assign")
        self.assertEqual(assign.ref.run_id, run)
        self.assertEqual(assign.input, b'{"n":1}')
        self.assertTrue(assign.idempotency_key and len(assign.span_id) == 16)
        stale = worker.answer(assign, epoch=assign.lease_epoch + 1, output=b"0")
        self.assertEqual(stale.verdict, pb.RESULT_VERDICT_STALE_EPOCH)
        unknown = worker.answer(assign, epoch=0, output=b"0")
        self.assertEqual(unknown.verdict, pb.RESULT_VERDICT_UNKNOWN_ATTEMPT)
        nobody = pb.Assign(ref=pb.AttemptRef(run_id="nobody", path="s", attempt=1), lease_epoch=1)
        self.assertEqual(worker.answer(nobody).verdict, pb.RESULT_VERDICT_UNKNOWN_ATTEMPT)
        self.assertEqual(worker.answer(assign, output=b"[1]").verdict, pb.RESULT_VERDICT_TAKEN)
        again = worker.answer(assign, output=b"[2]")
        self.assertEqual(again.verdict, pb.RESULT_VERDICT_STALE_EPOCH)
        self.assertEqual(self.world.await_run(run), 0)
        self.assertEqual(self.world.show(run)["steps"][0]["output"], [1])
        self.assertIn("late result of a worker", self.world.log_text())

    def test_outputs_that_cannot_be_recorded_fail_their_attempt_only(self):
        worker = self.attach()
        for output in (b'"\xff"', b'{"a":', b'"' + b"x" * (3 << 20) + b'"'):
            run = self.submit(one_step())
            ack = worker.answer(worker.hear("assign"), output=output)
            self.assertEqual(ack.verdict, pb.RESULT_VERDICT_OUTPUT_INVALID)
            self.assertEqual(self.world.await_run(run), 1)
            error = self.world.show(run)["steps"][0]["attempts"][0]["error"]
            self.assertEqual(error["kind"], "output")

    def test_never_more_than_the_credit(self):
        worker = self.attach(hello(credit=2))
        run = self.submit("steps:\n  - id: s\n    foreach: {items: [1,2,3,4,5,6], max_parallel: 6}\n"
                          "    worker: {queue: q, task: t, input: '${{ item }}'}\n")
        have = [worker.hear("assign"), worker.hear("assign")]
        time.sleep(0.3)
        self.assertTrue(worker.heard.empty())
        worker.say(pb.WorkerWord(heartbeat=pb.Heartbeat(inflight=2, credit=3)))
        have.append(worker.hear("assign"))
        for _ in range(6):
            assign = have.pop() if have else worker.hear("assign")
            worker.say(pb.WorkerWord(result=pb.Result(
                ref=assign.ref, lease_epoch=assign.lease_epoch, output=assign.input)))
        self.assertEqual(self.world.await_run(run), 0)


class Lives(WorkerTest):
    """Workers as programs: stopped, killed, drained, and called instead of calling."""

    def test_zombies(self):
        """Twenty attempts of a stopped worker are done by another; what it says later is refused."""
        run = self.submit(
            "steps:\n  - id: s\n    foreach: {items: [" + ",".join(map(str, range(20))) +
            "], max_parallel: 20}\n"
            "    worker: {queue: q, task: t, input: '${{ item }}', heartbeat: 1s}\n")
        answer = self.world.root / "answer"  # only once the zombie has all twenty
        zombie = self.run_worker(
            "--credit", "20", "--id", "zombie",
            command=("sh", "-c", f"until [ -e {answer} ]; do sleep 0.1; done; echo '\"zombie\"'"))
        wait_for(lambda: any(len(w["attempts"]) == 20 for w in self.workers()["workers"]),
                 "20 leases")
        zombie.send_signal(signal.SIGSTOP)
        answer.touch()
        self.run_worker("--credit", "20", "--id", "good", command=("echo", '"good"'))
        self.assertEqual(self.world.await_run(run), 0)
        before = self.world.events(run)
        zombie.send_signal(signal.SIGCONT)
        wait_for(lambda: self.world.log_text().count("late result of a worker") >= 20,
                 "20 late results")
        self.assertEqual(self.world.events(run), before)
        items = self.world.show(run)["steps"][0]["items"]
        self.assertEqual([item["output"] for item in items], ["good"] * 20)
        # The zombie lives on as a worker, with all of its credit.
        wait_for(lambda: all(not w["attempts"] for w in self.workers()["workers"]), "free slots")

    def test_killed_twenty_times_over_ten_thousand_steps(self):
        chance = random.Random(SEED)
        runs, unknown = [], 0
        flow = self.world.flow("f", "steps:\n  - id: s\n    foreach: {items: [" +
                               ",".join(map(str, range(500))) + "], max_parallel: 500}\n"
                               "    worker: {queue: q, task: t, input: '${{ item }}'}\n")
        for kill in range(20):
            worker = self.start_example(f"w{kill}")
            wait_for(lambda: self.workers()["workers"], "a worker")
            if kill % 2:
                worker.send_signal(signal.SIGSTOP)  # what it is assigned it never sees
            runs.append(self.world.submit(flow))
            time.sleep(chance.uniform(0, 0.02))
            worker.send_signal(signal.SIGSTOP)
            time.sleep(0.03)
            worker.kill()
            worker.wait()
        self.start_example("last")
        for run in runs:
            self.assertEqual(self.world.await_run(run), 0, run)
            finished = {}
            for event in self.world.events(run):
                if event.get("type") == "AttemptFinished" or "attempt_finished" in event:
                    fact = event.get("attempt_finished", event)
                    key = (fact["path"], fact.get("attempt", 1))
                    self.assertNotIn(key, finished, f"{run} {key} was recorded twice")
                    finished[key] = fact
            self.assertGreaterEqual(len(finished), 500)
            unknown += len(finished) - 500
            items = self.world.show(run)["steps"][0]["items"]
            self.assertEqual([item["output"] for item in items], list(range(500)))
        self.assertGreater(unknown, 20, "the kills hit nothing: this test would pass without leases")

    def start_example(self, name):
        worker = subprocess.Popen([BIN / "example_worker", self.world.socket, "q", "t", "64", name],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.world.started.append(worker)
        return worker

    def test_the_daemon_dies_under_a_worker(self):
        worker = self.run_worker("--credit", "4", command=("sh", "-c", "sleep 0.05; cat"))
        run = self.submit("steps:\n  - id: s\n    foreach: {items: [" + ",".join(["1"] * 60) +
                          "], max_parallel: 4}\n"
                          "    worker: {queue: q, task: t, input: '${{ item }}'}\n")
        for _ in range(3):
            time.sleep(0.3)
            self.world.kill()
            self.world.start()
            self.await_attached()
        self.assertEqual(self.world.await_run(run), 0)
        items = self.world.show(run)["steps"][0]["items"]
        self.assertEqual([item["output"] for item in items], [1] * 60)
        self.assertIsNone(worker.poll())

    def test_once_parks_when_its_worker_is_lost(self):
        worker = self.run_worker(command=("sleep", "60"))
        run = self.submit(one_step(extra=", effect: once"))
        wait_for(lambda: any(w["attempts"] for w in self.workers()["workers"]), "the lease")
        worker.kill()
        self.assertEqual(self.world.await_run(run), 7)
        self.assertEqual(self.world.show(run)["steps"][0]["status"], "parked")

    def test_a_command_as_a_worker(self):
        self.run_worker("--credit", "2", command=(
            "sh", "-c", 'read -r in; echo "saw $in"; echo "oops" >&2; '
            'case $in in 1) echo "n:=7" >> "$BEAMLINE_OUTPUT";; 2) exit 3;; esac'))
        run = self.submit("steps:\n  - {id: a, worker: {queue: q, task: t, input: 1}}\n"
                          "  - {id: b, worker: {queue: q, task: t, input: 2}}\n")
        self.assertEqual(self.world.await_run(run), 1)
        a, b = self.world.show(run)["steps"]
        self.assertEqual(a["output"], {"n": 7})
        self.assertEqual(b["attempts"][0]["error"]["kind"], "exit")
        self.assertIn("exit code 3: oops", b["attempts"][0]["error"]["message"])
        tail = self.world.cli("tail", run, "--no-follow").stdout
        self.assertIn("a | saw 1", tail)
        self.assertIn("b | oops", tail)

    def test_sigterm_drains_a_worker_and_cancel_reaches_it(self):
        worker = self.run_worker(command=("sh", "-c", "sleep 0.6; cat"))
        first = self.submit(one_step())
        second = self.submit(one_step())
        wait_for(lambda: any(w["attempts"] for w in self.workers()["workers"]), "the lease")
        worker.terminate()
        self.assertEqual(worker.wait(END_S), 0)
        self.assertEqual(self.world.await_run(first), 0)
        self.assertEqual(self.world.show(second)["status"], "running")
        self.assertIn("no worker serves it", self.world.cli(
            "worker", "list").stderr)
        self.assertIn("no worker serves queue q (t)", self.world.cli("why", second, "s").stdout)
        self.run_worker(command=("sleep", "60"))
        wait_for(lambda: any(w["attempts"] for w in self.workers()["workers"]), "the lease")
        self.assertIn("has it", self.world.cli("why", second, "s").stdout)
        self.world.cli("cancel", second, "--yes")
        self.assertEqual(self.world.await_run(second), 10)

    def test_the_example_in_python(self):
        worker = subprocess.Popen(
            [sys.executable, "-B", ROOT / "examples/worker.py", self.world.socket, "q", "Upper/v1"],
            env={**os.environ, "PYTHONPATH": STUBS})
        self.world.started.append(worker)
        run = self.submit("steps:\n  - id: s\n    foreach: {items: [a, b, c, 7]}\n    on_error: fail\n"
                          "    worker: {queue: q, task: Upper/v1, input: {text: '${{ item }}'}}\n")
        self.assertEqual(self.world.await_run(run), 1)
        items = self.world.show(run)["steps"][0]["items"]
        self.assertEqual([item.get("output") for item in items[:3]],
                         [{"text": "A"}, {"text": "B"}, {"text": "C"}])
        self.assertEqual(items[3]["error"]["kind"], "bad_input")
        name = self.workers()["workers"][0]["id"]
        self.assertEqual(self.world.cli("worker", "drain", name).returncode, 0)
        self.assertEqual(worker.wait(END_S), 0)
        self.assertEqual(self.world.cli("worker", "drain", name).returncode, 5)

    def test_workers_that_are_called(self):
        for streams in (False, True):
            with self.subTest(streams=streams), tempfile.TemporaryDirectory() as directory:
                server = serve(streams, f"{directory}/w")
                config = self.world.root / "config.yaml"
                config.write_text(f"workers:\n  - {{endpoint: 'unix:{directory}/w', queue: q}}\n")
                self.world.stop()
                self.world.start("--config", config)
                run = self.submit(one_step())
                self.assertEqual(self.world.await_run(run), 0)
                self.assertEqual(self.world.show(run)["steps"][0]["output"], {"n": 1})
                server.stop(0).wait()
                run = self.submit(one_step())  # nobody is there
                time.sleep(0.5)
                server = serve(streams, f"{directory}/w")
                self.assertEqual(self.world.await_run(run), 0)
                server.stop(0).wait()


def make_served():
    class ServedWorker(worker_grpc.StepExecutorServiceServicer):
        """Answers with its input."""

        def __init__(self, streams):
            self.streams = streams

        def Describe(self, request, context):
            return pb.DescribeResponse(hello=hello("served"), streams=self.streams)

        def ExecuteStep(self, request, context):
            return pb.ExecuteStepResponse(result=pb.Result(output=request.assign.input))

        def ExecuteStepStream(self, requests, context):
            for request in requests:
                for word in request.words:
                    if word.HasField("assign"):
                        yield pb.ExecuteStepStreamResponse(words=[pb.WorkerWord(result=pb.Result(
                            ref=word.assign.ref, lease_epoch=word.assign.lease_epoch,
                            output=word.assign.input))])
    return ServedWorker


def serve(streams, path):
    server = grpc.server(futures.ThreadPoolExecutor(8))
    worker_grpc.add_StepExecutorServiceServicer_to_server(Served(streams), server)
    server.add_insecure_port(f"unix:{path}")
    server.start()
    return server


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    options, rest = parser.parse_known_args()
    BIN = Path(options.bin).resolve()
    with tempfile.TemporaryDirectory() as stubs:
        make_stubs(stubs)
        STUBS = stubs
        from beamline.v1 import worker_pb2 as pb
        from beamline.v1 import worker_pb2_grpc as worker_grpc
        Served = make_served()
        print(f"seed {SEED} (BEAMLINE_TEST_SEED={SEED} repeats it)", flush=True)
        unittest.main(argv=[sys.argv[0], *rest], exit=True)
