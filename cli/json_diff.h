// What two JSON values differ in, by their structure.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace beamline::cli {

struct ValueChange {
  std::string path;                     // as jq writes it: ".", ".who", ".list[3].id"
  std::optional<std::string> from, to;  // JSON text; absent: nothing is there
};

// Members are compared by name, elements by their place. Of texts that are not JSON the whole is
// one change. At most `changes_max`; `*left_out` gets how many more there are.
std::vector<ValueChange> DiffJson(const std::string& from, const std::string& to,
                                  size_t changes_max, size_t* left_out);

// [{path, from?, to?}]
std::string ValueChangesJson(const std::vector<ValueChange>& changes);

}  // namespace beamline::cli
