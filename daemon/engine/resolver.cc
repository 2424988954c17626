// Enter: `if`, the items of a foreach, the body of an attempt. Leave: the output of what had
// children. Reshape: `output:` and `outputs:` of an attempt.
#include "daemon/engine/resolver.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/engine/ask.h"
#include "daemon/engine/evaluation.h"
#include "daemon/engine/fan_out.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/reader.h"
#include "flowspec/value_schema.h"

namespace beamline::engine {
namespace {

using flowspec::ExprIndex;
using flowspec::Step;
using flowspec::StepKind;
using run::kRunNode;
using run::NodeIndex;
using run::RunState;
using Phase = run::ReportResolution::Phase;

constexpr size_t kKeyBytesMax = 1024;  // of idempotency and concurrency

void Want(const flowspec::Template& value, std::vector<ExprIndex>* wanted) {
  for (ExprIndex expr : value.Holes()) wanted->push_back(expr);
}

// The expressions of a body: what an attempt is given.
void WantBody(const Step& step, std::vector<ExprIndex>* wanted) {
  Want(step.input, wanted);
  Want(step.idempotency_key, wanted);
  for (const flowspec::Artifact& artifact : step.artifacts) Want(artifact.path, wanted);
  if (step.concurrency) Want(step.concurrency->key, wanted);
  if (step.cache) Want(step.cache->key, wanted);
}

std::vector<const flowspec::Expression*> Gather(const flowspec::Flow& flow,
                                                const std::vector<ExprIndex>& wanted,
                                                bool* context) {
  std::vector<const flowspec::Expression*> expressions;
  *context = false;
  for (ExprIndex expr : wanted) {
    const flowspec::Expression& e = flow.expressions[static_cast<size_t>(expr)];
    expressions.push_back(&e);
    for (const flowspec::Reference& reference : e.references) {
      *context = *context || reference.root == "vars" || reference.root == "env";
    }
  }
  if (!*context) return expressions;
  for (const auto* values : {&flow.vars, &flow.env}) {
    for (const auto& [name, value] : *values) {
      for (ExprIndex expr : value.Holes()) {
        expressions.push_back(&flow.expressions[static_cast<size_t>(expr)]);
      }
    }
  }
  return expressions;
}

// <run>/<step>[/<item>]: the place in the run, with the keys of the items on the way.
std::string PlaceOf(const RunState& state, NodeIndex index, const ItemsOf& items_of) {
  if (index == kRunNode) return state.start.run.ToString();
  const run::Node& node = state.node(index);
  const std::string above = PlaceOf(state, node.parent, items_of);
  if (node.item < 0) return absl::StrCat(above, "/", state.plan->step(node.step).id);
  const std::shared_ptr<const Items> items = items_of(node.parent);  // none: rounds of a loop
  const auto i = static_cast<size_t>(node.item);
  return absl::StrCat(above, "/", i < items->keys.size() ? items->keys[i] : absl::StrCat(i));
}

// The place; and which time it is, where somebody wanted what had succeeded to be done again: it is
// another effect then, not a repetition of the first.
std::string DefaultKey(const RunState& state, NodeIndex index, const ItemsOf& items_of) {
  const int32_t times = index == kRunNode ? 0 : state.node(index).times;
  std::string key = PlaceOf(state, index, items_of);
  return times == 0 ? key : absl::StrCat(key, "~", times + 1);
}

// The array of a foreach (null for tolerated failures), the last round of a loop, the map of a
// parallel, what the last child of a `do` made, or what a `wait` or `approve` got.
LazyText RawOutput(const RunState& state, NodeIndex index) {
  LazyText text;
  const run::Node& node = state.node(index);
  const Step& step = state.plan->step(node.step);
  if (node.is_fan) {
    const run::Fan& fan = state.fans.at(index);
    if (step.loop) {
      text.Add(fan.done[static_cast<size_t>(fan.next - 1)].output);
      return text;
    }
    for (int32_t i = 0; i < fan.count; ++i) {
      text.Add(i == 0 ? "[" : ",");
      text.Add(fan.done[static_cast<size_t>(i)].output);
    }
    text.Add(fan.count == 0 ? "[]" : "]");
    return text;
  }
  if (step.kind == StepKind::kWait || step.kind == StepKind::kApprove) {
    text.Add(node.output);
    return text;
  }
  if (step.kind == StepKind::kDo) {
    text.Add(
        state.node(node.first_child + static_cast<NodeIndex>(step.children.size()) - 1).output);
    return text;
  }
  for (size_t i = 0; i < step.children.size(); ++i) {
    const NodeIndex child = node.first_child + static_cast<NodeIndex>(i);
    text.Add(absl::StrCat(i == 0 ? "{" : ",", flowspec::QuoteJson(state.step_of(child).id), ":"));
    text.Add(state.node(child).output);
  }
  text.Add(step.children.empty() ? "{}" : "}");
  return text;
}

void WantEnter(const Step& step, bool is_fan, bool decided, std::vector<ExprIndex>* wanted) {
  if (step.condition >= 0 && !decided) wanted->push_back(step.condition);
  if (step.foreach && is_fan) return Want(step.foreach->items, wanted);
  if (step.matrix && is_fan) {
    for (const auto& [axis, values] : step.matrix->axes) Want(values, wanted);
  }
  if (is_fan) return;
  WantBody(step, wanted);
}

run::Error Failed(std::string message) { return {"expression", std::move(message)}; }

// One resolution being worked off.
class Work {
 public:
  Work(ResolveJob job, ports::Evaluator& evaluator, ports::BlobStore& blobs,
       const ports::EventStore& events, const ports::Meter& meter)
      : job_(std::move(job)),
        blobs_(blobs),
        events_(events),
        meter_(meter),
        evaluation_(*job_.flow, job_.tenant, job_.scope, evaluator, blobs) {}

