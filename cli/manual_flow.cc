// The manual page of the flow format: its story is told here, its keys come from the catalogue.
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/manual.h"
#include "cli/mdoc.h"
#include "flowspec/catalogue.h"

namespace beamline::cli {
namespace {

constexpr const char* kIntroduction = R"mdoc(.Sh DESCRIPTION
A flow is one YAML 1.2 document in a file
.Pa *.flow.yaml .
It says what is to be done, in steps, and what happens when a step fails.
.Pp
Keys that the format does not know are errors, as are keys given twice; a key that begins with
.Ql x\-
is yours and is passed over.
.Ql yes ,
.Ql on
and
.Ql 017
are text.
Anchors and aliases are allowed, tags are not.
A file has at most 1 MiB, nests at most 64 levels, and its aliases stand for at most 10000 nodes.
.Pp
Ids are lower case letters, digits and underscores; names of flows have dashes in place of underscores.
Durations are written as
.Ql 500ms ,
.Ql 30s ,
.Ql 10m ,
.Ql 2h
and
.Ql 7d .
.Pp
.Ic beamline validate
checks a file and shows every mistake at its place;
.Ic beamline explain
says more about a mistake or a key;
.Ic beamline schema flow
prints the JSON Schema for editors.
.Sh A FIRST FLOW
)mdoc";

constexpr const char* kFirstFlow = R"yaml(beamline: flow/v1
name: hello
inputs: {who: {type: string, default: world}}
steps:
  - id: greet
    env: {WHO: '${{ inputs.who }}'}
    run: echo "hello $WHO"
)yaml";

