// Every finding code, as a table.
#include "flowspec/catalogue.h"

namespace beamline::flowspec {
namespace {

constexpr CodeEntry kCodes[] = {
    // BL00xx: the file and its limits.
    {"BL0001", "the file is too large",
     "A flow file holds at most 1 MiB, so that it can be checked and kept with every run. Data "
     "belongs into files that the steps read, or into inputs.",
     "inputs:\n  rows: {default: [… a megabyte of rows …]}",
     "inputs:\n  rows_file: {type: string}"},
    {"BL0002", "the file is not UTF-8 text",
     "Flow files are UTF-8 without control characters other than tabs and line breaks. Anything "
     "else looks different to each program that reads it.",
     "name: caf\\xe9", "name: cafe"},
    {"BL0003", "the file is not valid YAML",
     "The YAML reader could not go on at the place shown. Common causes: a tab in the "
     "indentation, a value that begins with `{` or `[` or holds `: ` and is not quoted, a list "
     "item that is indented less than the one before.",
     "steps:\n  - id: a\n\trun: echo hi", "steps:\n  - id: a\n    run: echo hi"},
    {"BL0004", "the file is empty", "A flow has at least a format, a name and steps.", "# later",
     "beamline: flow/v1\nname: hello\nsteps:\n  - id: greet\n    run: echo hello"},
    {"BL0005", "more than one document in the file",
     "A run is pinned to one flow by the digest of its file, so a file is one flow. (Policy files "
     "may hold several documents.)",
     "name: one\n---\nname: two", "name: one"},
    {"BL0006", "nested too deeply",
     "Maps and lists nest at most 64 levels. No flow that people read comes near.",
     "x: [[[[[[[[ … ]]]]]]]]", "x: [1, 2]"},
    {"BL0007", "aliases expand to too much",
     "YAML aliases (`*name`) may together stand for at most 10,000 nodes and 1 MiB of text. A few "
     "lines of aliases of aliases would otherwise fill the memory of whoever reads the file.",
     "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n…", "a: &a {timeout: 1m}\nb: *a"},
    {"BL0008", "an alias stands inside the node it refers to",
     "Such a node would contain itself without end.", "x-loop: &loop [*loop]",
     "x-list: &list [1]\nx-copy: *list"},
    {"BL0009", "a key is given twice",
     "YAML readers keep one of the two without a word. Here it is an error, since one of them is "
     "a mistake.",
     "timeout: 1m\ntimeout: 2m", "timeout: 2m"},
    {"BL0010", "YAML tags are not allowed",
     "Tags such as `!!str` or `!include` change what a value is. Quote a value that shall be "
     "text.",
     "version: !!str 1.4", "version: '1.4'"},
    {"BL0011", "a key is not plain text",
     "Keys are words. YAML would allow lists and maps as keys, JSON and people do not.",
     "labels: {[a, b]: c}", "labels: {a_b: c}"},
    {"BL0012", "defaults and templates expand to too much",
     "What `extends` and `defaults` add to all steps together is limited to 100,000 nodes and 4 "
     "MiB of text. A `foreach` says the same in one step.",
     "templates:\n  huge: {env: {… thousands of entries …}}",
     "env: {SHARED: 'once, at the top of the flow'}"},

    // BL01xx: structure.
    {"BL0101", "an unknown key",
     "Every key means something, and a misspelt one would silently mean nothing. Keys of your own "
     "begin with `x-`.",
     "- id: a\n  run: make\n  timout: 5m", "- id: a\n  run: make\n  timeout: 5m\n  x-owner: me"},
    {"BL0102", "a required key is missing", "Without this key the map means nothing.",
     "- id: get\n  http: {method: GET}", "- id: get\n  http: {url: https://example.org}"},
    {"BL0103", "a value of the wrong type",
     "The key wants another type of value. Mind that YAML reads `[a]` as a list, `{a: b}` as a "
     "map, `12` and `true` as what they are; quotes make text of them.",
     "needs: build", "needs: [build]"},
    {"BL0104", "not a valid name",
     "Names stand in expressions, file names and command lines. Step ids, inputs and variables: "
     "lower-case letters, digits and `_`; flow names: `-` instead of `_`; environment variables: "
     "letters, digits and `_`. A `foreach.as` name must not hide a function of jq.",
     "- id: Build-App", "- id: build_app"},
    {"BL0105", "a step id is used twice",
     "Ids are unique in the whole flow, children included: they name the step in references, "
     "artifacts, idempotency keys and on the command line.",
     "- id: build\n  run: make\n- id: build\n  run: make test",
     "- id: build\n  run: make\n- id: test\n  run: make test"},
    {"BL0106", "a step does nothing",
     "A step has exactly one kind: run, http, llm, agent, worker, approve, flow, wait, signal, "
     "do, parallel, set or fail.",
     "- id: build\n  timeout: 1m", "- id: build\n  timeout: 1m\n  run: make"},
    {"BL0107", "a step of two kinds",
     "A step does one thing, so that it has one outcome. Two things are two steps, or a `do`.",
     "- id: both\n  run: make\n  http: {url: https://example.org}",
     "- id: make\n  run: make\n- id: tell\n  http: {url: https://example.org}"},
    {"BL0108", "an unknown format version",
     "`beamline:` names the version of the format that the file is written in. This release reads "
     "`flow/v1`.",
     "beamline: flow/v9", "beamline: flow/v1"},
    {"BL0109", "exactly one of several keys is wanted",
     "These keys exclude each other, and one of them must stand.",
     "loop: {until: output.done, while: output.more, max: 3}",
     "loop: {until: output.done, max: 3}"},
    {"BL0110", "an expression in a shell script",
     "The text of a script is never interpolated. A value that holds a quote, `$(…)` or a line "
     "break would become part of the program. Hand values over in `env` or `stdin`, where they "
     "stay values; or write `run` as a list of words, which no shell reads.",
     "run: echo \"${{ inputs.who }}\"", "env: {WHO: '${{ inputs.who }}'}\nrun: echo \"$WHO\""},
    {"BL0111", "an empty list", "A list of steps, or a command, with nothing in it does nothing.",
     "steps: []", "steps:\n  - id: a\n    run: echo hi"},

    // BL02xx: references.
    {"BL0201", "`needs` or `rerun` names an unknown step", "There is no step with this id.",
     "needs: [biuld]", "needs: [build]"},
    {"BL0202", "steps wait for each other",
     "A step waits for what is in its `needs` (or else for the step before it), and for every "
     "step that it reads. Here that goes round in a circle, so none of them could ever start.",
     "- id: a\n  needs: [b]\n  run: echo a\n- id: b\n  run: echo b",
     "- id: a\n  needs: [b]\n  run: echo a\n- id: b\n  needs: []\n  run: echo b"},
    {"BL0203", "an expression reads an unknown step",
     "There is no step with this id. jq alone would have said null.",
     "show: '${{ steps.drfat.output.body }}'", "show: '${{ steps.draft.output.body }}'"},
    {"BL0204", "an unknown input", "Inputs are declared under `inputs`.",
     "inputs: {who: {type: string}}\n…\nenv: {WHO: '${{ inputs.hwo }}'}",
     "env: {WHO: '${{ inputs.who }}'}"},
    {"BL0205", "an unknown variable",
     "`vars.X` and `env.X` are declared at the top of the flow, under `vars` and `env`. The "
     "daemon's own environment cannot be read.",
     "run: [echo, '${{ env.HOME }}']",
     "env: {GREETING: hello}\n…\nrun: [echo, '${{ env.GREETING }}']"},
    {"BL0206", "an unknown matrix axis", "`matrix.X` reads an axis of the matrix around the step.",
     "matrix: {cc: [gcc, clang]}\nenv: {CC: '${{ matrix.compiler }}'}",
     "matrix: {cc: [gcc, clang]}\nenv: {CC: '${{ matrix.cc }}'}"},
    {"BL0207", "the output may not be there",
     "The step that is read may be skipped (it has an `if`, or stands behind a step that has "
     "one), or may fail without failing the run, or may not have been reached when `finally` or "
     "`on_failure` run. Say what holds then with `default(…)`. Where `needs` names the step in "
     "writing, its success is asked for, and the reader is skipped with it.",
     "- id: lint\n  if: inputs.lint\n  run: ./lint\n- id: report\n  set: {n: '${{ "
     "steps.lint.output.n }}'}",
     "- id: lint\n  if: inputs.lint\n  run: ./lint\n- id: report\n"
     "  set: {n: '${{ steps.lint.output.n | default(0) }}'}"},
    {"BL0208", "a step that cannot be seen from here",
     "Children of `do` and `parallel` are seen only inside. The container's `output` exports what "
     "others may read: by default the last child's output, for `parallel` a map by id. Steps of "
     "`on_failure` and `finally` are seen only there.",
     "- id: work\n  do:\n    - id: inner\n      run: echo 1\n- id: after\n"
     "  set: {x: '${{ steps.inner.output }}'}",
     "- id: work\n  do:\n    - id: inner\n      run: echo 1\n- id: after\n"
     "  set: {x: '${{ steps.work.output }}'}"},
    {"BL0209", "a root that does not exist here",
     "`item` and `index` exist in steps with `foreach`, `matrix` and `loop` in steps with these "
     "keys, `error` in `on_failure`, `output` in `output:`. `vars` read inputs only, `env` reads "
     "inputs and vars.",
     "- id: a\n  env: {ROW: '${{ item }}'}\n  run: echo \"$ROW\"",
     "- id: a\n  foreach: {items: inputs.rows}\n  env: {ROW: '${{ item }}'}\n  run: echo \"$ROW\""},
    {"BL0210", "a sensitive input would enter the log",
     "What an expression computes is recorded. A sensitive input may therefore only be the whole "
     "value of an `env` entry or of `stdin`, from where it goes to the process and nowhere else.",
     "run: [login, '--password=${{ inputs.password }}']",
     "env: {PASSWORD: '${{ inputs.password }}'}\nrun: login --password-env PASSWORD"},
    {"BL0211", "an undeclared secret", "Secrets are declared under `secrets`, with their source.",
     "env: {TOKEN: {secret: csm}}",
     "secrets: {cms: {env: CMS_TOKEN}}\n…\nenv: {TOKEN: {secret: cms}}"},
    {"BL0212", "a secret in a place that is logged",
     "`{secret: name}` may stand in `env`, `auth` and `headers` only.",
     "set: {token: {secret: cms}}",
     "http: {url: https://example.org, auth: {bearer: {secret: cms}}}"},
    {"BL0213", "an unknown template, or one that extends itself",
     "`extends` names an entry of `templates`.", "extends: carefull", "extends: careful"},
    {"BL0214", "`needs` or `rerun` names a step of another list",
     "Edges stand between steps of one list. To wait for something inside a container, wait for "
     "the container.",
     "needs: [inner_step]", "needs: [container]"},
    {"BL0215", "a step has no such field",
     "`steps.X` has `output`, `status`, `items`, `error`, `reason`, `attempts` and `artifacts`. "
     "What the step itself made is below `output`.",
     "${{ steps.build.version }}", "${{ steps.build.output.version }}"},
    {"BL0216", "the step that is read is not written out",
     "References decide the order of steps, so `steps` must be followed by an id; it cannot be "
     "computed.",
     "${{ steps[inputs.which].output }}", "${{ steps.build.output }}"},

    {"BL0217", "the value never has such a field",
     "What a step makes is known where its kind, its `outputs` or a schema with "
     "`additionalProperties: false` says so. jq alone would have said null, in every run.",
     "- id: ask\n  http: {url: https://example.org}\n- id: b\n  set: {n: '${{ "
     "steps.ask.output.code }}'}",
     "- id: ask\n  http: {url: https://example.org}\n- id: b\n  set: {n: '${{ "
     "steps.ask.output.status }}'}"},
    {"BL0218", "a value that has no fields, or no elements",
     "`.name` reads a field of a map, `[0]` an element of a list. Text that holds JSON is still "
     "text: `fromjson` reads it.",
     "- id: list\n  run: ./list\n  capture: text\n- id: b\n  set: {n: '${{ "
     "steps.list.output.n }}'}",
     "- id: list\n  run: ./list\n  capture: json\n- id: b\n  set: {n: '${{ "
     "steps.list.output.n }}'}"},
    {"BL0219", "a field that no schema names",
     "The schema allows other fields, so it may be there; more likely it is misspelt. Name it in "
     "the schema, or say `additionalProperties: true` where any field may come.",
     "schema: {type: object, required: [title]}\n…\n${{ steps.draft.output.titel }}",
     "schema: {type: object, required: [title]}\n…\n${{ steps.draft.output.title }}"},
    {"BL0220", "a condition that is never true or false",
     "`if`, `until` and `while` must come to true or false; nothing else counts as true.",
     "inputs: {n: {type: integer}}\n…\nif: inputs.n", "if: inputs.n > 0"},
    {"BL0221", "a list is wanted, and this never is one",
     "`foreach.items` and the axes of a matrix come to lists.",
     "foreach: {items: steps.list.output}  # of `capture: text`",
     "foreach: {items: steps.list.output}  # of `capture: lines`"},
    {"BL0222", "edges that exclude each other",
     "The step needs another one to fail and to succeed, directly or by what it needs. It would "
     "be skipped in every run.",
     "needs: [{step: build, when: success}, {step: build, when: failure}]",
     "needs: [{step: build, when: done}]"},
    {"BL0223", "`rerun` does not lead back to the question",
     "When changes are asked for, the named step runs again with all that depends on it. The "
     "approval has to be among those, or nobody would be asked again.",
     "- {id: review, needs: [build], approve: {title: 'Good?', on_changes: {rerun: notes}}}",
     "- {id: review, needs: [build, notes], approve: {title: 'Good?', on_changes: {rerun: "
     "notes}}}"},
    {"BL0224", "a step that would run again has a `compensate`",
     "A step that changes are made to runs once more. What it did the first time would not be "
     "undone when the run fails.",
     "- {id: pay, run: ./pay, compensate: {run: ./refund}}\n- {id: ok, approve: {title: 'Good?', "
     "on_changes: {rerun: pay}}}",
     "- {id: draft, run: ./draft}\n- {id: ok, approve: {title: 'Good?', on_changes: {rerun: "
     "draft}}}\n- {id: pay, run: ./pay, compensate: {run: ./refund}}"},

    // BL03xx: expressions.
    {"BL0301", "a syntax error in an expression",
     "The text between `${{` and `}}`, or the value of `if`, `items`, `key`, `until` and `while`, "
     "is a jq program.",
     "if: inputs.n >", "if: inputs.n > 3"},
    {"BL0302", "a bracket or quote that is not closed",
     "Brackets, braces and quotes come in pairs.", "if: (inputs.n > 3", "if: (inputs.n > 3)"},
    {"BL0303", "an unknown function or root",
     "Roots are inputs, vars, env, run, steps, item, index, matrix, loop, feedback, trigger, "
     "error, now, output and the `foreach.as` name; functions are those of jq 1.6 and "
     "`default(x)`.",
     "${{ input_s.who | uppercase }}", "${{ inputs.who | ascii_upcase }}"},
    {"BL0304", "a function that reaches outside",
     "Expressions see what they are given, and nothing of the daemon: not its environment, files, "
     "or other programs' input.",
     "${{ $ENV.HOME }}", "${{ inputs.home }}"},
    {"BL0305", "`${{ }}` where the whole value is an expression",
     "`if`, `items`, `foreach.key`, `until` and `while` are expressions as they stand.",
     "if: ${{ inputs.deploy }}", "if: inputs.deploy"},
    {"BL0306", "`${{` without `}}`",
     "An expression ends with `}}`. A literal `${{` is written `$${{`.", "env: {A: '${{ inputs.a'}",
     "env: {A: '${{ inputs.a }}'}"},
    {"BL0307", "an empty expression", "There is nothing between `${{` and `}}`.",
     "env: {A: '${{ }}'}", "env: {A: ''}"},
    {"BL0308", "an expression that is too long or too deep",
     "Expressions are glue. What is longer than this belongs into a step of its own.",
     "if: ((((((((((… true …))))))))))", "if: true"},

    // BL04xx: values.
    {"BL0401", "not a duration",
     "Durations are numbers with units, largest first: ms, s, m, h, d. At most ten years.",
     "timeout: 90", "timeout: 1m30s"},
    {"BL0402", "not one of the words that are allowed here", "The label lists them.",
     "on_error: ignore", "on_error: continue"},
    {"BL0403", "a number out of range", "The message says what is allowed.", "retry: {max: 0}",
     "retry: {max: 3}"},
    {"BL0404", "a JSON Schema that cannot be checked",
     "Schemas are JSON Schema draft-07 without references to other documents; patterns are RE2 "
     "expressions, which have no back-references and never run away.",
     "inputs: {who: {type: sting}}", "inputs: {who: {type: string}}"},
    {"BL0405", "a default that its own schema refuses",
     "A run without this input would fail at its start.",
     "inputs: {n: {type: integer, default: many}}", "inputs: {n: {type: integer, default: 12}}"},
    {"BL0406", "not a number of items or a percentage", "`tolerate` is `3` or `1%`.",
     "foreach: {items: inputs.rows, tolerate: some}",
     "foreach: {items: inputs.rows, tolerate: 1%}"},
    {"BL0407", "not the name of a flow",
     "`uses` is a path that begins with `./` or `../` and ends in `.flow.yaml`, or a name that is "
     "pinned to a digest.",
     "flow: {uses: child}", "flow: {uses: ./child.flow.yaml}"},
    {"BL0408", "not a timetable",
     "`cron` has five fields: minute, hour, day of month, month, day of week. Each is `*`, a "
     "number, a range `a-b`, either with a step `/n`, or a list of those; JAN to DEC and SUN to "
     "SAT are names. Where both days are given, either will do. `@hourly`, `@daily`, `@weekly`, "
     "`@monthly` and `@yearly` stand for what they say.",
     "triggers: [{cron: '0 25 * * *'}]", "triggers: [{cron: '0 3 * * MON-FRI'}]"},
    {"BL0409", "inputs that the used flow does not take",
     "The flow that a `flow` step uses declares its inputs: those without a default must be given, "
     "others do not exist.",
     "flow: {uses: ./test.flow.yaml, inputs: {suit: fast}}",
     "flow: {uses: ./test.flow.yaml, inputs: {suite: fast}}"},
    {"BL0410", "a flow that cannot be used",
     "The file that `uses` names is not there, lies outside of the flow's directory, or is not a "
     "valid flow itself.",
     "flow: {uses: ../elsewhere.flow.yaml}", "flow: {uses: ./lib/elsewhere.flow.yaml}"},
    {"BL0411", "an approver that is neither a user nor a group",
     "Approvers are `user:NAME` (a user of the daemon's machine, or the name in a client's "
     "certificate) and `group:NAME` (a group of the daemon's configuration).",
     "approve: {title: 'Ship it?', approvers: [ada, editors]}",
     "approve: {title: 'Ship it?', approvers: [user:ada, group:editors]}"},
    {"BL0420", "not a time zone",
     "`tz` is a name of the IANA database, so that summer time is known for every year. "
     "Abbreviations such as CEST mean different things in different places.",
     "triggers: [{cron: '0 3 * * *', tz: CEST}]",
     "triggers: [{cron: '0 3 * * *', tz: Europe/Berlin}]"},
    {"BL0421", "a flow that starts itself", "Each of its runs would start the next one, for ever.",
     "name: sync\ntriggers: [{flow: sync}]", "name: sync\ntriggers: [{cron: '*/5 * * * *'}]"},
    {"BL0422", "a key of another kind of trigger",
     "`tz` and `catchup` are about a timetable, `when` about the end of another flow's run.",
     "triggers: [{flow: build, tz: Europe/Berlin}]", "triggers: [{flow: build, when: done}]"},

    {"BL0423", "a trigger does not give a required input",
     "A run that a trigger starts has nobody to ask. Each input without a default needs a value "
     "under the trigger's `inputs`.",
     "inputs: {day: {type: string}}\ntriggers: [{cron: '0 3 * * *'}]",
     "inputs: {day: {type: string}}\ntriggers:\n  - cron: '0 3 * * *'\n    inputs: {day: '${{ "
     "trigger.scheduled_at[:10] }}'}"},
    {"BL0424", "a test case that does not fit the flow",
     "A case names inputs, outputs and steps of the flow, and its inputs satisfy their schemas; "
     "what "
     "it could never come to is no test.",
     "expect: {outputs: {titel: Tides}}", "expect: {outputs: {title: Tides}}"},

    // BL05xx: valid, but not for this release.
    {"BL0501", "a step kind that this release cannot execute",
     "The flow is valid and can be checked, but this release does not execute agent steps.",
     "- id: mend\n  agent: {model: local/m, prompt: 'Mend it.'}", "- id: mend\n  run: ./mend"},
    {"BL0502", "a key that this release cannot execute",
     "The flow is valid and can be checked, but this release does not act on this key; it would "
     "be wrong to run the flow as if it were not there.",
     "- id: build\n  matrix: {cc: [gcc, clang]}\n  run: make",
     "- id: build\n  foreach: {items: [gcc, clang], as: cc}\n  env: {CC: '${{ cc }}'}\n  run: "
     "make"},
    {"BL0503", "a key about attempts on a step that makes none",
     "`retry`, `cache` and `concurrency` are about attempts. Steps with children make none, and "
     "neither do `wait` and `approve`: put the key on the children.",
     "- id: work\n  retry: {max: 3}\n  do: [{id: a, run: ./a}]",
     "- id: work\n  do: [{id: a, run: ./a, retry: {max: 3}}]"},
    {"BL0504", "a secret of a store",
     "This release has no store of secrets. It takes them from the daemon's environment and from "
     "files that the daemon can read.",
     "secrets: {cms: {store: prod/cms}}", "secrets: {cms: {file: /etc/beamline/cms.token}}"},
    {"BL0505", "a trigger that this release does not fire",
     "`webhook` and `event` triggers are part of the format, but nothing listens for them yet; a "
     "flow that waited for one would wait for ever.",
     "triggers: [{event: orders.created}]", "triggers: [{cron: '*/5 * * * *'}]"},

    // BL06xx: what a flow can come to, here or with the daemon that was asked.
    {"BL0601", "a step that never runs",
     "It waits for what never happens: the success of a `fail`, the failure of a `set` of "
     "constants; or its `if` is false.",
     "- id: stop\n  fail: {message: no}\n- id: next\n  run: ./next",
     "- id: stop\n  if: inputs.stop\n  fail: {message: no}\n- id: next\n  needs: [{step: stop, "
     "when: done}]\n  if: steps.stop.status == \"skipped\"\n  run: ./next"},
    {"BL0602", "a flow that uses itself",
     "Each of its runs starts another one, at most 16 below each other. With an `if` on the step "
     "that is a way to work through a tree.",
     "flow: {uses: ./self.flow.yaml}", "if: inputs.depth < 3\nflow: {uses: ./self.flow.yaml}"},
    {"BL0603", "a model that the daemon does not have",
     "Routes and providers are named in the daemon's configuration. Without a daemon to ask, this "
     "is only a warning.",
     "llm: {route: writter, prompt: hello}", "llm: {route: writer, prompt: hello}"},
    {"BL0604", "a queue that no worker serves",
     "Attempts wait until a worker comes that serves the queue and the task. Without a daemon to "
     "ask, this is only a warning; a run is not refused for it.",
     "worker: {queue: enrich, task: Enrich/v3}", "worker: {queue: enrich, task: Enrich/v2}"},
    {"BL0605", "a flow that is not registered with the daemon",
     "`name@sha256:…` names a flow that was registered. Without a daemon to ask, this is only a "
     "warning.",
     "flow: {uses: 'child@sha256:…'}", "beamline flow register child.flow.yaml"},
    {"BL0606", "a secret that the daemon cannot read",
     "The variable is not set in the daemon's environment, or the file is not there for it. Its "
     "value is never shown.",
     "secrets: {cms: {env: CMS_TOKEM}}", "secrets: {cms: {env: CMS_TOKEN}}"},
};

}  // namespace

absl::Span<const CodeEntry> Codes() { return kCodes; }

}  // namespace beamline::flowspec
