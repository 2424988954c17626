// JSON of runs and events; see run_json.h. Values are copied as the text they are, so that numbers
// keep their digits.
#include "cli/run_json.h"

#include <google/protobuf/descriptor.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "flowspec/json_array.h"
#include "proto/run_view.h"

namespace beamline::cli {
namespace {

using proto::StatusWord;

// Puts an object or array together, with commas where they belong.
class Json {
 public:
  Json(std::string* out, char open, char close) : out_(out), close_(close) { *out_ += open; }
  ~Json() { *out_ += close_; }
  Json(const Json&) = delete;
  Json& operator=(const Json&) = delete;

  std::string* Key(std::string_view key) {
    *Next() += QuoteJson(key);
    *out_ += ':';
    return out_;
  }
  std::string* Next() {
    if (!first_) *out_ += ',';
    first_ = false;
    return out_;
  }
  void Text(std::string_view key, std::string_view value) { *Key(key) += QuoteJson(value); }
  // Left out if empty.
  void Optional(std::string_view key, std::string_view value) {
    if (!value.empty()) Text(key, value);
  }
  void Number(std::string_view key, int64_t value) { absl::StrAppend(Key(key), value); }

 private:
  std::string* out_;
  char close_;
  bool first_ = true;
};

void AppendValue(const v1::Value& value, const BlobReader& read_blob, std::string* out) {
  if (value.has_json() && !value.json().empty()) {
    *out += value.json();
  } else if (value.has_blob()) {
    std::string text = read_blob ? read_blob(value.blob()) : "";
    if (!text.empty()) {
      *out += text;
      return;
    }
    Json blob(out, '{', '}');
    blob.Text("blob_uri", value.blob().blob_uri());
    blob.Text("sha256", value.blob().sha256());
    blob.Number("bytes", static_cast<int64_t>(value.blob().bytes()));
  } else {
    *out += "null";
  }
}

void AppendFailure(const v1::Failure& failure, bool with_exit_code, std::string* out) {
  Json error(out, '{', '}');
  error.Text("kind", failure.kind());
  error.Text("message", failure.message());
  if (with_exit_code && failure.has_exit_code()) error.Number("exit_code", failure.exit_code());
}

void AppendLabels(const google::protobuf::RepeatedPtrField<v1::Label>& labels, Json* object) {
  if (labels.empty()) return;
  Json map(object->Key("labels"), '{', '}');
  for (const v1::Label& label : labels) map.Text(label.key(), label.value());
}

void AppendCases(const v1::ReportSummary& summary, Json* object) {
  if (summary.cases().empty()) return;
  Json list(object->Key("cases"), '[', ']');
  for (const v1::ReportCase& c : summary.cases()) {
    Json entry(list.Next(), '{', '}');
    entry.Text("name", c.name());
    entry.Text("message", c.message());
    entry.Optional("file", c.file());
    if (c.line() > 0) entry.Number("line", c.line());
  }
}

void AppendSummary(const v1::ReportSummary& summary, std::string* out) {
  Json object(out, '{', '}');
  if (!summary.problem().empty()) return object.Text("problem", summary.problem());
  object.Number("tests", summary.tests());
  object.Number("failures", summary.failures());
  object.Number("errors", summary.errors());
  object.Number("skipped", summary.skipped());
  object.Number("warnings", summary.warnings());
  object.Number("notes", summary.notes());
  object.Number("time_ms", summary.time_ms());
  AppendCases(summary, &object);
}

void AppendArtifacts(const google::protobuf::RepeatedPtrField<v1::Artifact>& artifacts,
                     Json* object) {
  if (artifacts.empty()) return;
  Json list(object->Key("artifacts"), '[', ']');
  for (const v1::Artifact& artifact : artifacts) {
    Json entry(list.Next(), '{', '}');
    entry.Text("name", artifact.name());
    entry.Text("path", artifact.path());
    entry.Text("blob_uri", artifact.blob_uri());
    entry.Text("sha256", artifact.sha256());
    entry.Number("bytes", static_cast<int64_t>(artifact.bytes()));
    entry.Optional("report", artifact.report());
    if (artifact.has_summary()) AppendSummary(artifact.summary(), entry.Key("summary"));
  }
}

const char* OutcomeWord(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_SUCCEEDED:
      return "succeeded";
    case v1::OUTCOME_FAILED:
      return "failed";
    case v1::OUTCOME_STOPPED:
      return "stopped";
    case v1::OUTCOME_UNKNOWN:
      return "unknown";
    default:
      return "";
  }
}

const char* SectionWord(v1::Section section) {
  switch (section) {
    case v1::SECTION_ON_FAILURE:
      return "on_failure";
    case v1::SECTION_FINALLY:
      return "finally";
    default:
      return "main";
  }
}

// started_at and finished_at of a run, summary, step, item or attempt.
template <typename T>
void AppendTimes(const T& node, Json* object) {
  if (node.has_started_at()) object->Text("started_at", TimeText(node.started_at()));
  if (node.has_finished_at()) object->Text("finished_at", TimeText(node.finished_at()));
}

void AppendUsage(const v1::Usage& usage, std::string* out) {
  Json object(out, '{', '}');
  object.Optional("provider", usage.provider());
  object.Optional("model", usage.model());
  object.Optional("request_id", usage.request_id());
  object.Number("requests", usage.requests());
  object.Number("input_tokens", usage.input_tokens());
  object.Number("cache_read_tokens", usage.cache_read_tokens());
  object.Number("cache_write_tokens", usage.cache_write_tokens());
  object.Number("output_tokens", usage.output_tokens());
  object.Number("reasoning_tokens", usage.reasoning_tokens());
  if (usage.has_nano_usd()) {
    *object.Key("cost_usd") += absl::StrFormat("%.9g", static_cast<double>(usage.nano_usd()) / 1e9);
  }
}

void AppendAttempt(const v1::Attempt& attempt, std::string* out) {
  Json object(out, '{', '}');
  object.Number("n", attempt.n());
  object.Text("status", StatusWord(attempt.status()));
  object.Optional("outcome", OutcomeWord(attempt.outcome()));
  AppendTimes(attempt, &object);
  if (attempt.has_failure()) {
    AppendFailure(attempt.failure(), false, object.Key("error"));
    if (attempt.failure().has_exit_code()) {
      object.Number("exit_code", attempt.failure().exit_code());
    }
  }
  object.Optional("idempotency_key", attempt.idempotency_key());
  if (attempt.has_usage()) AppendUsage(attempt.usage(), object.Key("usage"));
}

void AppendSteps(const google::protobuf::RepeatedPtrField<v1::Step>& steps,
                 const BlobReader& read_blob, std::string* out);

// The fields that steps and items share, from `status` on.
template <typename T>
void AppendProgress(const T& node, const BlobReader& read_blob, Json* object) {
  object->Text("status", StatusWord(node.status()));
  object->Optional("reason", node.reason());
  if (node.has_output()) AppendValue(node.output(), read_blob, object->Key("output"));
  if (node.has_failure()) AppendFailure(node.failure(), true, object->Key("error"));
  AppendTimes(node, object);
  if (node.has_retry_at()) object->Text("retry_at", TimeText(node.retry_at()));
  if (!node.attempts().empty()) {
    Json list(object->Key("attempts"), '[', ']');
    for (const v1::Attempt& attempt : node.attempts()) AppendAttempt(attempt, list.Next());
  }
  AppendArtifacts(node.artifacts(), object);
  object->Optional("child_run", node.child_run());
  if (node.task() != 0) {
    object->Text("task", absl::StrCat("t", node.task()));
    object->Number("round", node.round());
  }
  if (!node.steps().empty()) AppendSteps(node.steps(), read_blob, object->Key("steps"));
}

// The items of a foreach as a JSON array; "" if they cannot be had.
std::string ItemsText(const v1::Step& step, const BlobReader& read_blob) {
  const v1::Value& items = step.foreach_items();
  if (items.has_json()) return items.json();
  return items.has_blob() && read_blob ? read_blob(items.blob()) : "";
}

void AppendStep(const v1::Step& step, const BlobReader& read_blob, std::string* out) {
  Json object(out, '{', '}');
  object.Text("id", step.id());
  if (step.name() != step.id()) object.Optional("name", step.name());
  object.Text("kind", step.kind());
  if (step.section() > v1::SECTION_MAIN) object.Text("section", SectionWord(step.section()));
  if (!step.needs().empty()) {
    Json list(object.Key("needs"), '[', ']');
    for (const std::string& need : step.needs()) *list.Next() += QuoteJson(need);
  }
  AppendProgress(step, read_blob, &object);
  if (step.items().empty() && step.item_count() == 0) return;
  object.Number("count", step.item_count());
  const std::string values = ItemsText(step, read_blob);
  const std::vector<std::string_view> elements = flowspec::ArrayElements(values);
  Json list(object.Key("items"), '[', ']');
  for (const v1::Item& item : step.items()) {
    Json entry(list.Next(), '{', '}');
    entry.Text("key", item.key());
    entry.Number("index", item.index());
    if (const auto index = static_cast<size_t>(item.index()); index < elements.size()) {
      entry.Key("item")->append(elements[index]);
    }
    AppendProgress(item, read_blob, &entry);
  }
}

void AppendSteps(const google::protobuf::RepeatedPtrField<v1::Step>& steps,
                 const BlobReader& read_blob, std::string* out) {
  Json list(out, '[', ']');
  for (const v1::Step& step : steps) AppendStep(step, read_blob, list.Next());
}

std::string EnumWord(const google::protobuf::EnumValueDescriptor& value) {
  if (value.type() == v1::Status_descriptor()) {
    return StatusWord(static_cast<v1::Status>(value.number()));
  }
  if (value.type() == v1::Outcome_descriptor()) {
    return OutcomeWord(static_cast<v1::Outcome>(value.number()));
  }
  if (value.type() == v1::Section_descriptor()) {
    return SectionWord(static_cast<v1::Section>(value.number()));
  }
  std::string word = absl::AsciiStrToLower(value.name());  // "stop_reason_cancel"
  return word.substr(word.rfind('_') + 1);
}

void AppendFact(const google::protobuf::Message& message, Json* object);

void AppendFactField(const google::protobuf::Message& message,
                     const google::protobuf::FieldDescriptor& field, int index, std::string* out) {
  using Field = google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& r = *message.GetReflection();
  const bool many = field.is_repeated();
  switch (field.cpp_type()) {
    case Field::CPPTYPE_MESSAGE: {
      const auto& child =
          many ? r.GetRepeatedMessage(message, &field, index) : r.GetMessage(message, &field);
      if (const auto* value = dynamic_cast<const v1::Value*>(&child)) {
        return AppendValue(*value, nullptr, out);
      }
      if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&child)) {
        *out += QuoteJson(TimeText(*time));
        return;
      }
      Json object(out, '{', '}');
      return AppendFact(child, &object);
    }
    case Field::CPPTYPE_ENUM:
      *out += QuoteJson(EnumWord(*r.GetEnum(message, &field)));
      return;
    case Field::CPPTYPE_BOOL:
      *out += r.GetBool(message, &field) ? "true" : "false";
      return;
    case Field::CPPTYPE_INT32:
      absl::StrAppend(out, r.GetInt32(message, &field));
      return;
    case Field::CPPTYPE_UINT64:
      absl::StrAppend(out, r.GetUInt64(message, &field));
      return;
    default:
      *out += QuoteJson(many ? r.GetRepeatedString(message, &field, index)
                             : r.GetString(message, &field));
  }
}

