// Only what is referred to is copied: an item of 100,000 does not carry the others along.
#include "daemon/engine/scope.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace beamline::engine {
namespace {

using run::kRunNode;
using run::NodeIndex;
using run::RunState;

constexpr const char* kFields[] = {"output", "status", "error", "items"};

LazyText Literal(std::string_view json) {
  LazyText text;
  text.Add(json);
  return text;
}

std::string ErrorJson(const run::Error& error) {
  if (error.ok()) return "null";
  std::string json = absl::StrCat("{\"kind\":", flowspec::QuoteJson(error.kind),
                                  ",\"message\":", flowspec::QuoteJson(error.message));
  if (error.exit_code >= 0) absl::StrAppend(&json, ",\"exit_code\":", error.exit_code);
  return absl::StrCat(json, "}");
}

std::string RunJson(const RunState& state) {
  std::string labels = "{";
  for (const auto& [key, value] : state.start.labels) {
    absl::StrAppend(&labels, labels.size() > 1 ? "," : "", flowspec::QuoteJson(key), ":",
                    flowspec::QuoteJson(value));
  }
  return absl::StrCat(
      "{\"id\":\"", state.start.run.ToString(),
      "\",\"flow\":", flowspec::QuoteJson(state.start.flow_name), ",\"digest\":\"",
      state.start.flow_digest, "\",\"submitter\":", flowspec::QuoteJson(state.actor),
      ",\"trace_id\":\"", state.start.trace_id, "\",\"started_at\":\"",
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", state.started_at, absl::UTCTimeZone()),
      "\",\"labels\":", labels, "}}");
}

// What was said when the step, or one around it, was started over; null if it was not.
std::string FeedbackJson(const RunState& state, NodeIndex node) {
  for (NodeIndex at = node; at != kRunNode; at = state.node(at).parent) {
    const auto found = state.feedback.find(at);
    if (found == state.feedback.end()) continue;
    const run::Feedback& said = found->second;
    return absl::StrCat("{\"comment\":", flowspec::QuoteJson(said.comment),
                        ",\"by\":", flowspec::QuoteJson(said.by), ",\"round\":", said.round, "}");
  }
  return "null";
}

// `items` of a foreach: [{key, item, status, output, error}, …] in item order.
LazyText ItemsText(const run::Fan& fan, const Items& items) {
  LazyText text;
  text.Add("[");
  for (int32_t i = 0; i < fan.count; ++i) {
    const auto at = static_cast<size_t>(i);
    const run::Item& item = fan.done[at];
    const std::string key = at < items.keys.size() ? items.keys[at] : absl::StrCat(i);
    text.Add(absl::StrCat(i > 0 ? "," : "", "{\"key\":", flowspec::QuoteJson(key),
                          ",\"item\":", at < items.items.size() ? items.items[at] : "null",
                          ",\"status\":\"", run::StatusName(item.status),
                          "\",\"error\":", ErrorJson(item.error), ",\"output\":"));
    text.Add(item.output);
    text.Add("}");
  }
  text.Add("]");
  return text;
}

LazyText FieldText(const RunState& state, NodeIndex index, std::string_view field,
                   const ItemsOf& items_of) {
  const run::Node& node = state.node(index);
  LazyText text;
  if (field == "output") {
    text.Add(node.output);
  } else if (field == "status") {
    text.Add(absl::StrCat("\"", run::StatusName(node.status), "\""));
  } else if (field == "error") {
    text.Add(ErrorJson(node.error));
  } else if (auto fan = state.fans.find(index); fan != state.fans.end()) {
    return ItemsText(fan->second, *items_of(index));
  } else {
    text.Add("null");
  }
  return text;
}

}  // namespace

Scope::Scope(const RunState& state, NodeIndex node,
             const std::vector<const flowspec::Expression*>& expressions, const ItemsOf& items_of,
             absl::Time now) {
  bool items_wanted = false;
  for (const flowspec::Expression* expression : expressions) {
    for (const flowspec::Reference& reference : expression->references) {
      if (reference.root == "steps") {
        AddStep(state, node, reference, items_of);
      } else {
        AddRoot(state, node, reference, now);
        items_wanted = true;
      }
    }
  }
  if (items_wanted) AddItems(state, node, items_of);
}

void Scope::AddRoot(const RunState& state, NodeIndex node, const flowspec::Reference& reference,
                    absl::Time now) {
  if (Has(reference.root)) return;
  LazyText text;
  if (reference.root == "inputs") {
    text.Add(state.start.inputs);
  } else if (reference.root == "trigger") {
    text.Add(state.start.trigger);
  } else if (reference.root == "run") {
    text.Add(RunJson(state));
  } else if (reference.root == "now") {
    text.Add(absl::StrCat(absl::ToUnixMillis(now) / 1000, ".",
                          absl::Dec(absl::ToUnixMillis(now) % 1000, absl::kZeroPad3)));
  } else if (reference.root == "error") {
    text.Add(ErrorJson(state.error));
  } else if (reference.root == "feedback") {
    text.Add(FeedbackJson(state, node));
  } else {
    return;  // vars, env, output are set by whoever evaluates them; items are added apart
  }
  Count(text);
  roots_.emplace_back(reference.root, std::move(text));
}