  Resolver::Resolved Run() {
    run::Error error;
    if (job_.context) error = evaluation_.SetContext();
    if (error.ok()) {
      error = job_.report.phase == Phase::kEnter   ? Enter()
              : job_.report.phase == Phase::kRound ? Round()
                                                   : Leave();
    }
    job_.report.error = std::move(error);
    return {std::move(job_.report), std::move(items_)};
  }

 private:
  const Step& step() const { return job_.flow->plan->step(job_.step); }

  run::Error Enter() {
    if (step().condition >= 0 && !job_.decided) {
      evaluation_.Evaluate(job_.wanted);
      run::Error error = Condition(step().condition, "if", &job_.report.condition);
      if (!error.ok() || !job_.report.condition) return error;
    }
    evaluation_.Evaluate(job_.wanted);
    if (job_.is_fan) return Fan();
    if (step().children.empty()) return Body();
    return {};
  }

  // In a body {"sensitive": …} and {"secret": …} stand for secrets; only the flow may write them,
  // not a value that some step's output brings along.
  run::Error CheckHoles() {
    if (step().kind == StepKind::kSet || step().kind == StepKind::kFail) return {};
    for (const flowspec::Piece& piece : step().input.pieces) {
      if (piece.kind != flowspec::Piece::Kind::kValue) continue;
      absl::StatusOr<std::string> value = evaluation_.Result(piece.expr);
      if (!value.ok()) return ExpressionError(value.status());
      const auto members = flowspec::ObjectMembers(*value);
      const bool marker = members.size() == 1 &&
                          (members[0].first == "\"sensitive\"" || members[0].first == "\"secret\"");
      if (marker) return Failed("a value that an expression brings must not stand for a secret");
    }
    return {};
  }

  run::Error Body() {
    if (run::Error error = CheckHoles(); !error.ok()) return error;
    absl::StatusOr<std::string> input = evaluation_.Render(step().input);
    if (!input.ok()) return ExpressionError(input.status());
    if (!step().idempotency_key.empty()) {
      absl::StatusOr<std::string> key = evaluation_.Render(step().idempotency_key);
      if (!key.ok()) return ExpressionError(key.status());
      job_.report.idempotency_key =
          flowspec::JsonKind(*key) == '"' ? flowspec::UnquoteJson(*key) : *key;
    }
    if (run::Error error = Places(); !error.ok() || job_.report.hit) return error;
    if (step().kind == StepKind::kFail) return FailStep(*input);
    if (step().kind == StepKind::kWait) return WaitStep(*input);
    if (step().kind == StepKind::kApprove) {
      return ReadAsk(*input, blobs_, &job_.report.ask.emplace());
    }
    if (run::Error error = AddArtifacts(&*input); !error.ok()) return error;
    if (step().kind == StepKind::kSet) return SetStep(*std::move(input));
    if (step().kind == StepKind::kLlm && job_.flow->plan->budgeted) Measure(&*input);
    return Store(*std::move(input), &job_.report.input);
  }