// The fields of a fact that are set, under their names in the wire contract. By reflection, so that
// a fact that is added later needs nothing here.
void AppendFact(const google::protobuf::Message& message, Json* object) {
  const google::protobuf::Reflection& r = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  r.ListFields(message, &fields);
  for (const auto* field : fields) {
    // The event itself carries these.
    if (field->name() == "run_ulid" || field->name() == "trace_id") continue;
    if (!field->is_repeated()) {
      AppendFactField(message, *field, 0, object->Key(field->name()));
      continue;
    }
    Json list(object->Key(field->name()), '[', ']');
    for (int i = 0; i < r.FieldSize(message, field); ++i) {
      AppendFactField(message, *field, i, list.Next());
    }
  }
}

// The field that holds the event's fact; null if this release does not know it.
const google::protobuf::FieldDescriptor* FactOf(const v1::ExecutionEvent& event) {
  return event.GetReflection()->GetOneofFieldDescriptor(
      event, v1::ExecutionEvent::descriptor()->FindOneofByName("fact"));
}

// The length of the UTF-8 sequence at the start of `text`, 0 if it is none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t length = byte(0) < 0x80   ? 1
                  : byte(0) < 0xC2 ? 0
                  : byte(0) < 0xE0 ? 2
                  : byte(0) < 0xF0 ? 3
                  : byte(0) < 0xF5 ? 4
                                   : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  if (byte(0) == 0xE0 && byte(1) < 0xA0) return 0;
  if (byte(0) == 0xED && byte(1) > 0x9F) return 0;
  if (byte(0) == 0xF0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

}  // namespace

