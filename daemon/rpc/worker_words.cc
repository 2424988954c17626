// Words of workers to values of the pool and back.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/codec/span_id.h"
#include "daemon/codec/utf8.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/worker_session.h"

namespace beamline::rpc {
namespace {

constexpr size_t kIdBytesMax = 128;
constexpr size_t kNameBytesMax = 256;
constexpr int kServesMax = 256;
constexpr int kLabelsMax = 32;
constexpr absl::Duration kRetryAfterMax = absl::Hours(24 * 30);

bool IsWorkerId(const std::string& id) {
  return !id.empty() && id.size() <= kIdBytesMax &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || std::string_view("._:@-").find(c) != std::string::npos;
         });
}

bool IsName(const std::string& name) { return !name.empty() && name.size() <= kNameBytesMax; }

absl::Status BadHello(const char* field, std::string what) {
  return InvalidField(absl::StrCat("hello.", field).c_str(), std::move(what));
}

}  // namespace

absl::StatusOr<ports::WorkerHello> ReadHello(const v1::Hello& hello, const std::string& tenant,
                                             const std::string& actor) {
  if (hello.protocol_version() != kWorkerProtocol) {
    return Refusal(Reason::kWorkerProtocolUnsupported,
                   absl::StrCat("the worker speaks protocol ", hello.protocol_version(),
                                ", this daemon ", kWorkerProtocol))
        .With("protocol_versions", absl::StrCat(kWorkerProtocol));
  }
  if (!IsWorkerId(hello.worker_id())) {
    return BadHello("worker_id", absl::StrCat("1 to ", kIdBytesMax,
                                              " letters, digits and . _ : @ - are wanted"));
  }
  if (hello.credit() < 0 || hello.credit() > ports::kWorkerCreditMax) {
    return BadHello("credit", absl::StrCat("0 to ", ports::kWorkerCreditMax, " is wanted"));
  }
  ports::WorkerHello read{.id = hello.worker_id(), .tenant = tenant, .actor = actor};
  read.program = hello.program().substr(0, kNameBytesMax);
  read.credit = hello.credit();
  std::set<std::pair<std::string, std::string>> serves;
  for (const v1::Capability& capability : hello.capabilities()) {
    for (const std::string& task : capability.tasks()) {
      if (!IsName(capability.queue()) || !IsName(task)) {
        return BadHello("capabilities",
                        absl::StrCat("queues and tasks have 1 to ", kNameBytesMax, " bytes"));
      }
      serves.emplace(capability.queue(), task);
    }
  }
  if (serves.empty() || serves.size() > kServesMax) {
    return BadHello("capabilities",
                    absl::StrCat("1 to ", kServesMax, " pairs of a queue and a task are wanted"));
  }
  read.serves.assign(serves.begin(), serves.end());
  if (hello.labels_size() > kLabelsMax) {
    return BadHello("labels", absl::StrCat("at most ", kLabelsMax, " are taken"));
  }
  for (const auto& [name, value] : hello.labels()) {
    if (!IsName(name) || value.size() > kNameBytesMax) {
      return BadHello("labels", absl::StrCat("at most ", kNameBytesMax, " bytes each"));
    }
    read.labels.emplace_back(name, value);
  }
  std::sort(read.labels.begin(), read.labels.end());
  return read;
}

void WriteAssign(const ports::Assignment& assignment, v1::Assign* assign) {
  const std::string run = assignment.key.run.ToString();
  v1::AttemptRef* ref = assign->mutable_ref();
  ref->set_run_id(run);
  ref->set_path(assignment.key.path);
  ref->set_attempt(assignment.key.attempt);
  assign->set_lease_epoch(assignment.epoch);
  assign->set_queue(assignment.queue);
  assign->set_task(assignment.task);
  assign->set_input(assignment.input);
  if (assignment.deadline != absl::InfiniteFuture()) {
    const absl::Duration since = assignment.deadline - absl::UnixEpoch();
    assign->mutable_deadline()->set_seconds(absl::ToInt64Seconds(since));
    assign->mutable_deadline()->set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(since % absl::Seconds(1))));
  }
  assign->mutable_heartbeat()->set_seconds(absl::ToInt64Seconds(assignment.heartbeat));
  assign->mutable_heartbeat()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(assignment.heartbeat % absl::Seconds(1))));
  assign->set_idempotency_key(assignment.idempotency_key);
  assign->set_flow_id(assignment.flow_name);
  assign->set_step_id(assignment.step_id);
  assign->set_trace_id(assignment.trace_id);
  assign->set_span_id(codec::SpanId(run, assignment.key.path, assignment.key.attempt));
}

std::optional<ports::AttemptKey> ReadRef(const v1::AttemptRef& ref) {
  const std::optional<run::RunId> run = run::RunId::Parse(ref.run_id());
  if (!run) return std::nullopt;
  return ports::AttemptKey{*run, ref.path(), ref.attempt()};
}

ports::WorkerResult ReadResult(v1::Result* result) {
  using Kind = ports::WorkerResult::Kind;
  ports::WorkerResult read;
  switch (result->outcome_case()) {
    case v1::Result::kOutput:
      read.output = std::move(*result->mutable_output());
      break;
    case v1::Result::kOutputLines:
      read.kind = Kind::kOutputLines;
      read.output = std::move(*result->mutable_output_lines());
      break;
    case v1::Result::kStopped:
      read.kind = Kind::kStopped;
      break;
    case v1::Result::kFailure: {
      const v1::WorkerFailure& failure = result->failure();
      read.kind = Kind::kFailure;
      read.error = {failure.kind().empty() ? "worker" : failure.kind(),
                    failure.message().empty() ? "the worker gave no reason" : failure.message(),
                    failure.has_exit_code() ? failure.exit_code() : -1};
      read.retry_after = std::clamp(absl::Seconds(failure.retry_after().seconds()) +
                                        absl::Nanoseconds(failure.retry_after().nanos()),
                                    absl::ZeroDuration(), kRetryAfterMax);
      break;
    }
    case v1::Result::OUTCOME_NOT_SET:
      read.kind = Kind::kFailure;
      read.error = {"worker", "the worker's result says neither output nor failure"};
      break;
  }
  const v1::Usage& usage = result->usage();
  read.usage = {.provider = usage.provider(),
                .model = usage.model(),
                .request_id = usage.request_id(),
                .requests = usage.requests(),
                .input_tokens = usage.input_tokens(),
                .cache_read_tokens = usage.cache_read_tokens(),
                .cache_write_tokens = usage.cache_write_tokens(),
                .output_tokens = usage.output_tokens(),
                .reasoning_tokens = usage.reasoning_tokens()};
  return read;
}

}  // namespace beamline::rpc
