// `beamline approve`, `reject`, `request-changes` and `respond`.
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/api_error.h"
#include "cli/inbox.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "flowspec/flow.h"

namespace beamline::cli {
namespace {

using Json = nlohmann::ordered_json;

flowspec::InputType TypeOf(const Json& schema) {
  using flowspec::InputType;
  const std::string type =
      schema.is_object()
          ? schema.value("type", Json()).is_string() ? schema["type"].get<std::string>() : ""
          : "";
  if (type == "string") return InputType::kString;
  if (type == "number") return InputType::kNumber;
  if (type == "integer") return InputType::kInteger;
  if (type == "boolean") return InputType::kBoolean;
  if (type == "array") return InputType::kArray;
  return type == "object" ? InputType::kObject : InputType::kAny;
}

// The fields of the form as inputs, so that `amount=3` is a number where the form wants one.
flowspec::Flow FieldsOf(const std::string& form) {
  flowspec::Flow fields;
  const Json schema = Json::parse(form, nullptr, /*allow_exceptions=*/false);
  if (!schema.is_object() || !schema.contains("properties")) return fields;
  const Json& properties = schema["properties"];
  if (!properties.is_object()) return fields;
  for (const auto& [name, property] : properties.items()) {
    flowspec::Input& field = fields.inputs.emplace_back();
    field.name = name;
    field.type = TypeOf(property);
  }
  return fields;
}

// What --set says on top of what is filled in already, or --payload. False after telling what is
// wrong.
bool ReadPayload(const Arguments& arguments, const Context& context, const v1::Task& task,
                 std::string* payload, int* code) {
  if (arguments.Has("set") && arguments.Has("payload")) {
    *code = Fail(context, kExitUsage, "--set and --payload exclude each other");
    return false;
  }
  *payload = arguments.Get("payload");
  if (!arguments.Has("set")) return true;
  absl::StatusOr<std::string> fields =
      ReadInputs(FieldsOf(task.form()), {.pairs = arguments.All("set")});
  if (!fields.ok()) {
    *code = Fail(context, kExitUsage, std::string(fields.status().message()));
    return false;
  }
  Json all = Json::parse(task.payload().json(), nullptr, /*allow_exceptions=*/false);
  if (!all.is_object()) all = Json::object();
  all.update(Json::parse(*fields, nullptr, /*allow_exceptions=*/false));
  *payload = all.dump();
  return true;
}

// Fills in what was said about what is decided; false after telling what is wrong.
bool ReadPins(const Arguments& arguments, const Context& context, const v1::TaskSummary& task,
              v1::DecideTaskRequest* request, int* code) {
  request->set_digest(task.digest());
  if (const std::string& round = arguments.Get("round"); !round.empty()) {
    int32_t number = 0;
    if (!absl::SimpleAtoi(round, &number) || number < 1) {
      *code = Fail(context, kExitUsage, "--round is a number, as in --round 2");
      return false;
    }
    request->set_round(number);
  }
  const std::string& digest = arguments.Get("digest");
  if (digest.empty() || absl::StartsWith(task.digest(), digest)) return true;
  *code = Fail(context, kExitConflict,
               absl::StrCat(NameOf(task.task()), " does not show ", Printable(digest), " but ",
                            task.digest().substr(0, 12)),
               absl::StrCat("nothing was decided: look at it again with `beamline review ",
                            NameOf(task.task()), "`"));
  return false;
}

int Decide(const Arguments& arguments, const Context& context, v1::Verdict verdict) {
  int code = kExitOk;
  std::optional<NamedTask> named = NameTask(arguments, context, &code);
  if (!named) return code;
  const v1::TaskSummary& task = named->task.summary();
  v1::DecideTaskRequest request;
  const std::string& key = arguments.Get("idempotency-key");
  request.set_request_id(key.empty() ? NewRequestId() : key);
  request.set_task(task.task());
  request.set_verdict(verdict);
  request.set_comment(arguments.Get("comment"));
  request.set_allow_self(arguments.On("allow-self"));
  if (!ReadPins(arguments, context, task, &request, &code)) return code;
  std::string payload;
  if (!ReadPayload(arguments, context, named->task, &payload, &code)) return code;
  request.set_payload(payload);
  return SendDecision(context, *named->client, task, request);
}

std::string OutcomeText(const v1::TaskSummary& task, const v1::DecideTaskResponse& response) {
  const std::string name = NameOf(task.task());
  const std::string run = ShortId(response.run_id());
  switch (response.state()) {
    case v1::TASK_STATE_OPEN:
      return absl::StrCat(name, ": ", response.approvals(), " of ", response.quorum(),
                          " have approved; it waits for more\n→ beamline review ", name);
    case v1::TASK_STATE_REVISING:
      return absl::StrCat(name, ": the changes are made, then it asks again, as round ",
                          task.round() + 1, "\n→ beamline tail ", run, " · beamline inbox");
    case v1::TASK_STATE_APPROVED:
      return absl::StrCat(name, " is approved; ", Printable(task.flow()),
                          " goes on\n→ beamline wait ", run, " · beamline tail ", run);
    default:
      return absl::StrCat(name, " is ", StateWord(response.state()), "\n→ beamline why ", run);
  }
}

}  // namespace

int SendDecision(const Context& context, Client& client, const v1::TaskSummary& task,
                 const v1::DecideTaskRequest& request) {
  auto response = client.DecideTask(request);
  if (!response.ok()) return FailWith(context, response.status());
  if (context.wants_data()) {
    return PrintData(context, absl::StrCat("{\"task\":", QuoteJson(NameOf(task.task())),
                                           ",\"state\":", QuoteJson(StateWord(response->state())),
                                           ",\"approvals\":", response->approvals(),
                                           ",\"quorum\":", response->quorum(),
                                           ",\"run\":", QuoteJson(response->run_id()), "}"));
  }
  Hint(context, OutcomeText(task, *response));
  return kExitOk;
}

int Approve(const Arguments& arguments, Context& context) {
  return Decide(arguments, context, v1::VERDICT_APPROVE);
}

int Reject(const Arguments& arguments, Context& context) {
  return Decide(arguments, context, v1::VERDICT_REJECT);
}

int RequestChanges(const Arguments& arguments, Context& context) {
  return Decide(arguments, context, v1::VERDICT_REQUEST_CHANGES);
}

int Respond(const Arguments& arguments, Context& context) {
  return Decide(arguments, context, v1::VERDICT_RESPOND);
}

}  // namespace beamline::cli
