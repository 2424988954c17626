"""Kills beamlined (SIGKILL) while it tells people what concerns them: whatever is in the log was told at
least once, to the webhook and to the command, also where the receiver was down for a while.

    notify_kill.py --bin DIR [--seed N]
    BEAMLINE_KILLS=N    how often (12)
    --plant             moves the cursors to the end of the log after each kill, as a daemon would that
                        records before it delivers: the checks must notice
"""

import collections
import http.server
import json
import random
import sqlite3
import sys
import threading
import time

from world import END_S, SLOWNESS, World, kill_arguments, wait_for

QUIET_S = 3 * SLOWNESS

FLOWS = {
    "fails": "steps: [{id: a, run: exit 3}]\n",
    "parks": "steps: [{id: a, on_error: park, run: exit 3}]\n",
    "asks": "steps: [{id: a, approve: {title: Go, approvers: ['user:root'], self_approval: true}}]\n",
    "works": "steps: [{id: a, set: {n: 1}}]\n",
}
CONFIG = """
notify:
  - name: hook
    on: [run_failed, step_parked, approval_requested, dead_letter]
    webhook: {url: 'http://127.0.0.1:%d/'}
  - name: program
    on: [run_failed, step_parked, approval_requested]
    command: [sh, -c, 'cat >>"$1"; sleep 0.02', sh, %s]
"""


class Receiver(http.server.BaseHTTPRequestHandler):
    """Writes down each occasion as it arrives, and answers after a moment, or that it is busy."""

    protocol_version = "HTTP/1.1"
    seen = []
    chance = random.Random()
    busy = 0

    def log_message(self, *_):
        pass

    def do_POST(self):
        occasion = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        busy = self.chance.random() < 0.1
        if busy:
            Receiver.busy += 1
        else:
            assert self.headers["Idempotency-Key"] == occasion["id"]
            self.seen.append(occasion["id"])
        time.sleep(0.02)
        try:
            self.send_response(503 if busy else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()
        except OSError:  # whoever told it was killed
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    """Killed clients are what this is about, not errors of the server."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def occasions(world):
    """What there was to tell: the ids that follow from the log and from the list of dead letters."""
    ids, letters = set(), set()
    for run in json.loads(world.cli("runs", "list", "--limit", "1000", "-o", "json").stdout):
        for event in world.events(run["id"]):
            kind = {"StepParked": "step_parked", "TaskOpened": "approval_requested"}.get(event["type"])
            if event["type"] == "RunFinished" and event["status"] == "failed":
                kind = "run_failed"
            if kind is not None:
                ids.add(f"{run['id']}/{event['seq']}/{kind}")
    for letter in json.loads(world.cli("dlq", "list", "--limit", "1000", "-o", "json").stdout):
        letters.add(f"{letter['run']}/{letter['id']}/dead_letter")
    return ids, letters


def told_by_program(path):
    """The ids of the lines that are whole; the last one may have been cut off."""
    ids = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            ids.append(json.loads(line)["id"])
        except ValueError:
            continue
    return ids


def settle(world, count, complete):
    """Until all is told, or nobody has been told anything for a while and nobody is waited for."""
    until, last = time.monotonic() + END_S * 2, (0, 0)
    while not complete() and time.monotonic() < until:
        problems = json.loads(world.cli("daemon", "status", "-o", "json").stdout)["problems"]
        if problems or count() != last[0]:
            last = (count(), time.monotonic())
        if time.monotonic() - last[1] > QUIET_S:
            return
        time.sleep(0.05)


def main():
    arguments, kills, chance = kill_arguments(12)
    Receiver.chance = random.Random(arguments.seed)
    server = Server(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with World(arguments.bin) as world:
        told = world.root / "told"
        config = world.root / "beamlined.yaml"
        config.write_text(CONFIG % (server.server_port, told))
        flows = [world.flow(name, text) for name, text in FLOWS.items()]
        for _ in range(kills):
            world.start("--config", config)
            for flow in chance.choices(flows, k=3):
                world.submit(flow)
            time.sleep(chance.uniform(0.0, 0.15))
            world.kill()
            if arguments.plant:
                with sqlite3.connect(world.data / "runs.db") as db:
                    db.execute("UPDATE cursors SET pos = (SELECT max(pos) FROM log)")
                db.close()
        world.start("--config", config)
        for flow in flows:  # so that there is something to wait for, whatever was lost before
            world.submit(flow)
        wait_for(lambda: all(world.await_run(run["id"]) != 124 for run in json.loads(
            world.cli("runs", "list", "--limit", "1000", "-o", "json").stdout)), "the runs to end")

        ids, letters = occasions(world)
        settle(world, lambda: len(Receiver.seen) + len(told_by_program(told)),
               lambda: ids | letters <= set(Receiver.seen) and ids <= set(told_by_program(told)))
        by_program = told_by_program(told)
        world.stop()
    lost = sorted((ids | letters) - set(Receiver.seen)) + sorted(ids - set(by_program))
    strange = sorted((set(Receiver.seen) - ids - letters) | (set(by_program) - ids))
    again = sum(n - 1 for seen in (Receiver.seen, by_program)
                for n in collections.Counter(seen).values())
    print(f"{kills} kills, {len(ids)} occasions and {len(letters)} dead letters, told "
          f"{len(Receiver.seen)} + {len(by_program)} times, {again} of them again, "
          f"{Receiver.busy} refused for the moment")
    if arguments.plant:
        sys.exit(None if lost else "the planted loss went unnoticed")
    if again == 0 or Receiver.busy == 0:
        sys.exit("no delivery was cut off or refused: this showed nothing")
    sys.exit("\n".join([f"never told: {i}" for i in lost] +
                       [f"told, but not in the log: {i}" for i in strange]) or None)


main()