  // What the attempt may cost. A budget has to know how long the answer may become.
  void Measure(std::string* input) {
    const bool bounded = absl::c_any_of(flowspec::ObjectMembers(*input), [](const auto& member) {
      return member.first == "\"max_tokens\"" && member.second != "null";
    });
    if (!bounded) {
      input->pop_back();  // the closing brace of the body; an `llm` step has a prompt
      absl::StrAppend(input, ",\"max_tokens\":", ports::kBudgetedTokensMax, "}");
    }
    ports::Estimate estimate = meter_.MostOf(*input);
    job_.report.most = estimate.most;
    job_.report.unpriced = std::move(estimate.unpriced);
  }

  // The step's turn, and what the cache knows.
  run::Error Places() {
    const std::string scope = absl::StrCat(job_.flow->flow().name, "/", step().id, "/");
    if (step().concurrency) {
      absl::StatusOr<std::string> key = evaluation_.Render(step().concurrency->key);
      if (!key.ok()) return ExpressionError(key.status());
      job_.report.turn = scope + *key;
    }
    if (!step().cache) return {};
    if (job_.rehearsal) {  // what is made up must not become what others build on
      job_.report.cache_miss = "the run is a rehearsal: its models are answered by a recording";
      return {};
    }
    absl::StatusOr<std::string> key = evaluation_.Render(step().cache->key);
    if (!key.ok()) return ExpressionError(key.status());
    LookUp(scope + *key);
    return {};
  }

  void LookUp(std::string key) {
    job_.report.cache_key = key;
    const auto cached = events_.FindCached(job_.tenant, key);
    if (!cached.ok() || !cached->has_value()) {
      job_.report.cache_miss =
          cached.ok() ? "nothing is cached under the key" : std::string(cached.status().message());
      return;
    }
    const ports::CacheEntry& entry = (*cached)->entry;
    if (entry.expires_at <= job_.now) {
      job_.report.cache_miss =
          absl::StrCat("what was cached expired at ",
                       absl::FormatTime(absl::RFC3339_sec, entry.expires_at, absl::UTCTimeZone()));
      return;
    }
    const auto made = events_.Read((*cached)->id, entry.seq - 1, 1);
    const run::AttemptFinished* fact = nullptr;
    if (made.ok() && !made->empty()) {
      fact = std::get_if<run::AttemptFinished>(&made->front().fact);
    }
    if (fact == nullptr) {
      job_.report.cache_miss = "the run that made it is gone";
      return;
    }
    job_.report.hit =
        run::CacheHit{job_.report.path, std::move(key), (*cached)->id.ToString(), fact->path,
                      entry.made_at,    fact->output,   fact->artifacts};
  }

  run::Error AddArtifacts(std::string* input) {
    if (step().artifacts.empty()) return {};
    std::string artifacts;
    for (const flowspec::Artifact& artifact : step().artifacts) {
      absl::StatusOr<std::string> path = evaluation_.Render(artifact.path);
      if (!path.ok()) return ExpressionError(path.status());
      absl::StrAppend(&artifacts, artifacts.empty() ? "" : ",", flowspec::QuoteJson(artifact.name),
                      ":{\"path\":", *path, ",\"report\":", flowspec::QuoteJson(artifact.report),
                      "}");
    }
    input->pop_back();  // the closing brace of the body
    absl::StrAppend(input, input->size() > 1 ? "," : "", "\"artifacts\":{", artifacts, "}}");
    return {};
  }

  run::Error SetStep(std::string value) {
    if (!step().output.empty()) {
      job_.scope.Set("output", value);
      std::vector<ExprIndex> wanted;
      Want(step().output, &wanted);
      evaluation_.Evaluate(wanted);
      absl::StatusOr<std::string> output = evaluation_.Render(step().output);
      if (!output.ok()) return ExpressionError(output.status());
      value = *std::move(output);
    }
    if (run::Error error = CheckOutput(value); !error.ok()) return error;
    return Store(std::move(value), &job_.report.output);
  }

