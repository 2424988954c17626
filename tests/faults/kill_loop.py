"""Kills beamlined (SIGKILL) at random moments under load, and checks what it promises all the same:

  - a start that was answered is a run, one per idempotency key, and it completes, unless a step
    whose effect must not happen twice was cut off: then it waits for a person;
  - a run's events are numbered without a gap, an attempt has at most one outcome and a finished
    step no further attempt, and all attempts of a step have one idempotency key;
  - by the ledger that the steps themselves keep: `effect: once` begins at most once, nothing begins
    again that was recorded as succeeded, and no attempt begins while an earlier one still lives;
  - a cancellation that was answered is final.

    kill_loop.py --bin DIR [--seed N]
    BEAMLINE_KILLS=N        how often (100)
    --plant                 runs the once steps as `effect: idempotent`, and tampers with a history:
                            the checks must notice
"""

import argparse
import collections
import json
import os
import random
import sys
import threading
import time

from world import SLOWNESS, World, wait_for

CLIENTS = 4
RUNS_OPEN_MAX = 24

# What the steps run: work SECONDS [FAILURES]. A step holds its lock as long as one process of it
# lives, so a second one that does not get it has begun beside a living first.
WORK = """\
#!/bin/bash
set -euo pipefail
note() { echo "$1 $BEAMLINE_ATTEMPT $BEAMLINE_IDEMPOTENCY_KEY" >> "$LEDGER"; }
exec 9>> "$LEDGER.d/${BEAMLINE_IDEMPOTENCY_KEY//\\//_}"
flock -n 9 || note overlap
note begin
sleep "$1"
[[ ${BEAMLINE_ATTEMPT##*/} -gt ${2:-0} ]] || exit 75
note end
"""
HEAD = """
inputs: {work: {type: string}, ledger: {type: string}}
env: {LEDGER: '${{ inputs.ledger }}', WORK: '${{ inputs.work }}'}
steps:
"""
FLOWS = {
    "chain": """
  - {id: pure, effect: pure, run: $WORK 0.02}
  - {id: count, set: {n: '${{ 40 + 2 }}'}}
  - {id: once_pay, effect: once, run: ['${{ inputs.work }}', '0.1']}
  - {id: again, retry: {max: 6, initial: 20ms, max_delay: 50ms}, run: $WORK 0.01 2}
finally:
  - {id: once_tell, effect: once, run: $WORK 0.02}
""",
    "fan": """
  - {id: list, set: {numbers: '${{ [range(6)] }}'}}
  - id: each
    foreach: {items: steps.list.output.numbers, max_parallel: 3}
    do:
      - {id: work, run: $WORK 0.03}
      - {id: square, set: {n: '${{ item * item }}'}}
  - {id: sum, set: {n: '${{ [steps.each.output[].n] | add }}'}}
outputs: {sum: '${{ steps.sum.output.n }}'}
""",
    "pair": """
  - id: both
    parallel:
      - {id: once_left, effect: once, run: $WORK 0.06}
      - {id: right, run: $WORK 0.06}
  - {id: breaks, on_error: continue, run: exit 3}
  - {id: last, needs: [{step: breaks, when: failure}], run: $WORK 0.01}
""",
    "rounds": """
  - {id: grow, loop: {until: output.n >= 8, max: 10}, set: {n: '${{ (loop.prev.n // 1) * 2 }}'}}
  - {id: cross, matrix: {a: [1, 2], b: [3, 4]}, run: $WORK 0.02}
  - {id: pause, wait: {for: 200ms}}
  - {id: tell, signal: {run: '${{ run.id }}', name: go, payload: {n: 8}}}
  - {id: heard, wait: {signal: {name: go, match: {n: 8}}}, output: '${{ output.n }}'}
  - id: sub
    flow:
      uses: ./child.flow.yaml
      inputs: {work: '${{ inputs.work }}', ledger: '${{ inputs.ledger }}'}
outputs: {n: '${{ steps.heard.output }}'}
""",
    "undone": """
  - {id: book, run: $WORK 0.02, compensate: {run: $WORK 0.03}}
  - {id: seat, foreach: {items: '[1, 2]'}, run: $WORK 0.02, compensate: {run: $WORK 0.01}}
  - {id: breaks, fail: {message: as meant}}
finally:
  - {id: clean, run: $WORK 0.01}
""",
    "endless": """
  - {id: sleep, run: $WORK 600}
finally:
  - {id: clean, run: $WORK 0.01}
""",
}


CHILD = "\n  - {id: work, run: $WORK 0.04}\n"
EXPECTED = {"endless": "cancelled", "undone": "failed"}  # of the other kinds: succeeded
UNDO = {"book.compensate", "seat[0].compensate", "seat[1].compensate"}


