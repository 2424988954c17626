// `beamline explain` and `beamline schema`: what the catalogue and the published schema say.
#include "absl/strings/str_cat.h"
#include "cli/output.h"
#include "cli/schemas.h"
#include "cli/verbs.h"
#include "flowspec/catalogue.h"
#include "flowspec/finding.h"
#include "flowspec/yaml.h"

namespace beamline::cli {
namespace {

std::string FirstSentence(const std::string& text) {
  const size_t end = text.find_first_of(".\n");
  return end == std::string::npos ? text : text.substr(0, end);
}

// {"topic": …, "text": …}
std::string TopicJson(const std::string& topic) {
  std::string json = "{\"topic\":";
  flowspec::AppendJsonString(topic, &json);
  json += ",\"text\":";
  flowspec::AppendJsonString(flowspec::Explain(topic), &json);
  return json + "}";
}

std::string TopicsJson() {
  std::string json;
  for (const std::string& topic : flowspec::ExplainTopics()) {
    absl::StrAppend(&json, json.empty() ? "[" : ",", TopicJson(topic));
  }
  return json + "]";
}

int ListTopics(const Context& context) {
  Table codes({{"CODE"}, {"FINDING", false, true}});
  for (const flowspec::CodeEntry& entry : flowspec::Codes()) {
    codes.Add({{entry.code, Ink::kBold}, {entry.title}});
  }
  Table keys({{"KEY"}, {"TYPE", false, true}, {"WHAT IT IS", false, true}});
  for (const flowspec::KeyEntry& entry : flowspec::Keys()) {
    const std::string map = entry.map;
    const bool whole = map == "flow" || map == "step" || map.find(' ') != std::string::npos;
    keys.Add({{whole ? entry.key : absl::StrCat(map, ".", entry.key), Ink::kBold},
              {entry.type},
              {FirstSentence(entry.text)}});
  }
  codes.Print(context);
  context.out.Write("\n");
  keys.Print(context);
  Hint(context, "→ beamline explain CODE|KEY says more about one of them");
  return kExitOk;
}

}  // namespace

int Explain(const Arguments& arguments, Context& context) {
  const std::string& topic = arguments.Get("TOPIC");
  if (topic.empty()) {
    return context.wants_data() ? PrintData(context, TopicsJson()) : ListTopics(context);
  }
  const std::string text = flowspec::Explain(topic);
  if (!text.empty()) {
    if (context.wants_data()) return PrintData(context, TopicJson(topic));
    context.out.Write(text.back() == '\n' ? text : text + "\n");
    return kExitOk;
  }
  const std::string near = flowspec::DidYouMean(topic, flowspec::ExplainTopics());
  return Fail(context, kExitNotFound, absl::StrCat("no topic `", topic, "`"),
              near.empty() ? "`beamline explain` lists all topics"
                           : absl::StrCat("did you mean `", near, "`?"));
}

int Schema(const Arguments& arguments, Context& context) {
  const char* schema = arguments.Get("KIND") == "policy" ? kPolicySchema : kFlowSchema;
  if (context.wants_data()) return PrintData(context, schema);
  context.out.Write(schema);
  return kExitOk;
}

}  // namespace beamline::cli
