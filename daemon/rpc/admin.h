// The daemon about itself.
#pragma once

#include <functional>
#include <string>

#include "beamline/v1/admin.pb.h"
#include "daemon/rpc/backend.h"

namespace beamline::rpc {

// What the daemon knows and the rooms below do not.
struct About {
  std::string data_dir, socket, durability;
  absl::Time started_at;
  // Ends the daemon; `grace` zero: its own setting. Called on any thread; returns at once.
  std::function<void(absl::Duration grace)> shut_down;
};

void GetDaemonStatus(const Backend& backend, const About& about,
                     v1::GetDaemonStatusResponse* response);
absl::Status Shutdown(const About& about, const v1::ShutdownRequest& request);

// Of this process; 0 if it cannot be told.
uint64_t ResidentBytes();

}  // namespace beamline::rpc