class Load:
    """Clients that start and cancel runs, and ask again for each answer that they did not get."""

    def __init__(self, world, seed, plant):
        self.world, self.seed = world, seed
        self.ledger = world.root / "ledger"
        self.ledger.touch()
        (world.root / "ledger.d").mkdir()
        self.work = world.root / "work"
        self.work.write_text(WORK)
        self.work.chmod(0o700)
        effect = "effect: idempotent" if plant else "effect: once"
        self.flows = {name: world.flow(name, (HEAD + text).replace("effect: once", effect))
                      for name, text in FLOWS.items()}
        world.flow("child", HEAD + CHILD)
        self.mu = threading.Lock()
        self.run_by_key, self.kind_by_run, self.cancelled = {}, {}, set()
        self.unanswered, self.odd = 0, []
        self.open_runs = 0
        self.ending = self.given_up = False
        self.threads = [threading.Thread(target=self.client, args=(n,)) for n in range(CLIENTS)]
        self.threads.append(threading.Thread(target=self.reader))

    def start(self):
        for thread in self.threads:
            thread.start()

    def end(self, give_up):
        """Ends the clients; those without an answer wait for it, unless there will be none."""
        self.ending, self.given_up = True, give_up
        for thread in self.threads:
            thread.join()

    def insist(self, *arguments, answers=(0,)):
        """Repeats a command until a daemon has answered it, with one of these exit codes."""
        while True:
            done = self.world.cli(*arguments)
            if done.returncode in answers:
                return done
            if done.returncode != 11:
                with self.mu:
                    self.odd.append(f"{arguments[0]} ended with {done.returncode}: {done.stderr}")
                return done
            with self.mu:
                self.unanswered += 1
            if self.given_up:
                return done
            time.sleep(0.02)

    def client(self, n):
        rng = random.Random(f"{self.seed}/{n}")
        for count in range(1_000_000):
            if self.ending:
                return
            kind = rng.choices(list(FLOWS), weights=[4, 3, 4, 3, 2, 1])[0]
            key = f"{self.seed}-{n}-{count}"
            done = self.insist("submit", self.flows[kind], "-o", "json", "--idempotency-key", key,
                               "-i", f"ledger={self.ledger}", "-i", f"work={self.work}")
            if done.returncode != 0:
                continue
            run = json.loads(done.stdout)["id"]
            with self.mu:
                self.run_by_key[key], self.kind_by_run[run] = run, kind
            if kind == "endless":
                time.sleep(rng.uniform(0, 0.5))
                # 6: it is finished, by an earlier one of our requests.
                if self.insist("cancel", run, "--yes", answers=(0, 6)).returncode in (0, 6):
                    self.cancelled.add(run)
            time.sleep(rng.uniform(0.05, 0.3))
            while self.open_runs > RUNS_OPEN_MAX and not self.ending:
                time.sleep(0.05)

    def reader(self):
        """Looks at what goes on, as people do; and paces the clients."""
        while not self.ending:
            done = self.world.cli("runs", "list", "-s", "running", "-L", "500", "-o", "json")
            if done.returncode == 0:
                runs = json.loads(done.stdout)
                self.open_runs = len(runs)
                if runs:
                    self.world.cli("runs", "show", runs[0]["id"])
            elif done.returncode != 11:
                with self.mu:
                    self.odd.append(f"runs list ended with {done.returncode}: {done.stderr}")
            time.sleep(0.2)


def kill_repeatedly(world, load, rng, kills):
    for killed in range(kills):
        world.start("--max-parallel=12", listening=False)
        # On a machine so busy that hardly a client gets through, kills would hit nothing.
        until = time.monotonic() + 5
        while len(load.kind_by_run) < killed and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.001, 0.5) * SLOWNESS)
        if world.daemon.poll() is not None:
            raise AssertionError(f"beamlined ended by itself: {world.log_text()[-2000:]}")
        world.kill()
    world.start("--max-parallel=12")


def crash_once_more(world):
    """Now that no client is left: recovery must go on by itself, not when somebody calls."""
    world.kill()
    world.start("--max-parallel=12")


def is_parked(events):
    return any(event["type"] == "StepParked" for event in events)


def held_up_by_parked(histories):
    """The runs that wait for a person because a run below them does."""
    return {events[0]["parent"]["run_id"] for events in histories
            if "parent" in events[0] and is_parked(events)}


