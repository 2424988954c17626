// A walk over both values at once; see json_diff.h.
#include "cli/json_diff.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flowspec/json_text.h"

namespace beamline::cli {
namespace {

// Members in order of their names, so that the order of writing makes no difference.
using Json = nlohmann::json;

std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string MemberPath(const std::string& path, const std::string& name) {
  const bool plain = !name.empty() && !absl::ascii_isdigit(name[0]) &&
                     std::all_of(name.begin(), name.end(),
                                 [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
  const std::string parent = path == "." ? "" : path;
  return plain ? absl::StrCat(parent, ".", name) : absl::StrCat(path, "[", Dump(Json(name)), "]");
}

class Differ {
 public:
  explicit Differ(size_t changes_max) : changes_max_(changes_max) {}

  void Walk(const std::string& path, const Json& from, const Json& to) {
    if (from == to) return;
    if (from.is_object() && to.is_object()) return Members(path, from, to);
    if (from.is_array() && to.is_array()) return Elements(path, from, to);
    Add(path, &from, &to);
  }

  std::vector<ValueChange> changes;
  size_t left_out = 0;

 private:
  void Add(const std::string& path, const Json* from, const Json* to) {
    if (changes.size() == changes_max_) {
      ++left_out;
      return;
    }
    ValueChange& change = changes.emplace_back(ValueChange{path});
    if (from != nullptr) change.from = Dump(*from);
    if (to != nullptr) change.to = Dump(*to);
  }

  void Members(const std::string& path, const Json& from, const Json& to) {
    for (const auto& [name, value] : from.items()) {
      const auto other = to.find(name);
      if (other == to.end()) {
        Add(MemberPath(path, name), &value, nullptr);
      } else {
        Walk(MemberPath(path, name), value, *other);
      }
    }
    for (const auto& [name, value] : to.items()) {
      if (!from.contains(name)) Add(MemberPath(path, name), nullptr, &value);
    }
  }

  void Elements(const std::string& path, const Json& from, const Json& to) {
    for (size_t i = 0; i < std::max(from.size(), to.size()); ++i) {
      const std::string at = absl::StrCat(path, "[", i, "]");
      if (i < from.size() && i < to.size()) {
        Walk(at, from[i], to[i]);
      } else {
        Add(at, i < from.size() ? &from[i] : nullptr, i < to.size() ? &to[i] : nullptr);
      }
    }
  }

  const size_t changes_max_;
};

}  // namespace

std::vector<ValueChange> DiffJson(const std::string& from, const std::string& to,
                                  size_t changes_max, size_t* left_out) {
  *left_out = 0;
  if (from == to) return {};
  // Checked first: deeper text must not make a library recurse.
  const bool json = flowspec::CheckJson(from).ok() && flowspec::CheckJson(to).ok();
  const Json a = json ? Json::parse(from, nullptr, /*allow_exceptions=*/false) : Json();
  const Json b = json ? Json::parse(to, nullptr, /*allow_exceptions=*/false) : Json();
  if (!json || a.is_discarded() || b.is_discarded()) return {{".", from, to}};
  Differ differ(changes_max);
  differ.Walk(".", a, b);
  *left_out = differ.left_out;
  return std::move(differ.changes);
}

std::string ValueChangesJson(const std::vector<ValueChange>& changes) {
  return absl::StrCat(
      "[",
      absl::StrJoin(changes, ",",
                    [](std::string* out, const ValueChange& change) {
                      absl::StrAppend(out, "{\"path\":", Dump(Json(change.path)),
                                      change.from ? absl::StrCat(",\"from\":", *change.from) : "",
                                      change.to ? absl::StrCat(",\"to\":", *change.to) : "", "}");
                    }),
      "]");
}

}  // namespace beamline::cli
