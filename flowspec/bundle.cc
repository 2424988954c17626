// Paths as text only: nothing here looks at a file system, so that both ends find the same names.
#include "flowspec/bundle.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "flowspec/digest.h"
#include "flowspec/json_text.h"

namespace beamline::flowspec {
namespace {

constexpr char kManifestHead[] = "beamline: bundle/v1";
constexpr size_t kDigestBytes = 64;
constexpr char kFlowItself[] = ".";  // no path of a bundle

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

std::string Manifest::Text() const {
  std::string text = absl::StrCat(kManifestHead, "\n", flow, " ", kFlowItself, "\n");
  for (const File& file : files) absl::StrAppend(&text, file.digest, " ", file.path, "\n");
  return text;
}

std::string Manifest::Digest() const { return files.empty() ? flow : Sha256Hex(Text()); }

Manifest MakeManifest(std::string flow_digest, std::vector<Manifest::File> files) {
  std::sort(files.begin(), files.end(),
            [](const Manifest::File& a, const Manifest::File& b) { return a.path < b.path; });
  return {std::move(flow_digest), std::move(files)};
}

std::optional<Manifest> ReadManifest(std::string_view text) {
  std::vector<absl::string_view> lines = absl::StrSplit(View(text), '\n');
  if (lines.size() < 4 || lines.front() != kManifestHead || !lines.back().empty()) {
    return std::nullopt;
  }
  Manifest manifest;
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    if (lines[i].size() < kDigestBytes + 2 || lines[i][kDigestBytes] != ' ') return std::nullopt;
    std::string digest(lines[i].substr(0, kDigestBytes));
    std::string path(lines[i].substr(kDigestBytes + 1));
    if (i == 1) {
      if (path != kFlowItself) return std::nullopt;
      manifest.flow = std::move(digest);
    } else {
      if (!IsBundlePath(path)) return std::nullopt;
      manifest.files.push_back({std::move(path), std::move(digest)});
    }
  }
  return manifest;
}

}  // namespace beamline::flowspec
