// Status and shutdown.
#include "daemon/rpc/admin.h"

#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "daemon/rpc/refusal.h"

namespace beamline::rpc {

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total_pages = 0, resident_pages = 0;
  if (!(statm >> total_pages >> resident_pages)) return 0;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void GetDaemonStatus(const Backend& backend, const About& about,
                     v1::GetDaemonStatusResponse* response) {
  const engine::Engine::Activity activity = backend.engine.activity();
  response->set_version(BEAMLINE_VERSION);
  response->set_pid(getpid());
  response->mutable_started_at()->set_seconds(absl::ToUnixSeconds(about.started_at));
  response->set_data_dir(about.data_dir);
  response->set_socket(about.socket);
  response->set_listen(about.listen);
  response->set_runs_unfinished(activity.runs);
  response->set_attempts_running(activity.attempts);
  response->set_resident_bytes(ResidentBytes());
  response->set_durability(about.durability);
  response->set_draining(activity.draining);
  for (std::string& problem : backend.engine.problems()) {
    response->add_problems(std::move(problem));
  }
  for (std::string& problem : about.notify_problems()) {
    response->add_problems(std::move(problem));
  }
  if (std::string tls = about.tls_problem(); !tls.empty()) {
    response->add_problems(std::move(tls));
  }
  if (absl::Status output = backend.outputs.health(); !output.ok()) {
    response->add_problems(absl::StrCat("output of steps is being dropped: ", output.message()));
  }
}

absl::Status Shutdown(const About& about, const Caller& caller,
                      const v1::ShutdownRequest& request) {
  if (caller.remote) {
    return Refusal(Reason::kLocalOnly, "the daemon can only be stopped on its own machine");
  }
  if (request.grace_ms() < 0) return InvalidField("grace_ms", "must not be negative");
  about.shut_down(absl::Milliseconds(request.grace_ms()));
  return absl::OkStatus();
}

}  // namespace beamline::rpc