std::string QuoteJson(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text[0]);
    const size_t length = SequenceLength(text);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[0];
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + "\"";
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", ToTime(time), absl::UTCTimeZone());
}

std::string ValueJson(const v1::Value& value, const BlobReader& read_blob) {
  std::string out;
  AppendValue(value, read_blob, &out);
  return out;
}

std::string UsageJson(const v1::Usage& usage) {
  std::string out;
  AppendUsage(usage, &out);
  return out;
}

std::string RunJson(const v1::Run& run, const BlobReader& read_blob) {
  std::string out;
  {
    Json object(&out, '{', '}');
    object.Text("id", run.id());
    object.Text("flow", run.flow());
    object.Text("digest", run.digest());
    object.Text("status", StatusWord(run.status()));
    if (run.has_inputs()) AppendValue(run.inputs(), read_blob, object.Key("inputs"));
    if (run.has_outputs()) AppendValue(run.outputs(), read_blob, object.Key("outputs"));
    if (run.has_failure()) AppendFailure(run.failure(), true, object.Key("error"));
    AppendTimes(run, &object);
    AppendLabels(run.labels(), &object);
    object.Optional("actor", run.actor());
    object.Optional("trace_id", run.trace_id());
    object.Optional("workspace", run.workspace());
    object.Optional("replay_of", run.replay_of().run_id());
    if (run.has_usage()) AppendUsage(run.usage(), object.Key("usage"));
    AppendSteps(run.steps(), read_blob, object.Key("steps"));
  }
  return out;
}