  run::Error CheckOutput(const std::string& value) {
    if (step().outputs_schema.empty()) return {};
    const std::vector<std::string> problems = flowspec::CheckValue(step().outputs_schema, value);
    if (problems.empty()) return {};
    return {"schema",
            absl::StrCat("the output is not what `outputs` says: ", absl::StrJoin(problems, "; "))};
  }

  run::Error FailStep(const std::string& input) {
    run::Error error{"fail", "the flow says so"};
    std::string code;
    for (const auto& [key, value] : flowspec::ObjectMembers(input)) {
      std::string text =
          flowspec::JsonKind(value) == '"' ? flowspec::UnquoteJson(value) : std::string(value);
      if (key == "\"message\"")
        error.message = std::move(text);
      else if (key == "\"code\"")
        code = std::move(text);
    }
    if (!code.empty()) error.message = absl::StrCat(code, ": ", error.message);
    if (run::Error stored = Store(input, &job_.report.input); !stored.ok()) return stored;
    return error;
  }

  run::Error Fan() {
    if (step().loop) {
      job_.report.count = step().loop->max;
      return {};
    }
    FannedOut out;
    run::Error error = step().foreach
                           ? FanOutForeach(*step().foreach, &evaluation_, &job_.scope, &out)
                           : FanOutMatrix(*step().matrix, &evaluation_, &out);
    if (!error.ok()) return error;
    job_.report.count = static_cast<int32_t>(out.items->items.size());
    error = Store(std::move(out.items_json), &job_.report.items);
    if (error.ok() && !out.keys_json.empty()) {
      error = Store(std::move(out.keys_json), &job_.report.keys);
    }
    items_ = std::move(out.items);
    return error;
  }

  // Whether a loop goes on after the round that is over.
  run::Error Round() {
    const flowspec::Loop& loop = *step().loop;
    absl::StatusOr<std::string> raw = job_.raw_output.Join(blobs_);
    if (!raw.ok()) return {"output", std::string(raw.status().message())};
    job_.scope.Set("output", *std::move(raw));
    evaluation_.Evaluate(job_.wanted);
    bool holds = false;
    run::Error error = Condition(loop.condition, loop.until ? "until" : "while", &holds);
    job_.report.condition = holds != loop.until;
    return error;
  }

  run::Error Condition(ExprIndex expr, const char* name, bool* holds) {
    absl::StatusOr<std::string> value = evaluation_.Result(expr);
    if (!value.ok()) return ExpressionError(value.status());
    *holds = *value == "true";
    if (*holds || *value == "false") return {};
    return Failed(
        absl::StrCat("`", name, "` must come to true or false; it came to ", value->substr(0, 60)));
  }

  // What a `wait` waits for.
  run::Error WaitStep(const std::string& input) {
    run::Wait& wait = job_.report.wait.emplace();
    for (const auto& [key, value] : flowspec::ObjectMembers(input)) {
      if (key == "\"signal\"") {
        for (const auto& [name, member] : flowspec::ObjectMembers(value)) {
          if (name == "\"name\"") wait.signal = flowspec::UnquoteJson(member);
          if (name == "\"match\"") wait.match = member;
          if (name == "\"schema\"") wait.schema = member;
        }
        continue;
      }
      const bool pause = key == "\"for\"";
      const std::string text =
          flowspec::JsonKind(value) == '"' ? flowspec::UnquoteJson(value) : std::string(value);
      const auto duration = pause ? flowspec::ParseDuration(text) : std::nullopt;
      if (duration) wait.pause = *duration;
      std::string why;
      const bool time = !pause && absl::ParseTime(absl::RFC3339_full, text, &wait.until, &why);
      if (duration || time) continue;
      return {"expression",
              absl::StrCat("`", pause ? "for" : "until", "` must come to a ",
                           pause ? "duration such as 10m" : "time such as 2030-01-01T00:00:00Z",
                           "; it came to ", text.substr(0, 60))};
    }
    return {};
  }

