// Read off the bodies of the steps, before anything runs.
#include "cli/permissions.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

using Json = nlohmann::ordered_json;
using flowspec::Step;
using flowspec::StepKind;

template <typename T>
void AddOnce(T value, std::vector<T>* list) {
  if (std::find(list->begin(), list->end(), value) == list->end()) {
    list->push_back(std::move(value));
  }
}

void AddText(std::string text, std::vector<std::string>* list) {
  if (!text.empty()) AddOnce(std::move(text), list);
}

// The host (and port) of `url`; of a URL that is computed as a whole, `…`.
std::string HostOf(const std::string& url) {
  std::string shown = url;
  const size_t scheme = shown.find("://");
  if (scheme != shown.npos) shown = shown.substr(scheme + 3);
  shown = shown.substr(0, shown.find_first_of("/?#"));
  const size_t user = shown.rfind('@');
  return user == shown.npos ? shown : shown.substr(user + 1);
}

// The body of a step, in which `…` stands for what is computed.
class StepBody {
 public:
  explicit StepBody(const Step& step) {
    static const std::string* const kComputed = new std::string("\"…\"");
    const absl::StatusOr<std::string> body = flowspec::Render(
        step.input, [](flowspec::ExprIndex) -> const std::string& { return *kComputed; });
    if (body.ok()) body_ = Json::parse(*body, nullptr, /*allow_exceptions=*/false);
  }
  // The text at `key`; "" if there is none.
  std::string Text(const char* key) const {
    const Json* value = At(key);
    return value != nullptr && value->is_string() ? value->get<std::string>() : "";
  }
  const Json* At(const char* key) const {
    if (!body_.is_object()) return nullptr;
    const auto found = body_.find(key);
    return found == body_.end() ? nullptr : &*found;
  }

 private:
  Json body_;
};

void AddCommand(const StepBody& body, Permissions* permissions) {
  const Json* run = body.At("run");
  if (run != nullptr && run->is_array() && !run->empty()) {
    const Json& program = run->front();
    AddText(program.is_string() ? program.get<std::string>() : program.dump(),
            &permissions->commands);
  } else {
    const std::string shell = body.Text("shell");
    AddText(shell.empty() ? "bash -euo pipefail" : shell, &permissions->commands);
  }
}

void AddFlow(const std::string& uses, const flowspec::ChildFlows& children,
             Permissions* permissions) {
  const size_t digest = uses.find("@sha256:");
  if (digest != uses.npos)
    return AddOnce({uses.substr(0, digest), uses.substr(digest + 8)}, &permissions->flows);
  const auto child = children ? children(uses).flow : nullptr;
  AddOnce({uses, child == nullptr ? "" : child->digest}, &permissions->flows);
}

std::string Joined(const std::vector<std::string>& words, int width) {
  std::string text;
  size_t line = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word = Printable(words[i]) + (i + 1 < words.size() ? "," : "");
    const auto columns = static_cast<size_t>(DisplayWidth(word));
    if (line > 0 && line + 1 + columns > static_cast<size_t>(std::max(width, 20))) {
      text += "\n            ";
      line = 0;
    } else if (line > 0) {
      text += " ";
      ++line;
    }
    text += word;
    line += columns;
  }
  return text;
}

}  // namespace

bool Permissions::empty() const {
  return commands.empty() && hosts.empty() && secrets.empty() && models.empty() && queues.empty() &&
         flows.empty() && signals.empty();
}

void AddPermissions(const Step& step, const flowspec::ChildFlows& children,
                    Permissions* permissions) {
  const StepBody body(step);
  switch (step.kind) {
    case StepKind::kRun:
      return AddCommand(body, permissions);
    case StepKind::kHttp:
      return AddText(HostOf(body.Text("url")), &permissions->hosts);
    case StepKind::kLlm:
    case StepKind::kAgent:
      if (const std::string route = body.Text("route"); !route.empty()) {
        AddText(absl::StrCat("route ", route), &permissions->models);
      }
      return AddText(body.Text("model"), &permissions->models);
    case StepKind::kWorker:
      return AddText(absl::StrCat(body.Text("queue"), " ", body.Text("task")),
                     &permissions->queues);
    case StepKind::kFlow:
      return AddFlow(body.Text("uses"), children, permissions);
    case StepKind::kSignal:
      return AddOnce({"sends", body.Text("name")}, &permissions->signals);
    case StepKind::kWait: {
      const Json* signal = body.At("signal");
      if (signal == nullptr || !signal->is_object() || !signal->contains("name")) return;
      const Json& name = (*signal)["name"];
      if (!name.is_string()) return;
      return AddOnce({"awaits", name.get<std::string>()}, &permissions->signals);
    }
    default:
      return;
  }
}

void AddAll(const Permissions& more, Permissions* permissions) {
  const auto add = [](const auto& from, auto* to) {
    for (const auto& value : from) AddOnce(value, to);
  };
  add(more.commands, &permissions->commands);
  add(more.hosts, &permissions->hosts);
  add(more.models, &permissions->models);
  add(more.queues, &permissions->queues);
  add(more.flows, &permissions->flows);
  add(more.signals, &permissions->signals);
  for (const flowspec::Secret& secret : more.secrets) {
    const bool known = std::any_of(permissions->secrets.begin(), permissions->secrets.end(),
                                   [&](const flowspec::Secret& s) {
                                     return s.source == secret.source && s.value == secret.value;
                                   });
    if (!known) permissions->secrets.push_back(secret);
  }
}

std::string PermissionsText(const Permissions& permissions, int width) {
  std::vector<std::string> secrets, flows, signals;
  for (const flowspec::Secret& secret : permissions.secrets) {
    secrets.push_back(absl::StrCat(secret.name, " (", secret.source, " ", secret.value, ")"));
  }
  for (const auto& [uses, digest] : permissions.flows) {
    flows.push_back(digest.empty() ? uses : absl::StrCat(uses, " sha256:", digest.substr(0, 12)));
  }
  for (const auto& [what, name] : permissions.signals) {
    signals.push_back(absl::StrCat(what, " ", name));
  }
  const std::pair<const char*, const std::vector<std::string>*> rows[] = {
      {"commands", &permissions.commands},
      {"hosts", &permissions.hosts},
      {"secrets", &secrets},
      {"models", &permissions.models},
      {"queues", &permissions.queues},
      {"flows", &flows},
      {"signals", &signals}};
  std::string text;
  for (const auto& [title, words] : rows) {
    if (words->empty()) continue;
    const std::string name = absl::StrCat("  ", title, std::string(10 - strlen(title), ' '));
    absl::StrAppend(&text, name, Joined(*words, width - 12), "\n");
  }
  return text;
}

std::string PermissionsJson(const Permissions& permissions) {
  Json json = {{"commands", permissions.commands}, {"hosts", permissions.hosts}};
  json["secrets"] = Json::array();
  for (const flowspec::Secret& secret : permissions.secrets) {
    json["secrets"].push_back(
        {{"name", secret.name}, {"source", secret.source}, {"value", secret.value}});
  }
  json["models"] = permissions.models;
  json["queues"] = permissions.queues;
  json["flows"] = Json::array();
  for (const auto& [uses, digest] : permissions.flows) {
    Json flow = {{"uses", uses}};
    if (!digest.empty()) flow["digest"] = digest;
    json["flows"].push_back(std::move(flow));
  }
  json["signals"] = Json::array();
  for (const auto& [what, name] : permissions.signals) {
    json["signals"].push_back({{"does", what}, {"name", name}});
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace beamline::cli