std::string RunSummaryJson(const v1::RunSummary& summary) {
  std::string out;
  {
    Json object(&out, '{', '}');
    object.Text("id", summary.id());
    object.Text("flow", summary.flow());
    object.Text("digest", summary.digest());
    object.Text("status", StatusWord(summary.status()));
    object.Optional("error", summary.error());
    AppendTimes(summary, &object);
    AppendLabels(summary.labels(), &object);
    object.Optional("actor", summary.actor());
  }
  return out;
}

std::string EventType(const v1::ExecutionEvent& event) {
  const auto* fact = FactOf(event);
  return fact == nullptr ? "" : fact->message_type()->name();
}

std::string EventJson(const v1::ExecutionEvent& event) {
  std::string out;
  {
    Json object(&out, '{', '}');
    object.Number("seq", static_cast<int64_t>(event.seq()));
    object.Text("time", TimeText(event.time()));
    const auto* fact = FactOf(event);
    object.Text("type", EventType(event));
    object.Optional("run_id", event.run_id());
    object.Optional("flow_id", event.flow_id());
    object.Optional("step_id", event.step_id());
    object.Optional("actor", event.actor());
    object.Optional("trace_id", event.trace_id());
    object.Optional("span_id", event.span_id());
    if (fact != nullptr) {
      AppendFact(event.GetReflection()->GetMessage(event, fact), &object);
    }
  }
  return out;
}

}  // namespace beamline::cli
