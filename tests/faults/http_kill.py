"""Kills beamlined (SIGKILL) while requests are under way, and asks the server what it has seen:

  - a POST with `effect: once` arrives at most once; its run waits for a person if it was cut off;
  - a POST with `effect: idempotent` arrives at least once, each time with the same key;
  - nothing arrives again that was recorded as succeeded, and every run ends.

    http_kill.py --bin DIR [--seed N]
    BEAMLINE_KILLS=N    how often (15)
    --plant             declares the once step idempotent: the checks must notice
"""

import collections
import http.server
import sys
import threading
import time

from world import World, kill_arguments

FLOW = """
inputs: {{base: {{type: string}}}}
steps:
  - id: each
    foreach: {{items: [1, 2, 3, 4, 5, 6], max_parallel: 3}}
    effect: idempotent
    http: {{method: POST, url: '${{{{ inputs.base }}}}/each', body: {{n: '${{{{ item }}}}'}}}}
  - id: pay
    effect: {effect}
    http: {{method: POST, url: '${{{{ inputs.base }}}}/pay'}}
"""


class Ledger(http.server.BaseHTTPRequestHandler):
    """Writes down each request as it arrives, and answers after a moment."""

    protocol_version = "HTTP/1.1"
    seen = []  # (path, key)

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.path, self.headers["Idempotency-Key"]))
        time.sleep(0.03)
        try:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        except OSError:  # whoever asked was killed
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    """Killed clients are what this is about, not errors of the server."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def mistakes(world, runs, seen):
    """What is not as promised, one line each."""
    arrived = collections.Counter(seen)
    for (path, key), times in arrived.items():
        if path == "/pay" and times > 1:
            yield f"{key} arrived {times} times"
    for run in runs:
        view = world.show(run)
        if view["status"] not in ("succeeded", "waiting"):
            yield f"{run} is {view['status']}"
        keys = [f"{run}/each/{i}" for i in range(6)]
        for key in keys:
            if arrived["/each", key] == 0:
                yield f"{key} never arrived"
        unknown = sum(e.get("outcome") == "unknown" for s in view["steps"]
                      for item in s.get("items", [s]) for e in item.get("attempts", []))
        extra = sum(arrived["/each", key] - 1 for key in keys)
        if extra > unknown:
            yield f"{run}: {extra} repetitions, but {unknown} outcomes are unknown"
        if view["status"] == "succeeded" and arrived["/pay", f"{run}/pay"] != 1:
            yield f"{run} succeeded without paying"
    keys = {key for _, key in seen}
    for key in keys:
        if key.rsplit("/")[0] not in runs:
            yield f"{key} is no key of a run"


def main():
    arguments, kills, chance = kill_arguments(15)
    server = Server(("127.0.0.1", 0), Ledger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with World(arguments.bin) as world:
        effect = "idempotent" if arguments.plant else "once"
        flow = world.flow("calls", FLOW.format(effect=effect))
        base = f"base=http://127.0.0.1:{server.server_port}"
        runs = []
        for _ in range(kills):
            world.start()
            runs += [world.submit(flow, "-i", base) for _ in range(2)]
            time.sleep(chance.uniform(0.0, 0.15))
            world.kill()
        world.start()
        for run in runs:
            world.await_run(run)
        found = list(mistakes(world, runs, Ledger.seen))
        repeated = sum(n - 1 for n in collections.Counter(Ledger.seen).values())
        parked = sum(world.show(run)["status"] == "waiting" for run in runs)
    print(f"{kills} kills, {len(runs)} runs, {len(Ledger.seen)} requests, {repeated} of them again, "
          f"{parked} runs parked")
    if repeated + parked == 0:
        sys.exit("no request was cut off: this showed nothing")
    if arguments.plant:
        sys.exit(None if found else "the planted repetition went unnoticed")
    sys.exit("\n".join(found) or None)


main()