  run::Error Leave() {
    if (job_.step < 0) {
      absl::StatusOr<std::string> outputs = evaluation_.RenderObject(job_.flow->flow().outputs);
      if (!outputs.ok()) return ExpressionError(outputs.status());
      return Store(*std::move(outputs), &job_.report.output);
    }
    absl::StatusOr<std::string> raw = job_.raw_output.Join(blobs_);
    if (!raw.ok()) return {"output", std::string(raw.status().message())};
    if (!job_.is_fan && !step().output.empty()) {
      job_.scope.Set("output", *raw);
      evaluation_.Evaluate(job_.wanted);
      raw = evaluation_.Render(step().output);
      if (!raw.ok()) return ExpressionError(raw.status());
    }
    if (!job_.is_fan) {
      if (run::Error error = CheckOutput(*raw); !error.ok()) return error;
    }
    return Store(*std::move(raw), &job_.report.output);
  }

  run::Error Store(std::string json, run::Value* value) {
    absl::StatusOr<run::Value> spilled = Spill(std::move(json), blobs_);
    if (!spilled.ok()) return {"limit", std::string(spilled.status().message())};
    *value = *std::move(spilled);
    return {};
  }

  ResolveJob job_;
  ports::BlobStore& blobs_;
  const ports::EventStore& events_;
  const ports::Meter& meter_;
  Evaluation evaluation_;
  std::shared_ptr<const Items> items_;
};

}  // namespace

ResolveJob MakeResolveJob(std::shared_ptr<const CompiledFlow> flow, const RunState& state,
                          NodeIndex index, const run::ResolveStep& effect, const ItemsOf& items_of,
                          absl::Time now) {
  std::vector<ExprIndex> wanted;
  NodeIndex seen_from = index;
  int32_t step = -1;
  bool is_fan = false;
  bool decided = false;
  if (index == kRunNode) {
    for (const auto& [name, value] : flow->flow().outputs) Want(value, &wanted);
  } else {
    const run::Node& node = state.node(index);
    step = node.step;
    is_fan = node.is_fan;
    decided = node.item >= 0;
    const Step& s = state.plan->step(step);
    if (effect.phase == Phase::kRound) {
      wanted.push_back(s.loop->condition);
      seen_from = state.fans.at(index).last;
      if (state.node(seen_from).first_child >= 0) seen_from = state.node(seen_from).first_child;
    } else if (!node.leaving) {
      WantEnter(s, is_fan, decided, &wanted);
    } else if (!is_fan) {
      Want(s.output, &wanted);
      if (node.first_child >= 0) seen_from = node.first_child;
    }
  }
  std::vector<ExprIndex> read = wanted;
  if (step >= 0 && !state.node(index).leaving) {
    // Evaluated later in the same job, so what they read is gathered, too.
    const Step& s = state.plan->step(step);
    if (is_fan && s.foreach) Want(s.foreach->key, &read);
    if (!is_fan && s.kind == StepKind::kSet) Want(s.output, &read);
  }
  bool context = false;
  const auto expressions = Gather(flow->flow(), read, &context);
  ResolveJob job{std::move(flow),
                 state.start.tenant,
                 step,
                 is_fan,
                 decided,
                 context,
                 now,
                 {},
                 std::move(wanted),
                 Scope(state, seen_from, expressions, items_of, now),
                 {}};
  job.rehearsal = !state.start.llm_answers.absent();
  job.report.path = run::PathOf(state, index);
  job.report.phase = effect.phase;
  job.report.attempt = effect.attempt;
  const bool over = step >= 0 && (state.node(index).leaving || effect.phase == Phase::kRound);
  if (over) job.raw_output = RawOutput(state, index);
  if (effect.attempt > 0) job.report.idempotency_key = DefaultKey(state, index, items_of);
  return job;
}

bool NeedsReshape(const Step& step) { return !step.output.empty() || !step.outputs_schema.empty(); }

ReshapeJob MakeReshapeJob(std::shared_ptr<const CompiledFlow> flow, const RunState& state,
                          NodeIndex index, const ItemsOf& items_of, absl::Time now) {
  std::vector<ExprIndex> wanted;
  const int32_t step = state.node(index).step;
  Want(state.plan->step(step).output, &wanted);
  bool context = false;
  const auto expressions = Gather(flow->flow(), wanted, &context);
  return {std::move(flow), state.start.tenant, step,
          context,         std::move(wanted),  Scope(state, index, expressions, items_of, now)};
}

bool Resolver::Quick(const ResolveJob& job) const {
  const auto plain = [&](ExprIndex expr) {
    return job.flow->flow().expressions[static_cast<size_t>(expr)].plain.has_value();
  };
  if (!job.scope.here() || !job.raw_output.here()) return false;
  if (job.scope.bytes() + job.raw_output.bytes() > kInlineBytesMax / 2) return false;
  if (job.context && !job.flow->fixed_context) return false;
  if (job.is_fan && !job.flow->plan->step(job.step).loop) return false;
  if (job.step >= 0 && job.flow->plan->step(job.step).cache) return false;
  if (job.step >= 0 && NeedsReshape(job.flow->plan->step(job.step))) return false;
  return std::all_of(job.wanted.begin(), job.wanted.end(), plain);
}

Resolver::Resolved Resolver::Resolve(ResolveJob job) {
  return Work(std::move(job), evaluator_, blobs_, events_, meter_).Run();
}

absl::StatusOr<Resolver::Keys> Resolver::ResolveKeys(
    const std::shared_ptr<const CompiledFlow>& flow, const run::RunStarted& start, absl::Time now) {
  RunState state(flow->plan);
  state.start = start;
  state.started_at = now;
  std::vector<ExprIndex> wanted;
  const auto& idempotency = flow->flow().idempotency;
  const auto& concurrency = flow->flow().concurrency;
  if (idempotency) Want(idempotency->key, &wanted);
  if (concurrency) Want(concurrency->key, &wanted);
  bool context = false;
  const auto expressions = Gather(flow->flow(), wanted, &context);
  Scope scope(state, kRunNode, expressions, {}, now);
  Evaluation evaluation(*flow, start.tenant, scope, evaluator_, blobs_);
  if (context) {
    if (run::Error error = evaluation.SetContext(); !error.ok()) {
      return absl::InvalidArgumentError(error.message);
    }
  }
  evaluation.Evaluate(wanted);
  Keys keys;
  for (const auto& [limit, key] :
       {std::pair(idempotency ? &idempotency->key : nullptr, &keys.idempotency),
        std::pair(concurrency ? &concurrency->key : nullptr, &keys.concurrency)}) {
    if (limit == nullptr) continue;
    absl::StatusOr<std::string> json = evaluation.Render(*limit);
    if (!json.ok()) return json.status();
    *key = flowspec::JsonKind(*json) == '"' ? flowspec::UnquoteJson(*json) : *std::move(json);
    if (key->size() > kKeyBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("a key of ", key->size(), " bytes; at most ", kKeyBytesMax));
    }
  }
  return keys;
}

