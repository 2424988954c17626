// The daemon about itself.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "beamline/v1/admin.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// What the daemon knows and the rooms below do not.
struct About {
  std::string data_dir, socket, durability;
  std::string listen;  // "ADDRESS:PORT" of the network; empty: not served
  absl::Time started_at;
  // Ends the daemon; `grace` zero: its own setting. Called on any thread; returns at once.
  std::function<void(absl::Duration grace)> shut_down;
  // Whom it could not tell what happened, and why; one line each.
  std::function<std::vector<std::string>()> notify_problems = [] {
    return std::vector<std::string>();
  };
  // What is wrong with the daemon's certificates; "" if nothing is.
  std::function<std::string()> tls_problem = [] { return std::string(); };
};

void GetDaemonStatus(const Backend& backend, const About& about,
                     v1::GetDaemonStatusResponse* response);
absl::Status Shutdown(const About& about, const Caller& caller, const v1::ShutdownRequest& request);

// Of this process; 0 if it cannot be told.
uint64_t ResidentBytes();

}  // namespace beamline::rpc
