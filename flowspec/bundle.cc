// Paths as text only: nothing here looks at a file system, so that both ends find the same names.
#include "flowspec/bundle.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "flowspec/json_text.h"

namespace beamline::flowspec {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// `uses` of a `flow` step; "" if it is none.
std::string UsesOf(const Step& step) {
  static const std::string* const kAny = new std::string("\"\"");
  const absl::StatusOr<std::string> body =
      Render(step.input, [](ExprIndex) -> const std::string& { return *kAny; });
  if (step.kind != StepKind::kFlow || !body.ok()) return "";
  const absl::StatusOr<std::string> uses = ReadPath(*body, {{"uses"}});
  return uses.ok() && absl::StartsWith(*uses, "\"") ? UnquoteJson(*uses) : "";
}

}  // namespace

std::vector<FileUse> FileUses(const Flow& flow) {
  std::vector<FileUse> uses;
  for (const Step& step : flow.steps) {
    std::string path = UsesOf(step);
    if (!absl::StartsWith(path, "./") && !absl::StartsWith(path, "../")) continue;
    const bool known =
        std::any_of(uses.begin(), uses.end(), [&](const FileUse& use) { return use.path == path; });
    if (!known) uses.push_back({std::move(path), step.span});
  }
  return uses;
}

bool IsBundlePath(std::string_view path) {
  if (path.empty() || path.size() > kBundlePathBytesMax) return false;
  const bool printable =
      std::all_of(path.begin(), path.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  if (!printable) return false;
  for (const absl::string_view part : absl::StrSplit(View(path), '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

absl::StatusOr<std::string> ResolveUse(std::string_view including, std::string_view uses) {
  if (!absl::StartsWith(View(uses), "./") && !absl::StartsWith(View(uses), "../")) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", View(uses), "` is no relative path; it begins with ./ or ../"));
  }
  std::vector<absl::string_view> parts = absl::StrSplit(View(including), '/');
  parts.pop_back();  // the file itself
  for (const absl::string_view part : absl::StrSplit(View(uses), '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("`", View(uses),
                       "` leads out of the directory of the flow that is started; "
                       "only files in it and below it travel with the flow"));
    }
  }
  std::string path = absl::StrJoin(parts, "/");
  if (IsBundlePath(path)) return path;
  return absl::InvalidArgumentError(absl::StrCat("`", View(uses), "` names no file of a flow"));
}

}  // namespace beamline::flowspec
