// A request per attempt; the client's callback makes the report.
#include "daemon/exec/http_executor.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/exec/http_request.h"
#include "daemon/exec/http_result.h"
#include "daemon/exec/redactor.h"
#include "daemon/exec/step_command.h"

namespace beamline::exec {

HttpExecutor::HttpExecutor(HttpClient& client, std::string user_agent)
    : client_(client), user_agent_(std::move(user_agent)) {}

void HttpExecutor::Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) {
  EndedRequest ended{.path = attempt.path, .attempt = attempt.attempt, .effect = attempt.effect};
  if (const std::vector<std::string> texts = SecretTexts(attempt); !texts.empty()) {
    ended.redactor = std::make_shared<const Redactor>(texts);
  }
  absl::StatusOr<HttpStep> step = ReadHttpStep(attempt, user_agent_);
  if (!step.ok()) {
    return done(NoRequest(ended, "input", std::string(step.status().message())));
  }
  ended.method = step->request.method;
  ended.shown_url = std::move(step->shown_url);
  ended.expect = std::move(step->expect);
  const std::string name = AttemptName(attempt);
  ports::MutexLock lock(&mu_);
  running_[name].request = client_.Start(
      std::move(step->request), [this, name, ended = std::move(ended),
                                 done = std::move(done)](HttpResponse response) mutable {
        {
          ports::MutexLock lock(&mu_);
          ended.stopped = running_.extract(name).mapped().stopped;
        }
        done(ConcludeRequest(ended, response));
      });
}

void HttpExecutor::Stop(const run::RunId& run, const std::string& path, int32_t attempt,
                        run::StopReason reason, bool) {
  ports::MutexLock lock(&mu_);
  const auto found = running_.find(absl::StrCat(run.ToString(), "/", path, "/", attempt));
  if (found == running_.end()) return;
  found->second.stopped = reason;
  client_.Cancel(found->second.request);
}

}  // namespace beamline::exec
