// A talk is one attempt: a question, and more of them while the answer has to be mended.
#include "daemon/exec/llm_executor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "daemon/exec/http_result.h"
#include "daemon/exec/llm_adapter.h"
#include "daemon/exec/llm_meter.h"
#include "daemon/exec/llm_recorded.h"
#include "daemon/exec/llm_step.h"
#include "daemon/exec/redactor.h"
#include "daemon/exec/secrets.h"
#include "daemon/exec/sse_parser.h"
#include "daemon/exec/step_command.h"
#include "daemon/exec/step_output.h"

namespace beamline::exec {
namespace {

constexpr size_t kStreamBytesMax = 64 << 20;
constexpr size_t kAnswerBytesMax = 8 << 20;
constexpr size_t kChunkBytes = 64 << 10;

void Add(const run::Usage& more, run::Usage* total) {
  if (!more.model.empty()) total->model = more.model;
  ++total->requests;
  total->input_tokens += more.input_tokens;
  total->cache_read_tokens += more.cache_read_tokens;
  total->cache_write_tokens += more.cache_write_tokens;
  total->output_tokens += more.output_tokens;
  total->reasoning_tokens += more.reasoning_tokens;
}

bool WasCut(const std::string& stop) { return stop == "length" || stop == "max_tokens"; }

const char* KindOfRefusal(const absl::Status& status) {
  if (absl::IsNotFound(status)) return "not_found";
  return absl::IsUnimplemented(status) ? "unsupported" : "input";
}

std::string ShortId(const HttpResponse& response) {
  constexpr size_t kIdBytesMax = 200;
  for (const char* name : {"x-request-id", "request-id"}) {
    if (const std::string* id = response.Find(name)) return id->substr(0, kIdBytesMax);
  }
  return "";
}

}  // namespace

struct LlmExecutor::Talk {
  explicit Talk(const std::vector<std::string>& secrets)
      : redactor(std::make_shared<const Redactor>(secrets)), printed(*redactor) {}

  ports::Attempt attempt;
  std::function<void(run::ReportAttempt)> done;
  LlmStep step;
  std::string key;
  EndedRequest ended;  // what reports begin with
  absl::Time start = absl::Now();
  run::Usage usage;  // of all requests so far
  int round = 0;

  // Guarded by mu_.
  uint64_t request = 0;  // 0: none is under way
  std::optional<run::StopReason> stopped;

  // Of the current round, on the client's thread.
  SseParser parser;
  LlmAnswer answer;
  std::shared_ptr<const Redactor> redactor;
  Redactor::Stream printed;
  size_t printed_bytes = 0;  // of answer.text that went to `printed`
};

LlmExecutor::LlmExecutor(HttpClient& client, LlmProviders providers, std::string user_agent,
                         ports::OutputSink& sink)
    : client_(client),
      providers_(std::move(providers)),
      user_agent_(std::move(user_agent)),
      sink_(sink) {}

LlmExecutor::~LlmExecutor() = default;

void LlmExecutor::Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) {
  EndedRequest ended{.path = attempt.path, .attempt = attempt.attempt, .effect = attempt.effect};
  absl::StatusOr<LlmStep> step = ReadLlmStep(attempt, providers_);
  if (!step.ok()) {
    return done(NoRequest(ended, KindOfRefusal(step.status()), step.status().message()));
  }
  absl::StatusOr<std::string> key = std::string();
  if (!step->provider->key_env.empty()) {
    key = ReadSecret("env", step->provider->key_env);
  } else if (!step->provider->key_file.empty()) {
    key = ReadSecret("file", step->provider->key_file);
  }
  if (!key.ok()) {
    return done(NoRequest(ended, "secret",
                          absl::StrCat("the key of the provider ", step->provider->name, ": ",
                                       key.status().message())));
  }
  std::vector<std::string> secrets = SecretTexts(attempt);
  if (!key->empty()) secrets.push_back(*key);
  auto talk = std::make_shared<Talk>(secrets);
  ended.redactor = talk->redactor;
  talk->ended = std::move(ended);
  talk->step = *std::move(step);
  talk->key = *std::move(key);
  talk->usage.provider = talk->step.provider->name;
  talk->attempt = std::move(attempt);
  talk->done = std::move(done);
  {
    ports::MutexLock lock(&mu_);
    talks_[AttemptName(talk->attempt)] = talk;
  }
  Ask(talk);
}

