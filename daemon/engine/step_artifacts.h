// Which artifacts of earlier steps a step can read, and under which names.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/engine/scope.h"
#include "daemon/ports/executor.h"
#include "daemon/run/event.h"
#include "daemon/run/state.h"

namespace beamline::engine {

// An earlier step with more files than this is left out (ArtifactTree::left_out).
inline constexpr size_t kTreeFilesMax = 20'000;

// `key` as one file name, unlike that of every other key: "/", "%", control characters and a dot at
// the beginning become %XX, an empty key "%"; of more than 180 bytes the first 180 are kept, with
// "%" and 16 digits of the SHA-256 of the key behind them.
std::string FileNameOf(std::string_view key);

// Of one run, in memory. What a step made is put together once, however many attempts read it.
class StepArtifacts {
 public:
  using Trees = std::vector<std::shared_ptr<const ports::ArtifactTree>>;

  // What `node` can read: the steps it needs, needs of needs included, among its siblings and those
  // of the containers above it; a handler also all main steps, a compensation what it undoes. Where
  // two have one id, the nearer one. All of them are over, so the answer is the same for every
  // attempt, after a restart, too.
  Trees VisibleTo(const run::RunState& state, run::NodeIndex node, const ItemsOf& items_of);

  // A step that begins (again) makes something new.
  void Forget(const std::vector<run::Event>& events);

 private:
  void AddNeeds(const run::RunState& state, run::NodeIndex node, const ItemsOf& items_of,
                Trees* trees);
  void Add(const run::RunState& state, run::NodeIndex step, const ItemsOf& items_of, Trees* trees);

  absl::flat_hash_map<std::string, std::shared_ptr<const ports::ArtifactTree>> by_path_;
};

}  // namespace beamline::engine
