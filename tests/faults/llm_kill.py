"""Kills beamlined (SIGKILL) while models are answering, and asks them what they were asked:

  - nothing is asked again that was recorded as answered, and what is asked again has the key that it
    had before;
  - a step with `effect: once` is asked at most once: cut off, it waits for a person;
  - every run ends, each attempt with its outcome, and what succeeded has the whole answer, not a
    piece of a stream that was cut.

The models are tests/exec/fake_models.py, which speaks OpenAI's and Anthropic's formats, slowly.

    llm_kill.py --bin DIR [--seed N]
    BEAMLINE_KILLS=N    how often (12)
    --plant             declares the once step idempotent: the checks must notice
"""

import collections
import json
import subprocess
import sys
import time
from pathlib import Path

from world import World, kill_arguments, wait_for

MODELS = Path(__file__).resolve().parent.parent / "exec" / "fake_models.py"
ANSWER = {"title": "Tidal power", "body": "Tides are strong, and they come twice a day."}

CONFIG = """
providers:
  open: {{kind: openai, base_url: 'http://127.0.0.1:{port}/v1', key: {{env: MODEL_KEY}}}}
  anth: {{kind: anthropic, base_url: 'http://127.0.0.1:{port}', key: {{env: MODEL_KEY}}}}
routes: {{writer: open/any, judge: anth/any}}
"""
FLOW = """
steps:
  - id: each
    foreach: {{items: [1, 2, 3], max_parallel: 3}}
    effect: idempotent
    llm: {{route: writer, prompt: 'each ${{{{ run.id }}}} ${{{{ item }}}}', schema: {{type: object, required: [title]}}}}
  - id: judge
    effect: {effect}
    llm: {{route: judge, prompt: 'judge ${{{{ run.id }}}}'}}
"""
SCRIPT = [{"match": "each", "answers": [{"json": ANSWER, "delay_s": 0.01}]},
          {"match": "judge", "answers": [{"text": "It is good as it is.", "delay_s": 0.03}]}]


def start_models(world):
    """The port of a model server that writes down what it is asked."""
    port, script = world.root / "port", world.root / "script.json"
    script.write_text(json.dumps(SCRIPT))
    world.started.append(subprocess.Popen(
        [sys.executable, "-B", MODELS, port, "--script", script, "--log", world.root / "asked"],
        stderr=subprocess.DEVNULL))  # of killed clients it says a lot
    return wait_for(lambda: port.exists() and port.read_text().strip(), "the models to listen")


def asked(world):
    """How often each question was asked, by its last message."""
    log = world.root / "asked"
    lines = log.read_text().splitlines() if log.exists() else []
    return collections.Counter(str(json.loads(line)["body"]["messages"][-1]["content"])
                               for line in lines)


def attempts(view):
    """(question, item or step) of each thing that a model was asked for."""
    steps = {step["id"]: step for step in view["steps"]}
    for i, item in enumerate(steps["each"].get("items", [])):
        yield f"each {view['id']} {i + 1}", item
    yield f"judge {view['id']}", steps["judge"]


def times(questions, wanted):
    """How often `wanted` was asked; formats wrap it differently."""
    return sum(n for question, n in questions.items()
               if wanted in question and not question.split(wanted)[1][:1].isdigit())


def mistakes(world, runs, questions):
    """What is not as promised, one line each."""
    for run in runs:
        view = world.show(run)
        if view["status"] not in ("succeeded", "waiting"):
            yield f"{run} is {view['status']}"
        for question, node in attempts(view):
            made = node.get("attempts", [])
            n = times(questions, question)
            if n > len(made):
                yield f"`{question}` was asked {n} times in {len(made)} attempts"
            if question.startswith("judge") and n > 1:
                yield f"`{question}` was asked {n} times"
            for attempt in made:
                if "outcome" not in attempt or "finished_at" not in attempt:
                    yield f"`{question}` has an attempt without an outcome: {attempt}"
            if len({attempt.get("idempotency_key") for attempt in made}) > 1:
                yield f"`{question}` changed its key"
            if sum(attempt["outcome"] == "succeeded" for attempt in made) > 1:
                yield f"`{question}` has succeeded twice"
            if node["status"] != "succeeded":
                continue
            if n == 0:
                yield f"`{question}` succeeded and was never asked"
            if question.startswith("each") and node["output"] != ANSWER:
                yield f"`{question}` has a piece of its answer: {node['output']}"


def main():
    arguments, kills, chance = kill_arguments(12)
    with World(arguments.bin) as world:
        config = world.root / "config.yaml"
        config.write_text(CONFIG.format(port=start_models(world)))
        flow = world.flow("ask", FLOW.format(
            effect="idempotent" if arguments.plant else "once"))
        runs = []

        def start():
            world.start("--config", config, env={"MODEL_KEY": "k"})

        for _ in range(kills):
            start()
            runs += [world.submit(flow) for _ in range(2)]
            time.sleep(chance.uniform(0.0, 0.5))
            world.kill()
        start()
        for run in runs:
            world.await_run(run)
        questions = asked(world)
        found = list(mistakes(world, runs, questions))
        views = [world.show(run) for run in runs]
        unknown = sum(attempt["outcome"] == "unknown" for view in views
                      for _, node in attempts(view) for attempt in node.get("attempts", []))
        parked = sum(view["status"] == "waiting" for view in views)
    print(f"{kills} kills, {len(runs)} runs, {sum(questions.values())} questions, {unknown} cut off, "
          f"{parked} runs parked")
    if unknown < kills // 3:
        sys.exit("hardly an answer was cut off: this showed nothing")
    if arguments.plant:
        sys.exit(None if found else "the planted repetition went unnoticed")
    sys.exit("\n".join(found) or None)


main()
