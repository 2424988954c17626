"""What goes wrong around each kind of step becomes one clear error, and its attempt stays on record.

Each case below is a run of one step. Its run ends as failed under the kind and message of the case, in
one line; every attempt has a number, a start, an end and its outcome, and the failed ones the error.

    failures.py --bin DIR
"""

import argparse
import http.server
import json
import ssl
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

from world import World, wait_for

MODELS = Path(__file__).resolve().parent.parent / "exec" / "fake_models.py"
# name: (step, kind of the error, part of its message)
HTTP = {
    "nobody listens": ("http: {url: 'http://127.0.0.1:1/'}", "unavailable", "onnect"),
    "no such name": ("http: {url: 'http://no.such.host.invalid/'}", "unavailable",
                     "no.such.host.invalid"),
    "a certificate of nobody": ("http: {url: 'WEBS/'}", "tls", "http_ca_file"),
    "no TLS where it is wanted": ("http: {url: 'https://127.0.0.1:WEBPORT/'}", "tls", "SSL"),
    "no answer in time": ("http: {url: 'WEB/slow'}\n    timeout: 200ms", "timeout", "200ms"),
    "an answer over the limit": ("http: {url: 'WEB/endless'}", "output", "is over 8192 KiB"),
    "not HTTP": ("http: {url: 'WEB/nonsense'}", "output", "HTTP"),
    "JSON that is none": ("http: {url: 'WEB/lies'}", "output", "JSON"),
    "a URL that is none": ("http: {url: '${{ inputs.bad }}'}", "input", "URL"),
    "another status": ("http: {url: 'WEB/gone'}", "http:410", "410"),
}
LLM = {
    "nobody listens": ("llm: {model: closed/m, prompt: p}", "unavailable", "onnect"),
    "a certificate of nobody": ("llm: {model: tls/m, prompt: p}", "tls", "http_ca_file"),
    "no answer in time": ("llm: {model: open/m, prompt: slow}\n    timeout: 200ms", "timeout",
                          "200ms"),
    "not a stream": ("llm: {model: web/m, prompt: p}", "output", "is its base_url right?"),
    "a stream that is cut": ("llm: {model: open/m, prompt: cut}", "unavailable", ""),
    "events that are no JSON": ("llm: {model: open/m, prompt: raw}", "output", ""),
    "events that are no UTF-8": ("llm: {model: open/m, prompt: latin}", "output", ""),
    "an answer that does not fit": (
        "llm: {model: open/m, prompt: p, repair: 0, schema: {type: object}}", "schema", ""),
}
FLOW = {
    "inputs that do not fit": ("flow: {uses: ./child.flow.yaml, inputs: {n: '${{ inputs.bad }}'}}",
                               "inputs", "input `n`"),
    "a child that fails": ("flow: {uses: ./child.flow.yaml, inputs: {n: 1}}", "fail",
                           "of `child` failed: step `no` failed: boom: it is broken"),
    "no end in time": ("flow: {uses: ./slow.flow.yaml}\n    timeout: 200ms", "timeout", "200ms"),
}
WAIT = {
    "a time that is none": ("wait: {until: '${{ inputs.bad }}'}", "expression",
                            "it came to many"),
    "over before it came": ("wait: {signal: {name: never}}\n    timeout: 200ms", "timeout", ""),
}
SIGNAL = {
    "no run": ("signal: {run: '${{ inputs.bad }}', name: go}", "signal", "no run has the id"),
    "no run with the key": ("signal: {key: '${{ inputs.bad }}', name: go}", "signal",
                            "no run has the idempotency key"),
    "a payload over the limit": ("signal: {key: k, name: go, payload: '${{ \"x\" * 70000 }}'}",
                                 "limit", "64 KiB"),
}
WORKER = {
    "nobody serves it": ("worker: {queue: nobody, task: t}\n    deadline: 300ms", "deadline", ""),
    "a queue that is none": ("worker: {queue: '${{ {} }}', task: t}", "input", "queue"),
    "an input over the limit": ("worker: {queue: q, task: t, input: '${{ \"x\" * 1100000 }}'}",
                                "limit", "larger than 1 MiB"),
}
CHILD = """
inputs: {n: {type: integer}}
steps: [{id: no, fail: {code: boom, message: it is broken}}]
"""