// The items of every foreach around the node: the innermost as `item` and `index`, each under the
// name of its `as`.
void Scope::AddItems(const RunState& state, NodeIndex node, const ItemsOf& items_of) {
  bool innermost = true;
  for (NodeIndex at = node; at != kRunNode; at = state.node(at).parent) {
    const int32_t index = state.node(at).item;
    if (index < 0) continue;
    const NodeIndex fan = state.node(at).parent;
    const flowspec::Step& step = state.step_of(fan);
    if (step.loop) {
      if (!Has("loop")) AddLoop(state, fan, at);
      continue;
    }
    const std::shared_ptr<const Items> items = items_of(fan);
    const auto i = static_cast<size_t>(index);
    const std::string item = i < items->items.size() ? items->items[i] : "null";
    if (step.matrix) {
      if (!Has("matrix")) Set("matrix", item);
      continue;
    }
    if (innermost) {
      Set("item", item);
      Set("index", absl::StrCat(index));
    }
    innermost = false;
    if (!Has(step.foreach->as)) Set(step.foreach->as, item);
  }
}

// {"index": …, "prev": …}: `prev` is what the round before came to, of a container a map of its
// children by id; null in the first round.
void Scope::AddLoop(const RunState& state, NodeIndex loop, NodeIndex round) {
  const run::Fan& fan = state.fans.at(loop);
  const NodeIndex before = fan.last == round ? fan.before : fan.last;
  LazyText text;
  text.Add(absl::StrCat("{\"index\":", state.node(round).item, ",\"prev\":"));
  const flowspec::Step& step = state.step_of(loop);
  if (before < 0) {
    text.Add("null");
  } else if (step.children.empty()) {
    text.Add(fan.done[static_cast<size_t>(state.node(before).item)].output);
  } else {
    const NodeIndex first = state.node(before).first_child;
    for (size_t i = 0; i < step.children.size(); ++i) {
      const NodeIndex child = first + static_cast<NodeIndex>(i);
      text.Add(absl::StrCat(i > 0 ? "," : "{", flowspec::QuoteJson(state.step_of(child).id), ":"));
      text.Add(state.node(child).output);
    }
    text.Add("}");
  }
  text.Add("}");
  Count(text);
  roots_.emplace_back("loop", std::move(text));
}

bool Scope::Has(std::string_view root) const {
  return std::any_of(roots_.begin(), roots_.end(),
                     [&](const auto& known) { return known.first == root; });
}

void Scope::AddStep(const RunState& state, NodeIndex from, const flowspec::Reference& reference,
                    const ItemsOf& items_of) {
  const NodeIndex index = run::FindVisible(state, from, reference.name);
  if (index < 0) return;  // of a section that has not begun: reads as null
  auto step = std::find_if(steps_.begin(), steps_.end(),
                           [&](const StepFields& s) { return s.id == reference.name; });
  if (step == steps_.end()) step = steps_.insert(steps_.end(), {reference.name, {}});
  const bool is_field =
      std::find(std::begin(kFields), std::end(kFields), reference.field) != std::end(kFields);
  for (const char* field : kFields) {
    if (is_field && reference.field != field) continue;
    AddField(*step, field, FieldText(state, index, field, items_of));
  }
}

void Scope::AddField(StepFields& step, const std::string& name, LazyText text) {
  const bool known = std::any_of(step.fields.begin(), step.fields.end(),
                                 [&](const Field& field) { return field.name == name; });
  if (known) return;
  Count(text);
  step.fields.push_back({name, std::move(text)});
}

void Scope::Count(const LazyText& text) {
  here_ = here_ && text.here();
  bytes_ += text.bytes();
}

void Scope::Set(const std::string& root, std::string json) {
  bytes_ += json.size();
  for (auto& [name, text] : roots_) {
    if (name == root) {
      text = Literal(json);
      return;
    }
  }
  roots_.emplace_back(root, Literal(json));
}

absl::StatusOr<std::string> Scope::Read(const flowspec::PlainPath& path,
                                        const ports::BlobStore& blobs) const {
  if (path.root != "steps") {
    for (const auto& [name, text] : roots_) {
      if (name != path.root) continue;
      absl::StatusOr<std::string> json = text.Join(blobs);
      return json.ok() ? flowspec::ReadPath(*json, path.keys) : json;
    }
    return absl::NotFoundError(absl::StrCat("`", path.root, "` is not known here"));
  }
  if (path.keys.size() >= 2) {
    for (const StepFields& step : steps_) {
      if (step.id != path.keys[0].key) continue;
      for (const Field& field : step.fields) {
        if (field.name != path.keys[1].key) continue;
        absl::StatusOr<std::string> json = field.text.Join(blobs);
        if (!json.ok()) return json;
        return flowspec::ReadPath(*json, {path.keys.begin() + 2, path.keys.end()});
      }
    }
    return "null";
  }
  absl::StatusOr<std::string> roots = Roots(blobs);
  if (!roots.ok()) return roots;
  std::vector<flowspec::PathKey> keys{{"steps", -1}};
  keys.insert(keys.end(), path.keys.begin(), path.keys.end());
  return flowspec::ReadPath(*roots, keys);
}

absl::StatusOr<std::string> Scope::Roots(const ports::BlobStore& blobs) const {
  std::string json = "{";
  for (const auto& [name, text] : roots_) {
    absl::StatusOr<std::string> value = text.Join(blobs);
    if (!value.ok()) return value;
    absl::StrAppend(&json, flowspec::QuoteJson(name), ":", *value, ",");
  }
  json += "\"steps\":{";
  for (size_t i = 0; i < steps_.size(); ++i) {
    absl::StrAppend(&json, i > 0 ? "," : "", flowspec::QuoteJson(steps_[i].id), ":{");
    for (size_t k = 0; k < steps_[i].fields.size(); ++k) {
      absl::StatusOr<std::string> value = steps_[i].fields[k].text.Join(blobs);
      if (!value.ok()) return value;
      absl::StrAppend(&json, k > 0 ? "," : "", "\"", steps_[i].fields[k].name, "\":", *value);
    }
    json += "}";
  }
  return absl::StrCat(json, "}}");
}

}  // namespace beamline::engine
