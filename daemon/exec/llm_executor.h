// Carries out `llm` steps.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "daemon/exec/http_client.h"
#include "daemon/exec/llm_provider.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/mutex.h"
#include "daemon/ports/output_store.h"

namespace beamline::exec {

// Thread-safe.
//
// What the model says is the step's standard output while it comes in. The output is the text, or
// with `schema` the JSON value; an answer that does not fit is sent back to be mended, up to
// `repair` times, and fails with kind "schema" then. The usage of all requests of an attempt is
// reported, whether it succeeds or not. Nothing is tried again here: that is for the step's
// `retry`.
class LlmExecutor : public ports::Executor {
 public:
  // `client` must outlive the last Start and Stop, and be destroyed before this. `sink` outlives
  // it.
  LlmExecutor(HttpClient& client, LlmProviders providers, std::string user_agent,
              ports::OutputSink& sink);
  ~LlmExecutor() override;

  void Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) override;
  void Stop(const run::RunId& run, const std::string& path, int32_t attempt, run::StopReason reason,
            bool force) override;

 private:
  struct Talk;

  void Ask(const std::shared_ptr<Talk>& talk);
  void AskRecorded(const std::shared_ptr<Talk>& talk);
  HttpRequest MakeRequest(const std::shared_ptr<Talk>& talk);
  void Print(Talk& talk, bool last);
  void TakeResponse(const std::shared_ptr<Talk>& talk, const HttpResponse& response);
  void TakeAnswer(const std::shared_ptr<Talk>& talk);
  void End(Talk& talk, run::ReportAttempt report);

  HttpClient& client_;
  const LlmProviders providers_;
  const std::string user_agent_;
  ports::OutputSink& sink_;
  ports::Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<Talk>> talks_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::exec