void LlmExecutor::Stop(const run::RunId& run, const std::string& path, int32_t attempt,
                       run::StopReason reason, bool) {
  ports::MutexLock lock(&mu_);
  const auto found = talks_.find(absl::StrCat(run.ToString(), "/", path, "/", attempt));
  if (found == talks_.end()) return;
  found->second->stopped = reason;
  if (found->second->request != 0) client_.Cancel(found->second->request);
}

void LlmExecutor::Ask(const std::shared_ptr<Talk>& talk) {
  talk->parser = {};
  talk->answer = {};
  talk->printed_bytes = 0;
  if (talk->step.provider->kind == LlmProvider::Kind::kRecorded) return AskRecorded(talk);
  HttpRequest request = MakeRequest(talk);
  ports::MutexLock lock(&mu_);
  // A stop that came between two rounds finds the next one.
  if (talk->stopped) request.timeout = absl::ZeroDuration();
  talk->request = client_.Start(std::move(request), [this, talk](const HttpResponse& response) {
    TakeResponse(talk, response);
  });
}

void LlmExecutor::AskRecorded(const std::shared_ptr<Talk>& talk) {
  const ports::Attempt& attempt = talk->attempt;
  const bool of_run = !attempt.llm_answers.empty();
  const std::string& file = talk->step.provider->file;
  const absl::StatusOr<std::string> text = of_run ? attempt.llm_answers : ReadRecording(file);
  absl::StatusOr<LlmAnswer> answer =
      text.ok() ? RecordedAnswer(*text, of_run ? "what the run was given with --mock-llm" : file,
                                 attempt.path, attempt.attempt, talk->round)
                : absl::StatusOr<LlmAnswer>(text.status());
  if (!answer.ok()) {
    return End(*talk,
               NoRequest(talk->ended, KindOfRefusal(answer.status()), answer.status().message()));
  }
  talk->answer = *std::move(answer);
  Add(talk->answer.usage, &talk->usage);
  Print(*talk, /*last=*/true);
  TakeAnswer(talk);
}

HttpRequest LlmExecutor::MakeRequest(const std::shared_ptr<Talk>& talk) {
  const LlmProvider& provider = *talk->step.provider;
  const LlmAdapter& adapter = AdapterOf(provider.kind);
  HttpRequest request;
  request.method = "POST";
  request.url = provider.base_url + adapter.Path();
  request.configured = true;
  request.redirects_max = 0;
  request.response_bytes_max = kStreamBytesMax;
  request.repeatable = talk->attempt.effect != flowspec::Effect::kOnce;
  request.headers = adapter.Headers(talk->key);
  request.headers.push_back({"Content-Type", "application/json"});
  request.headers.push_back({"Accept", "text/event-stream"});
  request.headers.push_back({"User-Agent", user_agent_});
  if (talk->attempt.trace_id.size() == 32) {
    request.headers.push_back({"traceparent", TraceParent(talk->attempt)});
  }
  request.body = adapter.Body(provider, talk->step.request);
  request.timeout = talk->attempt.timeout - (absl::Now() - talk->start);
  request.on_data = [this, talk, &adapter](std::string_view bytes) {
    const bool fits = talk->parser.Feed(bytes, [&](const SseEvent& event) {
      if (talk->answer.problem.kind != "output") adapter.Take(event, &talk->answer);
    });
    if (!fits) talk->answer.problem = {"output", "an event of the stream is over 4 MiB"};
    if (talk->answer.text.size() > kAnswerBytesMax) {
      talk->answer.problem = {"output", "the answer is over 8 MiB"};
      talk->answer.text.resize(talk->printed_bytes);
    }
    Print(*talk, /*last=*/false);
  };
  return request;
}

// What has come in of the answer goes to the step's standard output, a line end behind the last.
void LlmExecutor::Print(Talk& talk, bool last) {
  std::string out;
  const std::string& text = talk.answer.text;
  talk.printed.Append(std::string_view(text).substr(talk.printed_bytes), &out);
  talk.printed_bytes = text.size();
  if (last) {
    talk.printed.Finish(&out);
    if (!text.empty() && text.back() != '\n') out.push_back('\n');
  }
  for (size_t at = 0; at < out.size(); at += kChunkBytes) {
    sink_.Write(talk.attempt.run, {.path = talk.attempt.path,
                                   .attempt = talk.attempt.attempt,
                                   .stream = ports::OutputStream::kStdout,
                                   .time = absl::Now(),
                                   .bytes = out.substr(at, kChunkBytes)});
  }
}