class Web(http.server.BaseHTTPRequestHandler):
    """Answers wrongly, by path."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(200, "text/html", b"<html>this is no model</html>")

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(2)
        if self.path == "/nonsense":
            self.wfile.write(b"this is not HTTP\r\n\r\n")
            self.close_connection = True
            return
        if self.path == "/endless":
            return self.endless()
        answers = {"/lies": (200, "application/json", b"{not json"),
                   "/latin": (200, "text/plain; charset=utf-8", b"caf\xe9 \xff"),
                   "/gone": (410, "text/plain", b"it was here once")}
        self.answer(*answers.get(self.path, (200, "text/plain", b"fine")))

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):  # clients that leave are what this is about
        pass


def serve(context=None):
    server = Server(("127.0.0.1", 0), Web)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


class Failures(unittest.TestCase):
    """One world for all kinds; every case is a run of its own, and they run beside each other."""

    @classmethod
    def setUpClass(cls):
        cls.world = World(BIN).__enter__()
        cls.addClassCleanup(cls.world.__exit__)
        pki = cls.world.root / "pki"
        made = cls.world.cli("daemon", "init-tls", "--dir", pki)
        assert made.returncode == 0, made.stderr
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "server.crt", pki / "server.key")
        cls.web, cls.webs = serve(), serve(context)
        port, script = cls.world.root / "port", cls.world.root / "script.json"
        script.write_text(json.dumps([
            {"match": "slow", "answers": [{"text": "x" * 100, "delay_s": 1}]},
            {"match": "cut", "answers": [{"text": "x" * 100, "cut": True}]},
            {"match": "raw", "answers": [{"raw": "data: {not json\n\n"}]},
            {"match": "latin", "answers": [{"raw": "data: \xff\xfe\n\n"}]}]))
        cls.world.started.append(subprocess.Popen(
            [sys.executable, "-B", MODELS, port, "--script", script], stderr=subprocess.DEVNULL))
        models = wait_for(lambda: port.exists() and port.read_text().strip(), "the models")
        config = cls.world.root / "config.yaml"
        provider = "{{kind: openai, base_url: '{}/v1', key: {{env: KEY}}}}\n"
        config.write_text("providers:\n" + "".join(
            f"  {name}: " + provider.format(url) for name, url in {
                "open": f"http://127.0.0.1:{models}", "closed": "http://127.0.0.1:1",
                "tls": f"https://127.0.0.1:{cls.webs}", "web": f"http://127.0.0.1:{cls.web}"}.items()))
        cls.world.start("--config", config, env={"KEY": "k"})
        cls.world.flow("child", CHILD)
        cls.world.flow("slow", "steps: [{id: stay, wait: {for: 1h}}]\n")

    def filled(self, step):
        for word, value in (("WEBPORT", str(self.web)), ("WEBS", f"https://127.0.0.1:{self.webs}"),
                            ("WEB", f"http://127.0.0.1:{self.web}")):
            step = step.replace(word, value)
        return step

    def fail_all(self, kind, cases):
        runs = {}
        for i, (name, (step, *_)) in enumerate(cases.items()):
            flow = self.world.flow(f"{kind}{i}", "inputs: {bad: {type: string, default: many}}\n"
                                   f"steps:\n  - id: a\n    {self.filled(step)}\n")
            runs[name] = self.world.submit(flow)
        for name, (_, error_kind, part) in cases.items():
            with self.subTest(kind=kind, case=name):
                waited = self.world.cli("wait", runs[name], "--timeout", "30s")
                self.assertEqual(waited.returncode, 1, waited.stderr)
                self.check(self.world.show(runs[name]), error_kind, part)

    def check(self, view, kind, part):
        step = view["steps"][0]
        error = step["error"]
        self.assertEqual((view["status"], step["status"], error["kind"]), ("failed", "failed", kind),
                         error["message"])
        self.assertIn(part, error["message"])
        self.assertNotIn("\n", error["message"])
        self.assertLess(len(error["message"]), 500)
        for n, attempt in enumerate(step.get("attempts", []), 1):
            self.assertEqual(attempt["n"], n)
            self.assertLessEqual(attempt["started_at"], attempt["finished_at"])
            self.assertIn(attempt["outcome"], ("failed", "stopped"))
            self.assertEqual(attempt["error"]["kind"], kind)

    def test_http(self):
        self.fail_all("http", HTTP)

    def test_llm(self):
        self.fail_all("llm", LLM)

    def test_flow(self):
        self.fail_all("flow", FLOW)

    def test_wait(self):
        self.fail_all("wait", WAIT)

    def test_signal(self):
        self.fail_all("signal", SIGNAL)

    def test_worker(self):
        self.fail_all("worker", WORKER)


def main():
    global BIN
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    arguments, rest = parser.parse_known_args()
    BIN = arguments.bin
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


main()
