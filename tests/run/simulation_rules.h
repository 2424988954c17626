// What the simulation holds against signals, questions to people and compensations.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/run/event.h"
#include "daemon/run/plan.h"
#include "tests/run/simulation.h"

namespace beamline::run {

// Counts what it sees in `result`, and puts the first violation there. All of these outlive it;
// `ended` has the paths of the steps that are over.
class SimulationRules {
 public:
  SimulationRules(const Plan& plan, const std::set<std::string>& ended, SimulationResult& result)
      : plan_(plan), ended_(ended), result_(result) {}

  // Each fact, as it reaches the disk.
  void Check(const Event& event);
  // The step at `path` has succeeded.
  void Succeeded(const std::string& path);
  // The run is over.
  void CheckEnd();

  // Whoever makes this request has seen what has this digest.
  void Shown(const std::string& request, const std::string& digest) { shown_[request] = digest; }
  // The decision of this request is on disk.
  bool WasGiven(const std::string& request) const { return given_decisions_.contains(request); }

 private:
  struct Question {
    bool open = false, closed = false;
    std::string digest;
    int32_t quorum = 1;
    std::set<std::string> voters;
  };

  void CheckTasks(const Event& event);
  void CheckWaits(const Event& event);
  void CheckUndone(const Event& event);
  void Violation(std::string what);

  const Plan& plan_;
  const std::set<std::string>& ended_;
  SimulationResult& result_;
  std::map<uint64_t, Question> questions_;
  std::map<std::string, std::string> shown_;  // by request: the digest of what was seen
  std::set<std::string> given_decisions_;     // on disk
  std::set<uint64_t> untaken_;                // signals
  std::vector<std::string> done_;             // what can be undone, in the order it succeeded
  std::set<std::string> undone_;
  bool undoing_ = false, forced_ = false, compensated_ = false;
};

}  // namespace beamline::run
