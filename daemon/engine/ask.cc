// The parser has looked at what was written; here is what expressions may have made of it.
#include "daemon/engine/ask.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/engine/values.h"
#include "flowspec/digest.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/reader.h"
#include "flowspec/value_schema.h"

namespace beamline::engine {
namespace {

constexpr size_t kTitleBytesMax = 1024;
constexpr size_t kApproversMax = 100;
constexpr size_t kApproverBytesMax = 256;
constexpr size_t kFormBytesMax = 64 * 1024;
constexpr int32_t kRoundsDefault = 3;

using flowspec::JsonKind;

run::Error Wrong(std::string message) { return {"input", std::move(message)}; }

std::string TextOf(std::string_view json) {
  return JsonKind(json) == '"' ? flowspec::UnquoteJson(json) : std::string(json);
}

bool ReadCount(std::string_view json, int32_t max, int32_t* count) {
  return absl::SimpleAtoi(absl::string_view(json.data(), json.size()), count) && *count >= 1 &&
         *count <= max;
}

run::Error ReadPeople(const char* key, std::string_view json, std::vector<std::string>* people) {
  if (JsonKind(json) != '[') return Wrong(absl::StrCat("`", key, "` must come to a list"));
  for (const std::string_view element : flowspec::ArrayElements(json)) {
    std::string one = TextOf(element);
    const bool fits = (absl::StartsWith(one, "user:") && one.size() > 5) ||
                      (absl::StartsWith(one, "group:") && one.size() > 6);
    if (JsonKind(element) != '"' || !fits || one.size() > kApproverBytesMax) {
      return Wrong(absl::StrCat("`", key, "` holds user:NAME and group:NAME; it came to ",
                                one.substr(0, 60)));
    }
    people->push_back(std::move(one));
  }
  // A list that was meant to name somebody must not let everybody in.
  if (people->empty()) return Wrong(absl::StrCat("`", key, "` came to an empty list"));
  if (people->size() <= kApproversMax) return {};
  return Wrong(absl::StrCat("`", key, "` names ", people->size(), "; at most ", kApproversMax));
}

run::Error ReadRounds(std::string_view json, run::TaskOpened* asked) {
  asked->max_rounds = kRoundsDefault;
  for (const auto& [key, value] : flowspec::ObjectMembers(json)) {
    if (key == "\"rerun\"") asked->rerun = TextOf(value);
    if (key == "\"max_rounds\"" && !ReadCount(value, 100, &asked->max_rounds)) {
      return Wrong("`max_rounds` must come to a number from 1 to 100");
    }
  }
  return {};
}

run::Error ReadTimeout(std::string_view json, absl::Duration* timeout) {
  const std::string text = TextOf(json);
  const auto duration = flowspec::ParseDuration(text);
  if (!duration) {
    return Wrong(absl::StrCat("`timeout` must come to a duration such as 48h; it came to ",
                              text.substr(0, 60)));
  }
  *timeout = *duration;
  return {};
}

run::Error ReadForm(std::string_view json, run::TaskOpened* asked) {
  asked->form = json;
  if (asked->form.size() > kFormBytesMax) {
    return {"limit", absl::StrCat("a form of ", json.size(), " bytes; at most ", kFormBytesMax)};
  }
  const absl::Status status = flowspec::CheckSchema(asked->form);
  if (status.ok()) return {};
  return Wrong(absl::StrCat("`form` is no schema: ", std::string(status.message())));
}

run::Error ReadMember(std::string_view key, std::string_view value, std::string* show,
                      run::Ask* ask) {
  run::TaskOpened& asked = ask->asked;
  if (key == "\"title\"") {
    asked.title = TextOf(value);
    if (asked.title.empty()) return Wrong("the title came to nothing");
    if (asked.title.size() > kTitleBytesMax) {
      return {"limit", absl::StrCat("a title of ", asked.title.size(), " bytes; at most ",
                                    kTitleBytesMax, " (longer texts belong in `show`)")};
    }
  } else if (key == "\"show\"") {
    *show = value;
  } else if (key == "\"form\"") {
    return ReadForm(value, &asked);
  } else if (key == "\"approvers\"") {
    return ReadPeople("approvers", value, &asked.approvers);
  } else if (key == "\"escalate_to\"") {
    return ReadPeople("escalate_to", value, &asked.escalate_to);
  } else if (key == "\"quorum\"") {
    if (!ReadCount(value, 100, &asked.quorum)) {
      return Wrong("`quorum` must come to a number from 1 to 100");
    }
  } else if (key == "\"self_approval\"") {
    asked.self_approval = value == "true";
  } else if (key == "\"timeout\"") {
    return ReadTimeout(value, &ask->timeout);
  } else if (key == "\"on_timeout\"") {
    asked.escalates = TextOf(value) == "escalate";
  } else if (key == "\"on_changes\"") {
    return ReadRounds(value, &asked);
  }
  return {};
}

// The name in {"artifact": "build/report"}; "" if that is not what is shown.
std::string ArtifactName(const run::Value& show) {
  if (show.absent() || show.is_blob()) return "";
  const auto members = flowspec::ObjectMembers(show.json());
  const bool one = members.size() == 1 && members[0].first == "\"artifact\"" &&
                   JsonKind(members[0].second) == '"';
  return one ? flowspec::UnquoteJson(members[0].second) : "";
}

}  // namespace

bool ShowsArtifact(const run::Ask& ask) { return !ArtifactName(ask.asked.show).empty(); }

run::Error ShowArtifact(const StepArtifacts::Trees& visible, run::Ask* ask) {
  const std::string name = ArtifactName(ask->asked.show);
  if (name.empty()) return {};
  const size_t slash = name.find('/');
  for (const auto& tree : visible) {
    if (slash == name.npos || tree->step != name.substr(0, slash)) continue;
    for (const auto& file : tree->files) {
      if (file.place != name.substr(slash + 1)) continue;
      ask->asked.show = run::Value::Json(absl::StrCat("{\"artifact\":", flowspec::QuoteJson(name),
                                                      ",\"sha256\":\"", file.sha256,
                                                      "\",\"bytes\":", file.bytes, "}"));
      ask->asked.digest = flowspec::Sha256Hex(absl::StrCat(ask->asked.digest, "\n", file.sha256));
      return {};
    }
  }
  return Wrong(absl::StrCat("`show` names the artifact `", name.substr(0, 100),
                            "`, which no step that this one needs has made"));
}

run::Error ReadAsk(const std::string& body, ports::BlobStore& blobs, run::Ask* ask) {
  std::string show;
  for (const auto& [key, value] : flowspec::ObjectMembers(body)) {
    if (run::Error error = ReadMember(key, value, &show, ask); !error.ok()) return error;
  }
  run::TaskOpened& asked = ask->asked;
  asked.digest = flowspec::Sha256Hex(absl::StrCat(flowspec::QuoteJson(asked.title), "\n",
                                                  show.empty() ? "null" : show, "\n", asked.form));
  if (show.empty()) return {};
  absl::StatusOr<run::Value> value = Spill(std::move(show), blobs);
  if (!value.ok()) return {"limit", std::string(value.status().message())};
  asked.show = *std::move(value);
  return {};
}

}  // namespace beamline::engine
