// A name first, then a digest.
#include "daemon/rpc/named_flow.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "daemon/rpc/refusal.h"
#include "flowspec/finding.h"

namespace beamline::rpc {
namespace {

constexpr size_t kNameBytesMax = 512;
constexpr size_t kDigestPartMin = 4, kDigestBytes = 64;
constexpr int kNamesCompared = 10'000;

bool IsDigestPart(absl::string_view text) {
  return text.size() >= kDigestPartMin && text.size() <= kDigestBytes &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

absl::Status RefuseAmbiguous(const std::string& name,
                             const std::vector<ports::FlowVersion>& versions) {
  const std::string list =
      absl::StrJoin(versions, ", ", [](std::string* out, const ports::FlowVersion& version) {
        absl::StrAppend(out, version.name, "@sha256:", version.digest.substr(0, 12));
      });
  return Refusal(Reason::kFlowAmbiguous, absl::StrCat("`", name, "` fits several flows: ", list))
      .With("flow", name)
      .With("flows", list)
      .Precondition("UNIQUE", name, absl::StrCat("fits ", list));
}

absl::StatusOr<NamedFlow> ByDigest(const Backend& backend, const std::string& shown,
                                   const std::string& name, absl::string_view digest) {
  if (!IsDigestPart(digest)) {
    return InvalidField("flow", absl::StrCat("`", shown, "`: give at least ", kDigestPartMin,
                                             " hexadecimal digits of the digest"));
  }
  const auto found = backend.flows.FindVersions(kTenant, name, absl::AsciiStrToLower(digest));
  if (!found.ok()) return found.status();
  if (found->empty()) return FlowNotFound(backend, shown);
  if (found->size() > 1) return RefuseAmbiguous(shown, *found);
  const ports::FlowVersion& version = found->front();
  const auto current = backend.flows.CurrentFlow(kTenant, version.name);
  if (!current.ok() && !absl::IsNotFound(current.status())) return current.status();
  // A name that was taken away means nothing any more, not even with a digest behind it.
  if (!current.ok() && !name.empty()) return FlowNotFound(backend, name);
  return NamedFlow{version, current.ok() && current->digest == version.digest};
}

}  // namespace

absl::Status FlowNotFound(const Backend& backend, const std::string& name) {
  std::vector<std::string> names;
  const auto flows = backend.flows.ListFlows({.tenant = kTenant, .limit = kNamesCompared});
  if (flows.ok()) {
    for (const ports::FlowVersion& flow : *flows) names.push_back(flow.name);
  }
  const std::string near = flowspec::DidYouMean(name.substr(0, name.find('@')), names);
  Refusal refusal(Reason::kFlowNotFound,
                  absl::StrCat("no flow `", name, "` is registered",
                               near.empty() ? "" : absl::StrCat("; did you mean `", near, "`?")));
  refusal.With("flow", name).Resource("flow", name);
  if (!near.empty()) refusal.With("suggestion", near);
  return refusal;
}

absl::StatusOr<NamedFlow> FindFlow(const Backend& backend, const std::string& name) {
  if (name.empty()) return InvalidField("flow", "name a registered flow");
  if (name.size() > kNameBytesMax) return TooLarge("flow", name.size(), kNameBytesMax);
  absl::string_view digest = name;
  if (absl::ConsumePrefix(&digest, "sha256:")) return ByDigest(backend, name, "", digest);
  const std::vector<std::string> parts = absl::StrSplit(name, absl::MaxSplits('@', 1));
  if (parts.size() == 2) {
    digest = parts[1];
    absl::ConsumePrefix(&digest, "sha256:");
    return ByDigest(backend, name, parts[0], digest);
  }
  auto current = backend.flows.CurrentFlow(kTenant, name);
  if (current.ok()) return NamedFlow{*std::move(current), true};
  if (!absl::IsNotFound(current.status())) return current.status();
  if (!IsDigestPart(name)) return FlowNotFound(backend, name);
  absl::StatusOr<NamedFlow> by_digest = ByDigest(backend, name, "", name);
  return by_digest.ok() || !absl::IsNotFound(by_digest.status()) ? by_digest
                                                                 : FlowNotFound(backend, name);
}

}  // namespace beamline::rpc
