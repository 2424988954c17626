// What the expressions of one step can read, copied out of a run's state.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/engine/values.h"
#include "daemon/run/state.h"
#include "flowspec/expr.h"

namespace beamline::engine {

// The items of the foreach at this node; never null for one that has begun.
using ItemsOf = std::function<std::shared_ptr<const Items>(run::NodeIndex)>;

// Self-contained: what it holds stays true when the state moves on.
class Scope {
 public:
  // Gathers what `expressions` refer to, as seen from `node` (kRunNode: the run's outputs). `now`
  // is the value of the root of that name.
  Scope(const run::RunState& state, run::NodeIndex node,
        const std::vector<const flowspec::Expression*>& expressions, const ItemsOf& items_of,
        absl::Time now);

  // True if everything is here, without a blob to load.
  bool here() const { return here_; }
  size_t bytes() const { return bytes_; }

  // Sets or replaces a root, such as `vars`, `env` or `output`.
  void Set(const std::string& root, std::string json);

  // The value at a plain path. InvalidArgument as flowspec::ReadPath; NotFound: no such root.
  absl::StatusOr<std::string> Read(const flowspec::PlainPath& path,
                                   const ports::BlobStore& blobs) const;

  // All of it as the `roots` object of flowspec::AssembleProgram.
  absl::StatusOr<std::string> Roots(const ports::BlobStore& blobs) const;

 private:
  struct Field {
    std::string name;  // output, status, error, items
    LazyText text;
  };
  struct StepFields {
    std::string id;
    std::vector<Field> fields;
  };

  void AddRoot(const run::RunState& state, run::NodeIndex node,
               const flowspec::Reference& reference, absl::Time now);
  void AddItems(const run::RunState& state, run::NodeIndex node, const ItemsOf& items_of);
  void AddLoop(const run::RunState& state, run::NodeIndex loop, run::NodeIndex round);
  bool Has(std::string_view root) const;
  void AddStep(const run::RunState& state, run::NodeIndex from,
               const flowspec::Reference& reference, const ItemsOf& items_of);
  void AddField(StepFields& step, const std::string& name, LazyText text);
  void Count(const LazyText& text);

  std::vector<std::pair<std::string, LazyText>> roots_;  // all but `steps`
  std::vector<StepFields> steps_;
  bool here_ = true;
  size_t bytes_ = 0;
};

}  // namespace beamline::engine
