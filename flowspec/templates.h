// `defaults`, `templates` and `extends`: pure rewriting of step maps before they are read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "flowspec/reader.h"

namespace beamline::flowspec {

// What all expansions of a file may add, to be walked again for every step that takes it over.
inline constexpr size_t kExpandedNodesMax = 100'000;
inline constexpr size_t kExpandedBytesMax = size_t{4} << 20;

// The kind whose key stands in `step`, if exactly one does (BL0106 and BL0107 are not reported
// here); StepKind's number, or -1.
int FindKind(const Node& step);

class StepTemplates {
 public:
  // Either may be null. Checks both maps.
  StepTemplates(Reader& reader, const Node* defaults, const Node* templates);

  // `step` with what it extends and then the defaults filled in beneath: keys of the step win;
  // maps are merged key by key, one level deep. The result lives as long as the reader.
  const Node& Expand(const Node& step);
  // True once the limit was passed (BL0012): what follows would only be noise.
  bool exhausted() const { return exhausted_; }

 private:
  void ReadDefaults(const Node& defaults);
  NodePtr DefaultsOfKind(int kind, const Node& written);
  const Node& ExtendChain(const Node& step);
  // `over` on top of `base`, kept by the reader; null once the limit is passed.
  const Node* Merge(const Node& over, const Node& base);

  Reader& reader_;
  const Node* templates_ = nullptr;
  std::vector<std::string> names_;
  const Node* step_defaults_ = nullptr;
  absl::flat_hash_map<int, NodePtr> kind_defaults_;
  size_t nodes_ = 0;
  size_t bytes_ = 0;
  bool exhausted_ = false;
};

}  // namespace beamline::flowspec
