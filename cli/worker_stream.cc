// Callback API: no thread of ours.
#include "cli/worker_stream.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "cli/api_error.h"
#include "flowspec/mutex.h"

namespace beamline::cli {
namespace {

// Of one message, unless one word alone is larger: the daemon takes 4 MiB and then some.
constexpr size_t kBatchBytesMax = 512 << 10;

size_t TextBytes(const v1::WorkerWord& word) {
  return 64 + word.result().output().size() + word.result().output_lines().size() +
         word.result().failure().message().size() + word.log_chunk().data().size();
}

}  // namespace

class WorkerStream::Impl : public grpc::ClientBidiReactor<v1::AttachRequest, v1::AttachResponse>,
                           public std::enable_shared_from_this<WorkerStream::Impl> {
 public:
  Impl(const std::string& socket, v1::Hello hello, std::function<void(v1::DaemonWord&)> on_word)
      : hello_(std::move(hello)), on_word_(std::move(on_word)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(8 << 20);
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    // A channel of the same address and arguments would share its connection, and its backoff.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::WorkerService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials(), arguments));
  }

  // Ends the stream and waits until nothing of it is to come.
  void Close() {
    context_.TryCancel();
    flowspec::MutexLock lock(&mu_);
    mu_.Await([this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return over_ || !started_; });
  }

  void Start() {
    stub_->async()->Attach(&context_, this);
    AddHold();  // for what is said outside of reactions, until the end is known
    StartRead(&response_);
    v1::WorkerWord word;
    word.mutable_hello()->Swap(&hello_);
    Say(std::move(word));
    {
      flowspec::MutexLock lock(&mu_);
      started_ = true;
    }
    keep_ = shared_from_this();
    StartCall();
  }

  void Say(v1::WorkerWord word) {
    const size_t bytes = TextBytes(word);
    flowspec::MutexLock lock(&mu_);
    if (ending_) return;
    if (batches_.empty() || batches_.back().bytes + bytes > kBatchBytesMax) {
      batches_.emplace_back();
    }
    batches_.back().bytes += bytes;
    batches_.back().request.add_words()->Swap(&word);
    WriteNext();
  }

  bool AwaitEnd(absl::Duration timeout) {
    flowspec::MutexLock lock(&mu_);
    return mu_.AwaitFor([this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return over_; }, timeout);
  }

  absl::Status status() {
    flowspec::MutexLock lock(&mu_);
    return status_;
  }

 private:
  struct Batch {
    v1::AttachRequest request;
    size_t bytes = 0;
  };

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || hearing_ || ending_ || batches_.empty()) return;
    writing_ = true;
    request_.Swap(&batches_.front().request);
    batches_.pop_front();
    StartWrite(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      {
        flowspec::MutexLock lock(&mu_);
        ending_ = true;
      }
      return RemoveHold();
    }
    {
      flowspec::MutexLock lock(&mu_);
      hearing_ = true;
    }
    for (v1::DaemonWord& word : *response_.mutable_words()) on_word_(word);
    {
      flowspec::MutexLock lock(&mu_);
      hearing_ = false;
      WriteNext();
    }
    StartRead(&response_);
  }

  void OnWriteDone(bool ok) override {
    flowspec::MutexLock lock(&mu_);
    writing_ = false;
    if (ok) WriteNext();
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<Impl> keep = std::move(keep_);  // until the mutex is let go of
    flowspec::MutexLock lock(&mu_);
    if (!status.ok()) {
      status_ =
          absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
      if (!status.error_details().empty()) AttachDetails(status.error_details(), &status_);
    }
    over_ = true;
  }

  v1::Hello hello_;
  const std::function<void(v1::DaemonWord&)> on_word_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  v1::AttachRequest request_;
  v1::AttachResponse response_;

  std::shared_ptr<Impl> keep_;  // of the call that goes on

  flowspec::Mutex mu_;
  std::deque<Batch> batches_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool hearing_ ABSL_GUARDED_BY(mu_) = false;  // a batch is being worked off
  bool ending_ ABSL_GUARDED_BY(mu_) = false;   // nothing more may be started
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

WorkerStream::WorkerStream(const std::string& socket, v1::Hello hello,
                           std::function<void(v1::DaemonWord&)> on_word)
    : impl_(std::make_shared<Impl>(socket, std::move(hello), std::move(on_word))) {}
WorkerStream::~WorkerStream() { impl_->Close(); }
void WorkerStream::Say(v1::WorkerWord word) { impl_->Say(std::move(word)); }
void WorkerStream::SayGoodbye() {
  v1::WorkerWord word;
  word.mutable_goodbye();
  impl_->Say(std::move(word));
}
bool WorkerStream::AwaitEnd(absl::Duration timeout) { return impl_->AwaitEnd(timeout); }
absl::Status WorkerStream::status() const { return impl_->status(); }
void WorkerStream::Start() { impl_->Start(); }

}  // namespace beamline::cli
