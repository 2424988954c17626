// Whose turn it is among runs that may not all go on at once: `concurrency` of flows and of steps.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace beamline::engine {

// `Who` is whatever takes turns: comparable with ==. Everybody who was let in or queued has to
// leave.
template <class Who>
class Turns {
 public:
  // Those that hold a place under `key`, and those that wait for one, oldest first.
  const std::vector<Who>& Holders(const std::string& key) const { return Find(key).holders; }
  const std::deque<Who>& Queue(const std::string& key) const { return Find(key).queue; }

  bool Free(const std::string& key, int32_t limit) const {
    const Line& line = Find(key);
    return line.queue.empty() && line.holders.size() < static_cast<size_t>(limit);
  }
  void Enter(const std::string& key, Who who) { lines_[key].holders.push_back(std::move(who)); }
  void Wait(const std::string& key, Who who) { lines_[key].queue.push_back(std::move(who)); }

  // `who` is gone, from its place or from the queue.
  void Leave(const std::string& key, const Who& who) {
    const auto line = lines_.find(key);
    if (line == lines_.end()) return;
    std::erase(line->second.holders, who);
    std::erase(line->second.queue, who);
    if (line->second.holders.empty() && line->second.queue.empty()) lines_.erase(line);
  }

  // Lets the first in the queue in, if there is a place now.
  std::optional<Who> Next(const std::string& key, int32_t limit) {
    const auto found = lines_.find(key);
    if (found == lines_.end()) return std::nullopt;
    Line& line = found->second;
    if (line.queue.empty() || line.holders.size() >= static_cast<size_t>(limit)) {
      return std::nullopt;
    }
    line.holders.push_back(line.queue.front());
    line.queue.pop_front();
    return line.holders.back();
  }

 private:
  struct Line {
    std::vector<Who> holders;
    std::deque<Who> queue;
  };
  const Line& Find(const std::string& key) const {
    static const Line kEmpty;
    const auto line = lines_.find(key);
    return line == lines_.end() ? kEmpty : line->second;
  }

  absl::flat_hash_map<std::string, Line> lines_;
};

}  // namespace beamline::engine
