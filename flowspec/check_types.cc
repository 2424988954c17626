// Walks over every expression of a flow once, where it stands.
#include "flowspec/check_types.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace beamline::flowspec {
namespace {

constexpr size_t kListedMax = 8;  // members in a message

bool IsPlainName(std::string_view name) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '_') return false;
  }
  return true;
}

// The path of the first `count` keys, as one would write it.
std::string PathText(const Reference& reference, size_t count) {
  std::string text = reference.root;
  for (size_t i = 0; i < count; ++i) {
    const PathKey& key = reference.keys[i].key;
    if (key.index >= 0) {
      absl::StrAppend(&text, "[", key.index, "]");
    } else if (IsPlainName(key.key)) {
      absl::StrAppend(&text, ".", key.key);
    } else {
      absl::StrAppend(&text, "[", QuoteJson(key.key), "]");
    }
  }
  return text;
}

class TypeChecker {
 public:
  TypeChecker(const Flow& flow, const ChildFlows& children, Findings* findings)
      : flow_(flow),
        shapes_(flow, children),
        findings_(findings),
        seen_(flow.expressions.size(), false) {}

  void Run() {
    for (const auto* values : {&flow_.vars, &flow_.env, &flow_.outputs}) {
      for (const auto& [name, value] : *values) Visit(value, {});
    }
    if (flow_.concurrency) Visit(flow_.concurrency->key, {});
    if (flow_.idempotency) Visit(flow_.idempotency->key, {});
    for (size_t i = 0; i < flow_.steps.size(); ++i) VisitStep(static_cast<int32_t>(i));
  }

 private:
  void VisitStep(int32_t index) {
    const Step& step = flow_.steps[index];
    const Place before{index, Place::Part::kBefore};
    const Place body{index, Place::Part::kBody};
    if (step.condition >= 0) Condition("if", step.condition, before);
    if (step.foreach) {
      List("foreach.items", step.foreach->items, before);
      Visit(step.foreach->key, body);
    }
    if (step.matrix) {
      for (const auto& [axis, values] : step.matrix->axes) {
        List(absl::StrCat("matrix.", axis).c_str(), values, before);
      }
    }
    if (step.loop && step.loop->condition >= 0) {
      Condition(step.loop->until ? "until" : "while", step.loop->condition,
                {index, Place::Part::kRound});
    }
    Visit(step.input, body);
    Visit(step.idempotency_key, body);
    Visit(step.output, {index, Place::Part::kOutput});
    for (const Artifact& artifact : step.artifacts) Visit(artifact.path, body);
    if (step.cache) Visit(step.cache->key, body);
    if (step.concurrency) Visit(step.concurrency->key, body);
  }

  void Visit(const Template& value, const Place& place) {
    for (const Piece& piece : value.pieces) {
      if (piece.kind == Piece::Kind::kText) continue;
      if (piece.kind == Piece::Kind::kInterpolated && !seen_[piece.expr])
        FirstRound(piece.expr, place);
      Visit(piece.expr, place);
    }
  }

  // `loop.prev` is null in the first round, and null inside text fails the step.
  void FirstRound(ExprIndex expr, const Place& place) {
    const Expression& expression = flow_.expressions[expr];
    const std::optional<PlainPath>& path = expression.plain;
    if (!path || path->root != "loop" || path->keys.empty() || path->keys[0].key != "prev") return;
    for (int32_t at = place.step; at >= 0; at = flow_.steps[at].parent) {
      if (flow_.steps[at].loop) break;
      if (flow_.steps[at].condition >= 0) return;  // it may leave the first round out
    }
    Finding& finding = Add("BL0207", expression.span, "in the first round there is no `loop.prev`");
    finding.severity = Severity::kWarning;
    finding.label = "null inside text fails the step";
    finding.help = absl::StrCat("say what holds then: `", expression.source, " | default(\"…\")`");
  }

  void Visit(ExprIndex expr, const Place& place) {
    if (seen_[expr]) return;
    seen_[expr] = true;
    for (const Reference& reference : flow_.expressions[expr].references) Read(reference, place);
  }

  // Follows what the reference reads until it comes to something that is not known, or not there.
  void Read(const Reference& reference, const Place& place) {
    size_t next = 0;
    ShapePtr shape;
    if (reference.root == "steps") {
      const int32_t step = shapes_.Find(reference.name);
      if (step < 0 || reference.field.empty()) return;
      if (reference.field == "items" && !Repeated(step)) return NoItems(reference);
      shape = shapes_.Field(step, reference.field);
      next = 2;
    } else {
      shape = shapes_.Root(reference.root, place);
      const bool declared = reference.root == "inputs" || reference.root == "vars" ||
                            reference.root == "matrix";  // whose names are checked elsewhere
      if (declared && !reference.keys.empty()) {
        shape = ReadBelow(shape, reference.keys[0].key).shape;
        next = 1;
      }
    }
    for (; next < reference.keys.size() && shape != nullptr; ++next) {
      const Below below = ReadBelow(shape, reference.keys[next].key);
      if (below.what != Below::What::kFine) return Report(reference, next, *shape, below.what);
      shape = below.shape;
    }
  }

