// Carries out `http` steps.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "daemon/exec/http_client.h"
#include "daemon/ports/executor.h"
#include "daemon/ports/mutex.h"

namespace beamline::exec {

// Thread-safe. See http_request.h for what is sent and http_result.h for what is made of the
// answer.
class HttpExecutor : public ports::Executor {
 public:
  // `client` must outlive the last Start and Stop, and be destroyed before this: what is under way
  // then is reported.
  HttpExecutor(HttpClient& client, std::string user_agent);

  void Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) override;
  // At once, with and without `force`: a request has nothing to clean up.
  void Stop(const run::RunId& run, const std::string& path, int32_t attempt, run::StopReason reason,
            bool force) override;

 private:
  struct Running {
    uint64_t request = 0;
    std::optional<run::StopReason> stopped;
  };

  HttpClient& client_;
  const std::string user_agent_;
  ports::Mutex mu_;
  absl::flat_hash_map<std::string, Running> running_ ABSL_GUARDED_BY(mu_);  // by AttemptName
};

}  // namespace beamline::exec
