// Tasks as people name them, and what the commands about them share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "beamline/v1/approval.pb.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/context.h"

namespace beamline::cli {

// A daemon, and the task of it that a command is about.
struct NamedTask {
  std::unique_ptr<Client> client;
  v1::Task task;
  std::string flow_source;
};

// The task that the positional TASK names ("t31", "31"). Nothing after telling what is wrong, with
// the exit code in `*code`.
std::optional<NamedTask> NameTask(const Arguments& arguments, const Context& context, int* code);

// "t31"
std::string NameOf(uint64_t task);
// "open", "approved", …
const char* StateWord(v1::TaskState state);
// "2/3"; "1" where there are no rounds.
std::string RoundText(const v1::TaskSummary& task);
std::string TaskSummaryJson(const v1::TaskSummary& task);

// Sends a decision and tells what came of it. REQUIRES: task, verdict and digest are set.
int SendDecision(const Context& context, Client& client, const v1::TaskSummary& task,
                 const v1::DecideTaskRequest& request);

}  // namespace beamline::cli