  bool Repeated(int32_t step) const {
    const Step& s = flow_.steps[step];
    return s.foreach || s.matrix || s.loop;
  }

  Finding& Add(const char* code, const Span& span, std::string message) {
    Finding& finding = findings_->emplace_back();
    finding.code = code;
    finding.span = span;
    finding.message = std::move(message);
    return finding;
  }

  void NoItems(const Reference& reference) {
    Add("BL0217", reference.keys[1].span,
        absl::StrCat("step `", reference.name, "` has no `items`"))
        .help = "steps with `foreach` or `matrix` have them; others have `output`";
  }

  void Report(const Reference& reference, size_t at, const Shape& shape, Below::What what) {
    const std::string path = PathText(reference, at);
    const ReadKey& read = reference.keys[at];
    if (what == Below::What::kWrongKind) {
      Finding& finding =
          Add("BL0218", read.span,
              absl::StrCat("`", path, "` is ", KindsText(shape.kinds), ", which has no ",
                           read.key.index < 0 ? "fields" : "elements"));
      if (shape.kinds == kShapeText) {
        finding.help = absl::StrCat("if the text is JSON, read it: `", path, " | fromjson`");
      } else if (shape.Allows(kShapeArray)) {
        finding.help = absl::StrCat("take one of it, `", path, "[0]`, or all, `", path, "[]`");
      }
      return;
    }
    const bool missing = what == Below::What::kMissing;
    Finding& finding =
        missing ? Add("BL0217", read.span, absl::StrCat("`", path, "` has no `", read.key.key, "`"))
                : Add("BL0219", read.span,
                      absl::StrCat("no schema says that `", path, "` has `", read.key.key, "`"));
    if (!missing) finding.severity = Severity::kWarning;
    Suggest(shape, read, &finding);
  }

  void Suggest(const Shape& shape, const ReadKey& read, Finding* finding) {
    std::vector<std::string> names;
    for (const auto& [name, member] : shape.named) names.push_back(name);
    std::string nearest;
    if (names.size() <= comparisons_left_) {
      comparisons_left_ -= names.size();
      nearest = DidYouMean(read.key.key, names);
    }
    if (!nearest.empty()) {
      finding->label = absl::StrCat("did you mean `", nearest, "`?");
      if (IsPlainName(nearest)) finding->fix = Fix{read.span, nearest};
    } else if (names.empty()) {
      finding->help = "it is always empty";
    } else if (names.size() <= kListedMax) {
      finding->help = absl::StrCat("it has ", absl::StrJoin(names, ", "));
    }
  }

  // An expression that is nothing but a path, of which it is known that it is neither true nor
  // false.
  void Condition(const char* key, ExprIndex expr, const Place& place) {
    Visit(expr, place);
    const ShapePtr shape = shapes_.Expression(expr, place);
    if (shape == nullptr || shape->Allows(kShapeBoolean)) return;
    const std::string& source = flow_.expressions[expr].source;
    Finding& finding = Add("BL0220", flow_.expressions[expr].span,
                           absl::StrCat("`", key, "` must come to true or false, and `", source,
                                        "` is ", KindsText(shape->kinds)));
    const char* compare = shape->Allows(kShapeText)     ? " == \"…\"`"
                          : shape->Allows(kShapeNumber) ? " > 0`"
                                                        : " != null`";
    finding.help = absl::StrCat("compare it, as in `", source, compare);
  }

  void List(const char* key, const Template& items, const Place& place) {
    Visit(items, place);
    if (items.pieces.size() != 1 || items.pieces[0].kind != Piece::Kind::kValue) return;
    const Expression& expr = flow_.expressions[items.pieces[0].expr];
    const ShapePtr shape = shapes_.Expression(items.pieces[0].expr, place);
    if (shape == nullptr || shape->Allows(kShapeArray)) return;
    Finding& finding = Add("BL0221", expr.span,
                           absl::StrCat("`", key, "` must come to a list, and `", expr.source,
                                        "` is ", KindsText(shape->kinds)));
    if (shape->kinds == kShapeText) {
      finding.help = absl::StrCat("split it, as in `", expr.source, " | split(\"\\n\")`");
    } else if (shape->Allows(kShapeObject)) {
      finding.help = absl::StrCat("`", expr.source, " | to_entries` is a list of {key, value}");
    }
  }

  const Flow& flow_;
  FlowShapes shapes_;
  Findings* findings_;
  std::vector<bool> seen_;             // by expression
  size_t comparisons_left_ = 200'000;  // of names for did-you-mean: bounds hostile files
};

}  // namespace

void CheckTypes(const Flow& flow, const ChildFlows& children, Findings* findings) {
  TypeChecker(flow, children, findings).Run();
}

}  // namespace beamline::flowspec
