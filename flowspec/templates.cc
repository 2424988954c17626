// Fills steps with what they extend and with defaults.
#include "flowspec/templates.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "flowspec/catalogue.h"

namespace beamline::flowspec {
namespace {

constexpr int kKinds = static_cast<int>(StepKind::kFail) + 1;

int KindOfKey(std::string_view key) {
  for (int kind = 0; kind < kKinds; ++kind) {
    if (key == KindName(static_cast<StepKind>(kind))) return kind;
  }
  return -1;
}

bool Contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The catalogue's map of a kind's body; empty if the body is no map of known keys.
std::string_view BodyMap(int kind) {
  switch (static_cast<StepKind>(kind)) {
    case StepKind::kFlow:
      return "flow step";
    case StepKind::kRun:
    case StepKind::kDo:
    case StepKind::kParallel:
    case StepKind::kSet:
      return "";
    default:
      return KindName(static_cast<StepKind>(kind));
  }
}

bool IsBodyKey(int kind, std::string_view key) {
  if (static_cast<StepKind>(kind) == StepKind::kAgent && Contains(KeysOf("llm"), key)) return true;
  return !BodyMap(kind).empty() && Contains(KeysOf(BodyMap(kind)), key);
}

void AddEntry(Node* map, const NodePtr& key, const NodePtr& value) {
  map->entries.emplace_back(key, value);
  map->nodes += key->nodes + value->nodes;
  map->bytes += key->bytes + value->bytes;
}

// `over` with the entries of `base` that it lacks; maps in both are merged to `depth` levels.
NodePtr MergeMaps(const Node& over, const Node& base, int depth) {
  auto merged = std::make_shared<Node>();
  merged->kind = Node::Kind::kMap;
  merged->offset = over.offset;
  for (const auto& [key, value] : over.entries) {
    const Node* beneath = base.Find(key->text);
    if (depth > 0 && beneath != nullptr && beneath->is_map() && value->is_map()) {
      AddEntry(merged.get(), key, MergeMaps(*value, *beneath, depth - 1));
    } else {
      AddEntry(merged.get(), key, value);
    }
  }
  for (const auto& [key, value] : base.entries) {
    if (over.Find(key->text) == nullptr && key->text != "extends") {
      AddEntry(merged.get(), key, value);
    }
  }
  return merged;
}

}  // namespace

int FindKind(const Node& step) {
  int found = -1;
  for (const auto& [key, value] : step.entries) {
    const int kind = KindOfKey(key->text);
    if (kind < 0) continue;
    if (found >= 0) return -1;
    found = kind;
  }
  return found;
}

StepTemplates::StepTemplates(Reader& reader, const Node* defaults, const Node* templates)
    : reader_(reader) {
  if (templates != nullptr && !templates->is_map()) {
    reader.WrongType(*templates, "`templates`", "a map of partial steps");
  } else if (templates != nullptr) {
    templates_ = templates;
    for (const auto& [name, body] : templates->entries) {
      reader.CheckName(*name, "template name", Reader::NameRule::kId);
      names_.push_back(name->text);
      if (!body->is_map()) reader.WrongType(*body, "a template", "a map of step keys");
      if (const Node* id = body->Find("id")) {
        reader.Error("BL0101", *id, "a template has no `id`").help =
            "each step that extends it has its own";
      }
    }
  }
  if (defaults != nullptr) ReadDefaults(*defaults);
}

void StepTemplates::ReadDefaults(const Node& defaults) {
  std::vector<std::string> kinds{"step"};
  for (int kind = 0; kind < kKinds; ++kind) kinds.push_back(KindName(static_cast<StepKind>(kind)));
  if (!defaults.is_map()) {
    reader_.WrongType(defaults, "`defaults`", "a map by step kind");
    return;
  }
  for (const auto& [name, keys] : defaults.entries) {
    if (name->text.rfind("x-", 0) == 0) continue;
    if (!Contains(kinds, name->text)) {
      reader_.Unknown("BL0101", "step kind", name->text, reader_.SpanOf(*name), kinds);
    } else if (!keys->is_map()) {
      reader_.WrongType(*keys, absl::StrCat("`defaults.", name->text, "`"), "a map of step keys");
    } else if (name->text == "step") {
      for (const auto& [key, value] : keys->entries) {
        if (key->text == "id" || key->text == "extends" || KindOfKey(key->text) >= 0) {
          reader_.Error("BL0101", *key, absl::StrCat("`", key->text, "` cannot be a default"));
          return;
        }
      }
      step_defaults_ = keys.get();
    } else {
      const int kind = KindOfKey(name->text);
      kind_defaults_[kind] = DefaultsOfKind(kind, *keys);
    }
  }
}

// Keys of the kind's body go below the kind's key, common ones beside it.
NodePtr StepTemplates::DefaultsOfKind(int kind, const Node& written) {
  auto step = std::make_shared<Node>();
  auto body = std::make_shared<Node>();
  auto name = std::make_shared<Node>();
  step->kind = body->kind = Node::Kind::kMap;
  name->kind = Node::Kind::kString;
  name->text = KindName(static_cast<StepKind>(kind));
  step->offset = body->offset = name->offset = written.offset;
  for (const auto& [key, value] : written.entries) {
    if (IsBodyKey(kind, key->text)) {
      AddEntry(body.get(), key, value);
    } else if (key->text == "id" || key->text == "extends" || KindOfKey(key->text) >= 0) {
      reader_.Error("BL0101", *key, absl::StrCat("`", key->text, "` cannot be a default"));
    } else {
      AddEntry(step.get(), key, value);
    }
  }
  if (!body->entries.empty()) AddEntry(step.get(), name, body);
  return step;
}

const Node& StepTemplates::Expand(const Node& step) {
  const Node* expanded = &ExtendChain(step);
  const auto found = kind_defaults_.find(FindKind(*expanded));
  if (found != kind_defaults_.end()) {
    if (const Node* merged = Merge(*expanded, *found->second)) expanded = merged;
  }
  if (step_defaults_ != nullptr) {
    if (const Node* merged = Merge(*expanded, *step_defaults_)) expanded = merged;
  }
  return *expanded;
}

const Node& StepTemplates::ExtendChain(const Node& step) {
  const Node* expanded = &step;
  const Node* extends = step.Find("extends");
  std::vector<std::string> chain;
  while (extends != nullptr) {
    if (!extends->is_string()) {
      reader_.WrongType(*extends, "`extends`", "the name of a template");
      break;
    }
    if (Contains(chain, extends->text)) {
      reader_.Error("BL0213", *extends,
                    absl::StrCat("template `", extends->text, "` extends itself"));
      break;
    }
    const Node* base = templates_ != nullptr ? templates_->Find(extends->text) : nullptr;
    if (base == nullptr) {
      reader_.Unknown("BL0213", "template", extends->text, reader_.SpanOf(*extends), names_);
      break;
    }
    chain.push_back(extends->text);
    if (!base->is_map()) break;
    const Node* merged = Merge(*expanded, *base);
    if (merged == nullptr) break;
    expanded = merged;
    extends = base->Find("extends");
  }
  return *expanded;
}

const Node* StepTemplates::Merge(const Node& over, const Node& base) {
  nodes_ += base.nodes;
  bytes_ += base.bytes;
  if (nodes_ > kExpandedNodesMax || bytes_ > kExpandedBytesMax) {
    if (!exhausted_) {
      reader_
          .Error("BL0012", over,
                 "`defaults` and `extends` expand to more than 100,000 nodes or 4 MiB of text")
          .help = "make the templates smaller, or use a `foreach`";
    }
    exhausted_ = true;
    return nullptr;
  }
  reader_.rewritten.push_back(MergeMaps(over, base, 1));
  return reader_.rewritten.back().get();
}

}  // namespace beamline::flowspec
