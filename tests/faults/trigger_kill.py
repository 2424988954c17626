"""Runs that start runs, while the daemon is killed again and again: each end of a run starts what
waits for it exactly once.

    trigger_kill.py --bin DIR [--kills N] [--seed N]
"""

import argparse
import json
import os
import random
import time

from world import END_S, World, wait_for

BUILDS = 40


def runs_of(world, flow):
    done = world.cli("runs", "list", "--flow", flow, "--limit", "1000", "-o", "json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def submit(world, number):
    """The id of build `number`, which is the same however often it is asked for."""
    done = world.cli("submit", "build", "--idempotency-key", f"build-{number}", "-o", "json",
                     "-i", f"n:={number}")
    return json.loads(done.stdout)["id"] if done.returncode == 0 else None


def settle(world, flow, count):
    """The runs of `flow`, once there are `count` and all of them have ended."""
    def settled():
        runs = runs_of(world, flow)
        ended = runs is not None and all(r["status"] in ("succeeded", "failed") for r in runs)
        return runs if ended and len(runs) >= count else None
    return wait_for(settled, f"{count} runs of {flow}", END_S * 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("BEAMLINE_SEED", "1")))
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(f"BEAMLINE_SEED={arguments.seed}", flush=True)
    with World(arguments.bin) as world:
        build = world.flow("build", "inputs: {n: {type: integer}}\n"
                           "steps: [{id: a, run: 'sleep 0.02'}]\n"
                           "outputs: {n: '${{ inputs.n }}'}\n")
        deploy = world.flow("deploy", "inputs: {cause: {type: string}, n: {type: integer}}\n"
                            "triggers:\n  - flow: build\n    overlap: allow\n    inputs: {cause: "
                            "'${{ trigger.run_id }}', n: '${{ trigger.outputs.n }}'}\n"
                            "steps: [{id: a, run: 'sleep 0.01'}]\n")
        report = world.flow("report", "inputs: {cause: {type: string}}\n"
                            "triggers:\n  - {flow: deploy, overlap: queue, inputs: {cause: "
                            "'${{ trigger.run_id }}'}}\n"
                            "steps: [{id: a, set: {done: true}}]\n")
        world.start()
        registered = world.cli("flow", "register", build, deploy, report)
        assert registered.returncode == 0, registered.stderr
        builds, kills, numbers = {}, 0, list(range(BUILDS))
        while numbers or kills < arguments.kills:
            for _ in range(chance.randrange(1, 6)):
                if numbers and (run := submit(world, numbers[0])) is not None:
                    builds[run] = numbers.pop(0)
            if kills < arguments.kills:
                time.sleep(chance.random() * 0.15)
                world.kill()
                kills += 1
                world.start()
        deploys = settle(world, "deploy", BUILDS)
        reports = settle(world, "report", BUILDS)
        causes = [world.show(run["id"])["inputs"] for run in deploys]
        assert sorted(c["cause"] for c in causes) == sorted(builds), "each build deploys once"
        assert all(builds[c["cause"]] == c["n"] for c in causes), "with its own outputs"
        followed = [world.show(run["id"])["inputs"]["cause"] for run in reports]
        assert sorted(followed) == sorted(r["id"] for r in deploys), "each deploy reports once"
        left = json.loads(world.cli("flow", "list", "-o", "json").stdout)
        assert not any(t.get("queued") for f in left for t in f.get("triggers", [])), left
        print(f"{BUILDS} builds, {len(deploys)} deploys, {len(reports)} reports, {kills} kills",
              flush=True)


if __name__ == "__main__":
    main()