constexpr const char* kAfterKeys = R"mdoc(.Sh ORDER
A step starts when the step before it in the list has succeeded.
.Cm needs
says otherwise: it lists the siblings that are waited for, and an empty list starts at once.
A step that reads
.Ql steps.x
waits for
.Ql x ,
too.
.Pp
An edge is satisfied when the step before succeeded
.Pq Cm success ,
failed
.Pq Cm failure
or ended in any way, skipped included
.Pq Cm done .
A step with an edge that cannot be satisfied any more is skipped, with a reason.
Only after its edges is
.Cm if
asked, and no hidden condition stands in front of it.
.Pp
When steps of the flow have failed, the steps under
.Cm on_failure
run; those under
.Cm finally
always run at the end, after a cancellation too.
.Sh EXPRESSIONS
Between
.Ql ${{
and
.Ql }}
stands an expression in the language of
.Xr jq 1 .
Alone in a text it keeps its type; inside a text it is put in as text, and null there is an error.
.Ql $${{
is a literal
.Ql ${{ .
.Pp
The keys
.Cm if , until , while , items
and
.Cm key
are expressions by themselves and take no braces.
.Pp
These names can be read:
.Bl -tag -width feedback
.It Cm inputs , vars , env
What the run was given, the values computed once, the environment.
.It Cm steps
.Ql steps.x.output ,
.Ql steps.x.status ,
.Ql steps.x.items .
.It Cm item , index
The item of a
.Cm foreach
and its place; also by the name in
.Cm as .
.It Cm matrix
The combination of a
.Cm matrix .
.It Cm loop
.Ql loop.index
is the round, from 0;
.Ql loop.prev
what the round before came to: of a step with children a map of their outputs by id, null in the first
round.
.It Cm feedback
What a reviewer wrote when changes were asked for:
.Ql feedback.comment , feedback.by , feedback.round ;
null in the first round.
.It Cm run , trigger
The run itself and what started it.
.It Cm error
What failed, in
.Cm on_failure .
.It Cm now
The time.
.El
.Pp
.Ql default(x)
stands in for a value that is missing or null.
It is required where the step that is read may have been skipped.
A name that does not exist is a mistake that
.Ic beamline validate
shows.
An expression may take 250 ms and 64 MiB, and its result 1 MiB.
.Sh COMMANDS
.Cm run
as a text is a shell script.
Expressions are not allowed in it, so that no value is ever taken for code: values come in through
.Cm env
or
.Cm stdin .
As a list,
.Cm run
is a program with its arguments, and expressions may stand in them.
.Pp
A command finds these variables:
.Bl -tag -width BEAMLINE_IDEMPOTENCY_KEY
.It Ev BEAMLINE_RUN_ID , BEAMLINE_FLOW , BEAMLINE_STEP
Where it is.
.It Ev BEAMLINE_ATTEMPT
The attempt, by run, step and number.
.It Ev BEAMLINE_IDEMPOTENCY_KEY
The same for every attempt; hand it to services that can tell a repeat by it.
.It Ev BEAMLINE_TRACE_ID , TRACEPARENT
The trace it belongs to.
.It Ev BEAMLINE_OUTPUT
A file to write the step's output to.
.It Ev BEAMLINE_IN
A directory with the artifacts of earlier steps; see
.Sx ARTIFACTS .
.El
.Pp
Lines of that file are
.Ql key=text ,
.Ql key:=JSON ,
or
.Ql key<<WORD
followed by lines of text up to
.Ql WORD .
Only the attempt that succeeds hands its output on.
.Sh ARTIFACTS
A step's
.Cm artifacts
are kept when it succeeds.
Later
.Cm run
steps find them, read-only, as
.Pa $BEAMLINE_IN/STEP/NAME ,
of a
.Cm foreach
or
.Cm matrix
as
.Pa $BEAMLINE_IN/STEP/KEY/NAME ,
of a child of
.Cm do
or
.Cm parallel
as
.Pa $BEAMLINE_IN/STEP/CHILD/NAME .
A
.Cm loop
has those of its last round.
Where the path of an artifact is a pattern, NAME is a directory, and the files lie in it under the paths
at which they were found.
In the file name of a key,
.Ql / ,
.Ql % ,
control characters and a dot at its beginning are written as
.Ql %2F
and so on.
A step finds what it needs made, directly or through others, next to it and around it; handlers find all
main steps, a compensation what it undoes.
STEP is a symbolic link, which
.Xr find 1
follows with
.Fl L .
More than 20,000 files of one step do not appear.
.Pp
With
.Ql report: junit
the test report is read, and its counts and failed tests are shown; with
.Ql report: sarif
findings of linters.
Reports are kept of a step that fails, too.
What a report says, or that it cannot be read, does not change what becomes of the step.
.Sh FAILURES
A failed attempt is repeated as
.Cm retry
says; in a
.Cm foreach
only the items that failed.
A step that has failed for good fails the run, unless
.Cm on_error
says otherwise:
.Cm continue
goes on,
.Cm park
holds the run open for a person.
.Pp
If the machine stops in the middle of an attempt, nobody knows whether it happened.
.Cm effect
says what may be done then:
.Cm pure
and
.Cm idempotent
steps run again with the same idempotency key;
.Cm once
is never repeated silently, the step is parked:
it holds its run until a person retries it
.Pq Cm beamline retry ,
takes it as done
.Pq Cm beamline skip ,
or lets it fail
.Pq Cm beamline dlq drop .
.Pp
Steps with
.Cm compensate
that succeeded are undone, the last one first, when the run fails later or is cancelled.
In the body of
.Cm compensate ,
.Ql steps.X.output
of the step X itself is what is to be undone; of a
.Cm foreach
each item is undone by itself.
A compensation that fails does not keep the others from running.
Then come
.Cm on_failure ,
unless the run was cancelled, and
.Cm finally .
.Sh WAITING
.Cm wait
holds a run without a process: it survives restarts, and a run that only waits takes no memory.
.Ql wait: {for: 10m}
and
.Ql wait: {until: TIME}
end in time, never early.
.Ql wait: {signal: {name: paid}}
ends when
.Ic beamline signal ,
a
.Cm signal
step of another run or a program sends that signal, and the signal's payload is the output.
.Cm match
takes only a payload that holds the given members;
.Cm schema
only one that it describes.
Signals that came before their wait are kept, up to 1000; each is taken by one wait.
A
.Cm timeout
of the step fails it with the kind
.Ql timeout .
.Sh REPETITION
A
.Cm loop
runs its step until
.Cm until
is true or
.Cm while
is false after a round, but at most
.Cm max
times; its output is the last round's.
Having come to
.Cm max
is no failure: what follows can look at the output.
A round that fails fails the loop.
.Cm foreach , matrix
and
.Cm loop
exclude each other on one step; put a
.Cm do
around it.
.Sh SUB-FLOWS
.Ql flow: {uses: ./child.flow.yaml, inputs: {n: 1}}
runs another flow as a run of its own.
Its outputs are the step's output, its failure the step's failure, and stopping the step cancels it.
Files are named by their path from the file that uses them and travel with the flow;
.Ql name@sha256:DIGEST
names a registered flow.
With
.Ql mode: detach
the step is over once that run has started, and its output is
.Ql {run: ID} .
Sub-flows are at most 16 deep.
.Sh TURNS, KEYS AND CACHES
.Cm concurrency
of a flow limits how many of its runs with an equal
.Cm key
go on; of a step, how many of that step over all runs.
Beyond the
.Cm limit
the new one is queued, refused
.Pq Cm reject ,
or the oldest is cancelled in its favour
.Pq Cm cancel_oldest .
.Pp
Starts of a flow with an equal
.Cm idempotency
key within the
.Cm window
are one run; with other inputs, or with
.Ql conflict: reject ,
they are refused.
.Pp
A step with a
.Cm cache
takes over the output and the artifacts that the same step of the same flow made under an equal
.Cm key ,
as long as
.Cm ttl
allows;
.Ic beamline why
says where they came from, or why nothing was found.
.Sh TRIGGERS
Once
.Ic beamline flow register
has given a flow to the daemon, its
.Cm triggers
start runs of it.
.Pp
.Cm cron
has five fields: minute, hour, day of month, month and day of week.
Each is
.Ql * ,
a number, a range
.Ql a-b ,
either with a step
.Ql /n ,
or a list of those; JAN to DEC and SUN to SAT are names.
Where both days are given, either will do.
.Ql @hourly , @daily , @weekly , @monthly
and
.Ql @yearly
stand for what they say.
.Pp
The fields are read by the clocks of
.Cm tz .
A time that they skip when they are put forward comes due once, at the end of the gap; one that they
show twice comes due the first time.
A timetable that shall go on every few minutes through the night in which clocks are put back belongs
into UTC, which is the default.
.Pp
A start that is at most a minute late is made.
What else came due while no daemon ran is passed over, made once or made for each time, as
.Cm catchup
says; at most the last 1,000 are made up for.
A clock that is put forward over a start does not lose it, and one that is put back makes none again.
.Pp
.Cm overlap
is about the last run that the same trigger started: what comes due while it goes on is passed over,
waits for its end, or is started beside it.
.Pp
.Cm flow
starts a run when a run of the other flow has succeeded, or as
.Cm when
says.
.Pp
.Cm inputs
of a trigger see
.Ql trigger.kind
and
.Ql trigger.scheduled_at ,
the time in RFC 3339 with the offset of
.Cm tz ;
after another flow also
.Ql trigger.run_id , trigger.status , trigger.flow , trigger.chain
(how many such triggers in a row led here) and
.Ql trigger.outputs .
Flows that start each other in a circle come to an end: 16 in a row are made, the next start is not,
and
.Ic beamline flow show
says why.
.Pp
.Ic beamline flow show
says when each trigger comes due next, and what came of the last time.
.Sh TEST CASES
.Cm test
holds runs of the flow with answers in place of models, and what has to come of them:
.Bd -literal -offset indent
test:
  - name: a good one is published
    inputs: {topic: tides}
    llm: {draft/write: [{json: {title: Tides}}]}
    expect:
      outputs: {title: Tides}
      steps: {publish: succeeded}
.Ed
.Pp
.Ic beamline flow test
runs them; a case that fails makes its exit code 1.
Steps that ask no model do what they do in any run.
A step without an answer fails; of several answers each attempt takes the next one, and the last one
stands for all that follow.
.Pp
Such a run is a rehearsal: it neither uses nor fills caches, has no idempotency key, and no trigger
follows it.
.Sh A LONGER FLOW
)mdoc";

constexpr const char* kLongerFlow = R"yaml(beamline: flow/v1
name: enrich
inputs: {day: {type: string, format: date}}
steps:
  - id: list
    run: [./list, --day, '${{ inputs.day }}']
    capture: json
  - id: enrich
    foreach: {items: steps.list.output, as: row, key: row.id, max_parallel: 8, tolerate: 1%}
    env: {ROW: '${{ row }}'}
    run: ./enrich
    retry: {max: 5, match: [timeout, 'exit:75']}
    timeout: 30s
  - id: load
    run: ./load
    stdin: '${{ steps.enrich.output | map(select(. != null)) }}'
    effect: once
finally:
  - id: notify
    env: {FAILED: '${{ [steps.enrich.items[] | select(.status == "failed").key] | join(",") }}'}
    run: ./notify
)yaml";

std::string Literal(const std::string& text) {
  return absl::StrCat(".Bd -literal -offset indent\n", MdocLiteral(text), ".Ed\n");
}

std::string KeyItem(const flowspec::KeyEntry& entry) {
  std::string about = entry.type;
  const std::string fallback = entry.fallback;
  if (fallback == "required") {
    absl::StrAppend(&about, "; required");
  } else if (!fallback.empty()) {
    absl::StrAppend(&about, "; default: ", fallback);
  }
  return absl::StrCat(".It Cm ", MdocLiteral(entry.key), " Pq ", MdocWord(about), "\n",
                      MdocSentences(entry.text), "\n");
}

// The keys of one map, under a heading.
std::string KeySection(const std::string& map, const std::string& title) {
  std::string items;
  for (const flowspec::KeyEntry& entry : flowspec::Keys()) {
    if (entry.map == map) absl::StrAppend(&items, KeyItem(entry));
  }
  return absl::StrCat(".Ss ", title, "\n.Bl -tag -width Ds\n", items, ".El\n");
}

std::string ErrorSection() {
  std::string text =
      ".Sh KINDS OF ERRORS\nWhat failed is called one of these, in\n.Cm retry.match ,\n.Cm "
      "retry.never\n"
      "and\n.Ql steps.x.error.kind :\n.Bl -tag -width unavailable\n";
  for (const flowspec::ErrorKindEntry& entry : flowspec::ErrorKinds()) {
    absl::StrAppend(&text, ".It Cm ", MdocLiteral(entry.kind), "\n", MdocSentences(entry.text),
                    "\n");
  }
  return text + ".El\n";
}

// The maps of the catalogue in its order, each once.
std::vector<std::string> Maps() {
  std::vector<std::string> maps;
  for (const flowspec::KeyEntry& entry : flowspec::Keys()) {
    const std::string map = entry.map;
    if (maps.empty() || maps.back() != map) maps.push_back(map);
  }
  return maps;
}

std::string TitleOf(const std::string& map) {
  if (map == "flow") return "The top level";
  if (map == "step") return "Every step";
  const std::vector<std::string> words = absl::StrSplit(map, ' ');
  if (words.size() == 2) return absl::StrCat("Beside or below ", words[0]);
  return absl::StrCat("Below ", map);
}

}  // namespace

std::string FlowManual(const std::string& date) {
  std::string text = absl::StrCat(".\\\" Written by: beamline __generate\n.Dd ", date,
                                  "\n.Dt BEAMLINE-FLOW 5\n.Os\n.Sh NAME\n.Nm beamline-flow\n"
                                  ".Nd the format of flows\n",
                                  kIntroduction, Literal(kFirstFlow), ".Sh KEYS\n");
  for (const std::string& map : Maps()) absl::StrAppend(&text, KeySection(map, TitleOf(map)));
  return absl::StrCat(text, kAfterKeys, Literal(kLongerFlow), ErrorSection(),
                      ".Sh SEE ALSO\n.Xr beamline 1 ,\n.Xr beamline-explain 1 ,\n"
                      ".Xr beamline-validate 1 ,\n.Xr jq 1 ,\n.Xr beamlined 8\n");
}

}  // namespace beamline::cli