def finish(world):
    """The ids of the runs that the daemon knows, once none of them is under way any more."""
    def listed(*statuses):
        flags = [word for status in statuses for word in ("-s", status)]
        return json.loads(world.cli("runs", "list", *flags, "-L", "10000", "-o", "json").stdout)

    def still_running():
        held_up = held_up_by_parked(world.events(run["id"]) for run in listed("waiting"))
        return [run for run in listed("running", "pending") if run["id"] not in held_up]

    def waits_for_time():
        return [run for run in listed("waiting") if not is_parked(world.events(run["id"]))]
    wait_for(lambda: not still_running() and not waits_for_time() and not still_running(),
             "the runs to end", 60 * SLOWNESS)
    return {run["id"] for run in listed()}


class Attempts:
    """What a run's events say about its attempts, by (path, number) and by path."""

    def __init__(self, events):
        self.outcomes = collections.defaultdict(list)
        self.started = collections.Counter()
        self.keys = collections.defaultdict(set)
        self.problems = []
        finished = set()
        for event in events:
            path = event.get("path")
            if event["type"] == "AttemptStarted":
                self.started[path, event["attempt"]] += 1
                self.keys[path].add(event["idempotency_key"])
                if path in finished:
                    self.problems.append(f"{path} was attempted after it had finished")
            if event["type"] == "AttemptFinished":
                self.outcomes[path, event["attempt"]].append(event["outcome"])
                if "step_status" in event and event["step_status"] in ("succeeded", "failed"):
                    if path in finished:
                        self.problems.append(f"{path} finished twice")
                    finished.add(path)

    def unknown(self, path):
        return sum(o.count("unknown") for (p, _), o in self.outcomes.items() if p == path)


def check_events(events, attempts):
    """The rules that every log obeys."""
    if [e["seq"] for e in events] != list(range(1, len(events) + 1)):
        yield "its events are not numbered 1, 2, 3 …"
    yield from attempts.problems
    for (path, n), count in attempts.started.items():
        if count != 1:
            yield f"attempt {path}/{n} was started {count} times"
    for (path, n), outcomes in attempts.outcomes.items():
        if len(outcomes) != 1:
            yield f"attempt {path}/{n} has the outcomes {outcomes}"
        if not attempts.started[path, n]:
            yield f"attempt {path}/{n} has an outcome and was never started"
    for path, keys in attempts.keys.items():
        if len(keys) != 1:
            yield f"step {path} has the keys {sorted(keys)}"


def check_status(kind, events, attempts, held_up):
    """A run completes as its kind does, or waits for a reason."""
    ends = [e["status"] for e in events if e["type"] == "RunFinished"]
    parked = {e["path"] for e in events if e["type"] == "StepParked"}
    for path in parked:
        # Ten interruptions park any step: something about it may be what kills the daemon.
        unknowns = attempts.unknown(path)
        if not ("once_" in path and unknowns == 1 or unknowns == 10):
            yield f"step {path} is parked after {unknowns} unknown outcomes"
    parked -= {e["path"] for e in events if e["type"] == "StepCancelled"}
    expected = EXPECTED.get(kind, "succeeded")
    if len(ends) > 1:
        yield f"it finished {len(ends)} times"
    elif ends and (parked or ends != [expected]):
        yield f"it ended {ends[0]}, not {expected}, with {sorted(parked)} parked"
    elif not ends and not parked and not held_up:
        yield "it never ended"
    if kind == "undone" and ends:
        undone = [e["path"] for e in events
                  if e["type"] == "AttemptFinished" and e["outcome"] == "succeeded"
                  and e["path"] in UNDO]
        if sorted(undone) != sorted(UNDO) or undone[-1] != "book.compensate":
            yield f"what it undid is {undone}"


def check_ledger(text, attempts_by_run):
    """What the steps themselves saw."""
    begins = collections.defaultdict(list)
    for line in text.splitlines():
        word, attempt, key = line.split()
        run, path = attempt.split("/", 1)
        path, n = path.rsplit("/", 1)
        known = attempts_by_run.get(run)
        if word == "overlap":
            yield f"{attempt} began while an earlier attempt was alive"
        if word != "begin":
            continue
        if known is None or not known.started[path, int(n)]:
            yield f"{attempt} began, and no event says so"
            continue
        if key not in known.keys[path]:
            yield f"{attempt} was given the key {key}"
        for earlier in begins[run, path]:
            if earlier == int(n):
                yield f"{attempt} began twice"
            if "succeeded" in known.outcomes[path, earlier]:
                yield f"{attempt} began, though attempt {earlier} had succeeded"
        begins[run, path].append(int(n))
        if "once_" in path and len(begins[run, path]) > 1:
            yield f"{attempt}: a step with `effect: once` began again"