void LlmExecutor::TakeResponse(const std::shared_ptr<Talk>& talk, const HttpResponse& response) {
  std::optional<run::StopReason> stopped;
  {
    ports::MutexLock lock(&mu_);
    talk->request = 0;
    stopped = talk->stopped;
  }
  Print(*talk, /*last=*/true);
  Add(talk->answer.usage, &talk->usage);
  talk->usage.request_id = ShortId(response);
  const std::string who = absl::StrCat(talk->step.provider->name, " ");
  if (stopped && response.failure != HttpFailure::kNone) {
    talk->ended.stopped = stopped;
    return End(*talk, StoppedRequest(talk->ended));
  }
  if (response.status != 0 && response.status / 100 != 2) {
    const LlmProblem problem = ProblemOf(talk->step.provider->kind, response, absl::Now());
    run::ReportAttempt report = NoRequest(talk->ended, problem.kind, who + problem.message);
    report.retry_after = problem.retry_after;
    return End(*talk, std::move(report));
  }
  if (response.failure != HttpFailure::kNone) {
    run::ReportAttempt report =
        NoRequest(talk->ended, KindOf(response.failure),
                  absl::StrCat(talk->step.provider->name, ": ", response.message));
    const bool once = talk->attempt.effect == flowspec::Effect::kOnce;
    if (once && MayHaveHappened(response)) report.outcome = run::Outcome::kUnknown;
    return End(*talk, std::move(report));
  }
  const std::string* type = response.Find("content-type");
  if (type == nullptr || !absl::StartsWithIgnoreCase(*type, "text/event-stream")) {
    return End(*talk, NoRequest(talk->ended, "output",
                                absl::StrCat(who, "did not answer with an event stream, but with ",
                                             type == nullptr ? "something untyped" : *type,
                                             "; is its base_url right?")));
  }
  TakeAnswer(talk);
}

void LlmExecutor::TakeAnswer(const std::shared_ptr<Talk>& talk) {
  const LlmAnswer& answer = talk->answer;
  const std::string who = absl::StrCat(talk->step.provider->name, " ");
  if (!answer.problem.kind.empty()) {
    return End(*talk, NoRequest(talk->ended, answer.problem.kind, who + answer.problem.message));
  }
  if (!answer.whole && answer.stop.empty()) {
    return End(*talk, NoRequest(talk->ended, "unavailable", who + "ended in the middle"));
  }
  if (WasCut(answer.stop)) {
    return End(*talk, NoRequest(talk->ended, "length",
                                absl::StrCat("the answer was cut at the limit of tokens after ",
                                             answer.usage.output_tokens,
                                             "; raise `max_tokens` or ask for less")));
  }
  std::vector<std::string> problems;
  const std::string text = talk->redactor->Redact(answer.text);
  std::string output = OutputOfAnswer(talk->step, text, &problems);
  if (problems.empty()) {
    run::ReportAttempt report{.path = talk->ended.path, .attempt = talk->ended.attempt};
    report.output = run::Value::Json(std::move(output));
    return End(*talk, std::move(report));
  }
  if (talk->round == talk->step.repair) {
    return End(*talk,
               NoRequest(talk->ended, "schema",
                         absl::StrCat("the answer does not fit `schema`, asked ", talk->round + 1,
                                      " times: ", absl::StrJoin(problems, "; "))));
  }
  ++talk->round;
  AskToMend(text, problems, &talk->step.request);
  Ask(talk);
}

void LlmExecutor::End(Talk& talk, run::ReportAttempt report) {
  {
    ports::MutexLock lock(&mu_);
    talks_.erase(AttemptName(talk.attempt));
  }
  report.usage = talk.usage.requests > 0 ? talk.usage : run::Usage();
  const auto price = PriceOf(*talk.step.provider, talk.step.request.model);
  if (talk.usage.requests > 0 && price) report.usage.nano_usd = NanoUsd(*price, report.usage);
  talk.done(std::move(report));
}

}  // namespace beamline::exec
