// Values with expressions: scanned, checked for what they read, and joined into templates.
#include "flowspec/reader.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flowspec/scan.h"

namespace beamline::flowspec {
namespace {

struct RootName {
  Root bit;
  const char* name;
  const char* where;  // where it exists, for BL0209
};

constexpr RootName kRoots[] = {
    {kRootInputs, "inputs", "everywhere but in `triggers`"},
    {kRootVars, "vars", "in `env`, in steps and in `outputs`"},
    {kRootEnv, "env", "in steps and in `outputs`"},
    {kRootRun, "run", "in steps and in `outputs`"},
    {kRootSteps, "steps", "in steps and in `outputs`"},
    {kRootItem, "item", "in a step with `foreach`, behind its `items` and `if`"},
    {kRootIndex, "index", "in a step with `foreach`, behind its `items` and `if`"},
    {kRootMatrix, "matrix", "in a step with `matrix`, but not in its `if`"},
    {kRootLoop, "loop", "in a step with `loop`"},
    {kRootFeedback, "feedback", "in steps"},
    {kRootTrigger, "trigger", "in steps, `triggers`, `outputs` and keys"},
    {kRootError, "error", "in `on_failure`"},
    {kRootNow, "now", "in steps, `triggers`, `outputs` and keys"},
    {kRootOutput, "output", "in a step's `output`, and in the `loop` of a step without children"},
};

const RootName* FindRoot(std::string_view name) {
  for (const RootName& root : kRoots) {
    if (name == root.name) return &root;
  }
  return nullptr;
}

bool MatchesRule(std::string_view name, Reader::NameRule rule) {
  if (name.empty() || name.size() > 128) return false;
  const bool variable = rule == Reader::NameRule::kVariable;
  const char extra = rule == Reader::NameRule::kSlug ? '-' : '_';
  const auto letter = [&](char c) {
    return absl::ascii_islower(c) || (variable && (absl::ascii_isupper(c) || c == '_'));
  };
  return letter(name[0]) && std::all_of(name.begin() + 1, name.end(), [&](char c) {
           return letter(c) || absl::ascii_isdigit(c) || c == extra;
         });
}

const char* RuleText(Reader::NameRule rule) {
  switch (rule) {
    case Reader::NameRule::kId:
      return "lower-case letters, digits and _, a letter first";
    case Reader::NameRule::kSlug:
      return "lower-case letters, digits and -, a letter first";
    case Reader::NameRule::kVariable:
      return "letters, digits and _, no digit first";
  }
  return "";
}

// `name` with everything that `rule` does not allow replaced; empty if nothing is left.
std::string Repaired(std::string_view name, Reader::NameRule rule) {
  std::string out;
  for (const char c : name) {
    const char lower = rule == Reader::NameRule::kVariable ? c : absl::ascii_tolower(c);
    const bool keep = absl::ascii_isalnum(lower) || static_cast<unsigned char>(c) >= 0x80;
    out.push_back(keep ? lower : rule == Reader::NameRule::kSlug ? '-' : '_');
  }
  return MatchesRule(out, rule) ? out : "";
}

}  // namespace

Reader::Reader(std::string_view source, Findings* findings)
    : source(source), lines(source), findings(findings) {}

Finding& Reader::Error(const char* code, const Span& span, std::string message) {
  return findings->emplace_back(Finding{.code = code, .message = std::move(message), .span = span});
}

Finding& Reader::Error(const char* code, const Node& node, std::string message) {
  return Error(code, SpanOf(node), std::move(message));
}

Finding& Reader::Unknown(const char* code, const std::string& what, const std::string& name,
                         const Span& span, const std::vector<std::string>& candidates) {
  Finding& finding = Error(code, span, absl::StrCat("unknown ", what, " `", name, "`"));
  if (name.empty() || name.size() > 256 || comparisons_left_ < candidates.size()) return finding;
  comparisons_left_ -= candidates.size();
  const std::string nearest = DidYouMean(name, candidates);
  if (nearest.empty()) return finding;
  finding.help = absl::StrCat("did you mean `", nearest, "`?");
  const size_t at = lines.Offset(span);
  const std::string_view shown = source.substr(std::min(at, source.size()), span.length);
  if (shown == name) {
    finding.fix = Fix{span, nearest};
  } else if (shown.size() == name.size() + 2 && shown.substr(1, name.size()) == name) {
    finding.fix = Fix{{span.line, span.column + 1, span.length - 2}, nearest};  // inside quotes
  }
  return finding;
}

Span Reader::SpanOf(const Node& node) const { return flowspec::SpanOf(node, source, lines); }

void Reader::WrongType(const Node& node, const std::string& what, const char* wanted) {
  Finding& finding = Error("BL0103", node, absl::StrCat(what, " must be ", wanted));
  finding.label = absl::StrCat("this is ", NodeKindName(node.kind));
}

bool Reader::CheckName(const Node& node, const char* what, NameRule rule) {
  if (!node.is_scalar() || node.kind == Node::Kind::kNull) {
    WrongType(node, what, "a name");
    return false;
  }
  if (MatchesRule(node.text, rule)) return true;
  Finding& finding = Error("BL0104", node, absl::StrCat("`", node.text, "` is not a valid ", what));
  finding.label = RuleText(rule);
  const std::string repaired = Repaired(node.text, rule);
  if (!repaired.empty()) {
    finding.help = absl::StrCat("write `", repaired, "`");
    // Other names have references, which a fix here would leave behind.
    const bool alone = rule == NameRule::kSlug && node.style == Node::Style::kPlain;
    if (alone) finding.fix = Fix{finding.span, repaired};
  }
  return false;
}

Template Reader::Value(const Node& node, const Scope& scope, Allow allow) {
  Template out;
  AppendValue(node, scope, allow, &out);
  return out;
}

ExprIndex Reader::Bare(const Node& node, const Scope& scope) {
  if (!node.is_scalar() || node.kind == Node::Kind::kNull) {
    WrongType(node, "an expression", "text");
    return -1;
  }
  std::optional<ScalarPlaces> places;
  const auto locate = [&](size_t offset, size_t length) {
    if (!places) places.emplace(node, source, lines);
    return places->At(offset, length);
  };
  const size_t first = flow.expressions.size();
  const Scanner scanner{scope.as_names, &flow.expressions, findings};
  const ExprIndex index = scanner.ScanBare(node.text, locate);
  CheckReads(first, scope);
  return index;
}

void Reader::AppendValue(const Node& node, const Scope& scope, Allow allow, Template* out) {
  if (node.is_string()) {
    AppendText(node, scope, allow, out);
    return;
  }
  if (node.is_scalar()) {
    AppendLiteral(JsonOf(node), out);
    return;
  }
  if (AppendSecret(node, allow, out)) return;
  allow.sensitive = false;
  const bool map = node.is_map();
  const char* separator = "";
  AppendLiteral(map ? "{" : "[", out);
  for (const auto& [key, value] : node.entries) {
    std::string head = separator;
    AppendJsonString(key->text, &head);
    AppendLiteral(absl::StrCat(head, ":"), out);
    AppendValue(*value, scope, allow, out);
    separator = ",";
  }
  for (const NodePtr& item : node.items) {
    AppendLiteral(separator, out);
    AppendValue(*item, scope, allow, out);
    separator = ",";
  }
  AppendLiteral(map ? "}" : "]", out);
}

void Reader::AppendText(const Node& node, const Scope& scope, Allow allow, Template* out) {
  if (!absl::StrContains(node.text, "${{")) {
    AppendLiteral(JsonOf(node), out);
    return;
  }
  std::optional<ScalarPlaces> places;
  const auto locate = [&](size_t offset, size_t length) {
    if (!places) places.emplace(node, source, lines);
    return places->At(offset, length);
  };
  const size_t first = flow.expressions.size();
  const Scanner scanner{scope.as_names, &flow.expressions, findings};
  const Template value = scanner.ScanScalar(node.text, locate);
  if (const std::string name = SensitiveName(value); allow.sensitive && !name.empty()) {
    flow.expressions.resize(first);
    std::string json = "{\"sensitive\":";
    AppendJsonString(name, &json);
    AppendLiteral(absl::StrCat(json, "}"), out);
    return;
  }
  CheckReads(first, scope);
  AppendTemplate(value, out);
}

bool Reader::AppendSecret(const Node& node, Allow allow, Template* out) {
  if (node.entries.size() != 1 || node.entries[0].first->text != "secret") return false;
  const Node& name = *node.entries[0].second;
  if (!name.is_string()) return false;
  const bool declared =
      std::find(secret_names.begin(), secret_names.end(), name.text) != secret_names.end();
  if (!allow.secret) {
    if (!declared) return false;  // data that happens to look like one
    Error("BL0212", name, absl::StrCat("secret `", name.text, "` may not stand here")).help =
        "a secret may stand in `env`, `auth` and `headers` only, so that it never enters the log";
    return true;
  }
  if (!declared) {
    Unknown("BL0211", "secret", name.text, SpanOf(name), secret_names).label =
        "not declared under `secrets`";
  }
  AppendLiteral(JsonOf(node), out);
  return true;
}

std::string Reader::SensitiveName(const Template& value) const {
  if (value.pieces.size() != 1 || value.pieces[0].kind != Piece::Kind::kValue) return "";
  const ExprIndex index = value.pieces[0].expr;
  if (index < 0 || static_cast<size_t>(index) >= flow.expressions.size()) return "";
  const std::optional<PlainPath>& path = flow.expressions[index].plain;
  if (!path || path->keys.size() != 1 || path->keys[0].index >= 0) return "";
  const std::string& name = path->keys[0].key;
  const bool sensitive = path->root == "inputs" ? sensitive_inputs.contains(name)
                         : path->root == "env"  ? sensitive_env.contains(name)
                                                : false;
  if (!sensitive) return "";
  if (path->root == "inputs") return name;
  for (const auto& [variable, held] : flow.env) {  // {"sensitive":"NAME"}
    if (variable == name) return held.pieces[0].text.substr(14, held.pieces[0].text.size() - 16);
  }
  return "";
}

void Reader::CheckReads(size_t first, const Scope& scope) {
  for (size_t i = first; i < flow.expressions.size(); ++i) {
    for (const Reference& reference : flow.expressions[i].references) {
      CheckReference(reference, scope);
    }
  }
}

void Reader::CheckReference(const Reference& reference, const Scope& scope) {
  const RootName* root = FindRoot(reference.root);
  if (root == nullptr) return;  // a foreach name, which the scanner knows
  if ((scope.roots & root->bit) == 0) {
    Error("BL0209", reference.span, absl::StrCat("`", root->name, "` does not exist here")).help =
        absl::StrCat("it exists ", root->where);
    return;
  }
  switch (root->bit) {
    case kRootInputs:
      if (reference.name.empty() ? !sensitive_inputs.empty()
                                 : sensitive_inputs.contains(reference.name)) {
        Error("BL0210", reference.span,
              reference.name.empty()
                  ? "`inputs` as a whole holds a sensitive input"
                  : absl::StrCat("sensitive input `", reference.name, "` may not be read here"))
            .help = "hand it over as the whole value of an `env` entry or of `stdin`";
        return;
      }
      CheckKnown("BL0204", "input", reference, input_names);
      return;
    case kRootVars:
      CheckKnown("BL0205", "variable", reference, var_names);
      return;
    case kRootEnv:
      CheckKnown("BL0205", "environment variable", reference, env_names);
      if (reference.name.empty() ? !sensitive_env.empty()
                                 : sensitive_env.contains(reference.name)) {
        Error("BL0210", reference.span, "this variable holds a sensitive input").help =
            "steps have it in their environment; an expression may not read it";
      }
      return;
    case kRootMatrix:
      CheckKnown("BL0206", "matrix axis", reference, scope.axes);
      return;
    case kRootSteps:
      reads.push_back({reference, scope.section, scope.step, scope.inside, scope.undoing});
      return;
    default:
      return;
  }
}

void Reader::CheckKnown(const char* code, const char* what, const Reference& reference,
                        const std::vector<std::string>& names) {
  if (reference.name.empty()) return;
  if (std::find(names.begin(), names.end(), reference.name) != names.end()) return;
  Finding& finding = Unknown(code, what, reference.name, reference.span, names);
  finding.label = "not declared in this flow";
  if (finding.help.empty() && !names.empty() && names.size() <= 8) {
    finding.help = absl::StrCat("there is ", absl::StrJoin(names, ", "));
  }
}

void AppendLiteral(std::string_view json, Template* out) {
  if (json.empty()) return;
  if (!out->pieces.empty() && out->pieces.back().kind == Piece::Kind::kText) {
    out->pieces.back().text.append(json);
  } else {
    out->pieces.push_back({Piece::Kind::kText, std::string(json), -1});
  }
}

void AppendTemplate(const Template& value, Template* out) {
  for (const Piece& piece : value.pieces) {
    if (piece.kind == Piece::Kind::kText) {
      AppendLiteral(piece.text, out);
    } else {
      out->pieces.push_back(piece);
    }
  }
}

void ObjectTemplate::Add(std::string_view key, const Template& value) {
  std::string head = first_ ? "{" : ",";
  first_ = false;
  AppendJsonString(key, &head);
  AppendLiteral(absl::StrCat(head, ":"), &out_);
  AppendTemplate(value, &out_);
}

void ObjectTemplate::AddJson(std::string_view key, std::string_view json) {
  Template value;
  AppendLiteral(json, &value);
  Add(key, value);
}

Template ObjectTemplate::Finish() {
  AppendLiteral(first_ ? "{}" : "}", &out_);
  return std::move(out_);
}

}  // namespace beamline::flowspec
