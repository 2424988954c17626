// Words go out in batches: what is said while one is on its way makes up the next.
#include "daemon/rpc/worker_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/rpc/refusal.h"

namespace beamline::rpc {
namespace {

// About what a word takes on the wire beside its texts.
constexpr size_t kWordBytes = 160;

v1::ResultVerdict ToProto(ports::ResultVerdict verdict) {
  switch (verdict) {
    case ports::ResultVerdict::kTaken:
      return v1::RESULT_VERDICT_TAKEN;
    case ports::ResultVerdict::kOutputInvalid:
      return v1::RESULT_VERDICT_OUTPUT_INVALID;
    case ports::ResultVerdict::kStaleEpoch:
      return v1::RESULT_VERDICT_STALE_EPOCH;
    case ports::ResultVerdict::kUnknownAttempt:
      break;
  }
  return v1::RESULT_VERDICT_UNKNOWN_ATTEMPT;
}

v1::CancelReason ToProto(ports::WorkerCancel why) {
  switch (why) {
    case ports::WorkerCancel::kStopped:
      return v1::CANCEL_REASON_STOPPED;
    case ports::WorkerCancel::kTimeout:
      return v1::CANCEL_REASON_TIMEOUT;
    case ports::WorkerCancel::kLeaseExpired:
      break;
  }
  return v1::CANCEL_REASON_LEASE_EXPIRED;
}

}  // namespace

WorkerSession::WorkerSession(ports::WorkerPool& pool, std::string tenant, std::string actor,
                             std::string daemon_version, std::function<void()> wake)
    : pool_(pool),
      tenant_(std::move(tenant)),
      actor_(std::move(actor)),
      daemon_version_(std::move(daemon_version)),
      wake_(std::move(wake)) {}

absl::Status WorkerSession::Hear(WorkerWords* words) {
  using Word = v1::WorkerWord;
  for (Word& word : *words) {
    if (word.word_case() == Word::kHello) {
      if (absl::Status met = Meet(word.hello()); !met.ok()) return met;
      continue;
    }
    if (!number_) return InvalidField("words", "the first word of a worker is Hello");
    const auto about = [&](const auto& said, const auto& tell) {
      if (const auto key = ReadRef(said.ref())) tell(*key, said.lease_epoch());
    };
    switch (word.word_case()) {
      case Word::kResult:
        HearResult(word.mutable_result());
        break;
      case Word::kHeartbeat:
        pool_.Heartbeat(*number_,
                        std::clamp(word.heartbeat().credit(), 0, ports::kWorkerCreditMax));
        break;
      case Word::kAccept:
        about(word.accept(), [&](const ports::AttemptKey& key, uint64_t epoch) {
          pool_.Accept(*number_, key, epoch);
        });
        break;
      case Word::kReject:
        about(word.reject(), [&](const ports::AttemptKey& key, uint64_t epoch) {
          pool_.Reject(*number_, key, epoch, word.reject().reason());
        });
        break;
      case Word::kProgress:
        about(word.progress(), [&](const ports::AttemptKey& key, uint64_t epoch) {
          const v1::Progress& progress = word.progress();
          const auto fraction =
              progress.has_fraction() ? std::optional(progress.fraction()) : std::nullopt;
          pool_.Progress(*number_, key, epoch, fraction, progress.message());
        });
        break;
      case Word::kLogChunk:
        about(word.log_chunk(), [&](const ports::AttemptKey& key, uint64_t epoch) {
          const auto stream = word.log_chunk().stream() == v1::LOG_STREAM_STDERR
                                  ? ports::OutputStream::kStderr
                                  : ports::OutputStream::kStdout;
          pool_.Print(*number_, key, epoch, stream, word.log_chunk().data());
        });
        break;
      case Word::kDrain:
        pool_.DrainItself(*number_);
        break;
      case Word::kGoodbye:
        goodbye_ = true;
        break;
      default:  // a word of a later minor version
        break;
    }
  }
  return absl::OkStatus();
}

absl::Status WorkerSession::Meet(const v1::Hello& hello) {
  if (number_) return InvalidField("words", "Hello is said once");
  absl::StatusOr<ports::WorkerHello> read = ReadHello(hello, tenant_, actor_);
  if (!read.ok()) return read.status();
  {
    // Before the pool can say anything.
    ports::MutexLock lock(&mu_);
    v1::Welcome* welcome = Add(0)->mutable_welcome();
    welcome->set_protocol_version(kWorkerProtocol);
    welcome->mutable_heartbeat_interval()->set_seconds(
        absl::ToInt64Seconds(ports::kWorkerHeartbeat));
    welcome->set_daemon_version(daemon_version_);
    welcome->set_message_bytes_max(kWorkerMessageBytesMax);
    welcome->set_output_bytes_max(ports::kWorkerValueBytesMax);
  }
  absl::StatusOr<ports::WorkerPool::Number> number =
      pool_.Attach(*std::move(read), shared_from_this());
  if (absl::IsAlreadyExists(number.status())) {
    return Refusal(Reason::kWorkerAttached, std::string(number.status().message()))
        .With("worker_id", hello.worker_id());
  }
  if (!number.ok()) return number.status();
  number_ = *number;
  ports::MutexLock lock(&mu_);
  Wake();
  return absl::OkStatus();
}

void WorkerSession::HearResult(v1::Result* result) {
  ports::Verdict verdict{ports::ResultVerdict::kUnknownAttempt, "ref.run_id is no id of a run"};
  if (const auto key = ReadRef(result->ref())) {
    verdict = pool_.Finish(*number_, *key, result->lease_epoch(), ReadResult(result));
  }
  ports::MutexLock lock(&mu_);
  v1::ResultAck* ack = Add(result->ref().path().size())->mutable_result_ack();
  ack->mutable_ref()->Swap(result->mutable_ref());
  ack->set_lease_epoch(result->lease_epoch());
  ack->set_verdict(ToProto(verdict.verdict));
  ack->set_message(std::move(verdict.message));
  Wake();
}

bool WorkerSession::Take(DaemonWords* words) {
  ports::MutexLock lock(&mu_);
  if (batches_.empty()) {
    taken_ = false;
    return false;
  }
  words->Swap(&batches_.front().words);
  batches_.pop_front();
  taken_ = true;
  return true;
}

void WorkerSession::Close() {
  {
    ports::MutexLock lock(&mu_);
    if (std::exchange(closed_, true)) return;
    wake_ = nullptr;
    batches_.clear();
  }
  if (number_) pool_.Detach(*number_);
}

void WorkerSession::Assign(const ports::Assignment& assignment) {
  ports::MutexLock lock(&mu_);
  WriteAssign(assignment, Add(assignment.input.size())->mutable_assign());
  Wake();
}

void WorkerSession::Cancel(const ports::AttemptKey& key, uint64_t epoch, ports::WorkerCancel why,
                           bool force) {
  ports::MutexLock lock(&mu_);
  v1::Cancel* cancel = Add(key.path.size())->mutable_cancel();
  cancel->mutable_ref()->set_run_id(key.run.ToString());
  cancel->mutable_ref()->set_path(key.path);
  cancel->mutable_ref()->set_attempt(key.attempt);
  cancel->set_lease_epoch(epoch);
  cancel->set_reason(ToProto(why));
  cancel->set_force(force);
  Wake();
}

void WorkerSession::Drain(std::string_view reason) {
  ports::MutexLock lock(&mu_);
  Add(0)->mutable_drain()->set_reason(std::string(reason));
  Wake();
}

v1::DaemonWord* WorkerSession::Add(size_t bytes) {
  bytes += kWordBytes;
  if (batches_.empty() || batches_.back().bytes + bytes > kWorkerBatchBytesMax) {
    batches_.emplace_back();
  }
  batches_.back().bytes += bytes;
  return batches_.back().words.Add();
}

void WorkerSession::Wake() {
  if (!wake_ || std::exchange(taken_, true)) return;
  wake_();
}

}  // namespace beamline::rpc