def check(world, load, runs):
    """(violations, what happened as numbers)."""
    problems, totals, attempts_by_run = list(load.odd), collections.Counter(), {}
    runs_by_key = collections.defaultdict(set)
    histories = {run: world.events(run) for run in runs | set(load.kind_by_run)}
    held_up = held_up_by_parked(events for events in histories.values() if events)
    for run, events in histories.items():
        if not events:
            problems.append(f"run {run} was answered and is not there")
            continue
        attempts = attempts_by_run[run] = Attempts(events)
        kind = events[0]["flow_name"]
        if "parent" not in events[0]:
            runs_by_key[events[0]["request_id"]].add(run)
        found = [*check_events(events, attempts),
                 *check_status(kind, events, attempts, run in held_up)]
        problems += [f"run {run} ({kind}): {problem}" for problem in found]
        if found:
            tail = [" ".join(str(e.get(k, "")) for k in ("seq", "type", "path", "attempt", "outcome"))
                    for e in events[-12:]]
            problems.append(f"run {run} is {world.show(run)['status']}; its last events: {tail}")
        totals["events"] += len(events)
        totals["attempts"] += len(attempts.started)
        totals["cut off"] += sum(o.count("unknown") for o in attempts.outcomes.values())
        totals["parked"] += sum(e["type"] == "StepParked" for e in events)
    for key, found in runs_by_key.items():
        if len(found) != 1 or load.run_by_key.get(key) not in found:
            problems.append(f"key {key} has the runs {sorted(found)}")
    problems += check_ledger(load.ledger.read_text(), attempts_by_run)
    totals.update({"runs": len(load.kind_by_run), "cancelled": len(load.cancelled),
                   "not answered": load.unanswered})
    return problems, totals


def forgeries(world, run):
    """What the checks do not notice of a good history that was tampered with."""
    good = world.events(run)
    finished = next(i for i, e in enumerate(good) if e["type"] == "AttemptFinished")
    began = next(e for e in good if e["type"] == "AttemptStarted")
    name = f"{run}/{began['path']}/{began['attempt']} {began['idempotency_key']}"
    histories = {
        "an event was lost": good[:finished] + good[finished + 1:],
        "an outcome was recorded twice": good[:finished + 1] + good[finished:],
        "an attempt was started twice": good[:finished] + [began] + good[finished:],
        "a key changed": good + [{**began, "attempt": 2, "idempotency_key": "another"}],
    }
    ledgers = {
        "an attempt began twice": f"begin {name}\nbegin {name}\n",
        "two were alive": f"begin {name}\noverlap {name}\n",
        "nobody said so": f"begin {run}/nowhere/1 key\n",
    }
    for what, events in histories.items():
        renumbered = events
        if "lost" not in what:
            renumbered = [{**e, "seq": n + 1} for n, e in enumerate(events)]
        if not [*check_events(renumbered, Attempts(renumbered))]:
            yield what
    for what, ledger in ledgers.items():
        if not [*check_ledger(ledger, {run: Attempts(good)})]:
            yield what
    yield from check_events(good, Attempts(good))


def floors(totals, kills):
    """A test that did too little has shown nothing."""
    wanted = {"runs": kills, "attempts": 4 * kills, "cut off": kills // 2, "parked": kills // 20,
              "not answered": kills // 4, "cancelled": kills // 50}
    return [f"only {totals[what]} {what}; at least {least} are needed to show anything"
            for what, least in wanted.items() if totals[what] < least]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--plant", action="store_true")
    args = parser.parse_args()
    kills = int(os.environ.get("BEAMLINE_KILLS", "25" if args.plant else "100"))
    again = f"BEAMLINE_KILLS={kills} {sys.argv[0]} --bin {args.bin} --seed {args.seed}"
    print(f"kill_loop: to repeat: {again}", flush=True)

    began = time.monotonic()
    with World(args.bin) as world:
        load = Load(world, args.seed, args.plant)
        load.start()
        try:
            kill_repeatedly(world, load, random.Random(args.seed), kills - 1)
        except BaseException:
            load.end(give_up=True)
            raise
        load.end(give_up=False)
        crash_once_more(world)
        runs = finish(world)
        problems, totals = check(world, load, runs)
        unnoticed = [*forgeries(world, min(runs))] if args.plant else []
        end = world.stop()
        if end != 0:
            problems.append(f"beamlined ended with {end} in the end")
    print(f"{kills} kills in {time.monotonic() - began:.1f} s:",
          ", ".join(f"{count} {what}" for what, count in totals.items()))
    if args.plant:
        noticed = [p for p in problems if "`effect: once` began again" in p]
        print(f"planted: noticed {len(noticed)} times; forged and not noticed: {unnoticed}")
        return 0 if noticed and not unnoticed else 1
    problems += floors(totals, kills)
    for problem in problems[:50]:
        print(f"FAILED: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