void Resolver::Reshape(ReshapeJob job, run::ReportAttempt* report) {
  const Step& step = job.flow->plan->step(job.step);
  const auto fail = [report](run::Error error) {
    report->outcome = run::Outcome::kFailed;
    report->output = run::Value();
    report->error = std::move(error);
  };
  absl::StatusOr<std::string> output = Load(report->output, blobs_);
  if (!output.ok()) return fail({"output", std::string(output.status().message())});
  if (!step.output.empty()) {
    job.scope.Set("output", *output);
    Evaluation evaluation(*job.flow, job.tenant, job.scope, evaluator_, blobs_);
    if (job.context) {
      if (run::Error error = evaluation.SetContext(); !error.ok()) return fail(std::move(error));
    }
    evaluation.Evaluate(job.wanted);
    output = evaluation.Render(step.output);
    if (!output.ok()) return fail(ExpressionError(output.status()));
  }
  if (!step.outputs_schema.empty()) {
    const std::vector<std::string> problems = flowspec::CheckValue(step.outputs_schema, *output);
    if (!problems.empty()) {
      return fail({"schema", absl::StrCat("the output is not what `outputs` says: ",
                                          absl::StrJoin(problems, "; "))});
    }
  }
  absl::StatusOr<run::Value> value = Spill(*std::move(output), blobs_);
  if (!value.ok()) return fail({"limit", std::string(value.status().message())});
  report->output = *std::move(value);
}

}  // namespace beamline::engine
