// Shapes are worked out when they are asked for, each once. A loop reads what it makes itself (as
// `loop.prev`): what is being worked out is unknown meanwhile.
#include "flowspec/flow_shapes.h"

#include <utility>

#include "flowspec/json_text.h"

namespace beamline::flowspec {
namespace {

// Steps that read of steps that read …: beyond this, nothing is known.
constexpr int kDepthMax = 64;

ShapePtr Text() { return ShapeOfKinds(kShapeText); }
ShapePtr Number() { return ShapeOfKinds(kShapeNumber); }

// A value that may be missing.
ShapePtr OrNull(const ShapePtr& shape) { return EitherShape(shape, ShapeOfKinds(kShapeNull)); }

ShapePtr ErrorShape() {
  static const ShapePtr* const shape = new ShapePtr(OrNull(
      ClosedShape({{"kind", Text()}, {"message", Text()}, {"exit_code", OrNull(Number())}})));
  return *shape;
}

ShapePtr RunShape() {
  static const ShapePtr* const shape =
      new ShapePtr(ClosedShape({{"id", Text()},
                                {"flow", Text()},
                                {"digest", Text()},
                                {"submitter", Text()},
                                {"trace_id", Text()},
                                {"started_at", Text()},
                                {"labels", ShapeOfKinds(kShapeObject)}}));
  return *shape;
}

ShapePtr HttpShape() {
  static const ShapePtr* const shape =
      new ShapePtr(ClosedShape({{"status", Number()},
                                {"headers", ShapeOfKinds(kShapeObject)},
                                {"body", OrNull(Text())},
                                {"body_base64", OrNull(Text())},
                                {"json", nullptr}}));
  return *shape;
}

// The output of the step in `body.KEY`'s schema, or `otherwise`.
ShapePtr BySchema(const Step& step, const char* key, ShapePtr otherwise) {
  const std::string schema = BodyMember(step.input, key);
  return schema.empty() ? std::move(otherwise) : ShapeOfSchema(schema);
}

ShapePtr WaitShape(const Step& step) {
  const std::string signal = BodyMember(step.input, "signal");
  if (signal.empty()) return ShapeOfKinds(kShapeNull);
  const absl::StatusOr<std::string> schema = ReadPath(signal, {{"schema"}});
  return schema.ok() && *schema != "null" ? ShapeOfSchema(*schema) : nullptr;
}

}  // namespace

class FlowShapes::Holes : public HoleShapes {
 public:
  Holes(FlowShapes& shapes, const Place& place) : shapes_(shapes), place_(place) {}
  ShapePtr Of(ExprIndex expr) override { return shapes_.Expression(expr, place_); }

 private:
  FlowShapes& shapes_;
  const Place place_;
};

FlowShapes::FlowShapes(const Flow& flow, const ChildFlows& children)
    : flow_(flow),
      children_(children),
      undoes_(flow.steps.size(), -1),
      raw_(flow.steps.size()),
      one_(flow.steps.size()),
      items_(flow.steps.size()),
      combinations_(flow.steps.size()),
      loops_(flow.steps.size()),
      named_(2) {
  for (size_t i = 0; i < flow.steps.size(); ++i) {
    ids_.try_emplace(flow.steps[i].id, static_cast<int32_t>(i));
    if (flow.steps[i].compensate >= 0) undoes_[flow.steps[i].compensate] = static_cast<int32_t>(i);
  }
}

int32_t FlowShapes::Find(std::string_view id) const {
  const auto found = ids_.find(id);
  return found == ids_.end() ? -1 : found->second;
}

template <typename Make>
ShapePtr FlowShapes::Once(Memo& memo, int32_t at, Make make) {
  const auto i = static_cast<size_t>(at);
  if (memo[i].has_value()) return *memo[i];
  if (depth_ >= kDepthMax) return nullptr;
  memo[i] = nullptr;  // until it is known
  ++depth_;
  ShapePtr shape = make();
  --depth_;
  memo[i] = shape;
  return shape;
}

ShapePtr FlowShapes::Output(int32_t step) {
  const Step& s = flow_.steps[step];
  ShapePtr one = OneItem(step);
  return s.foreach || s.matrix ? ArrayShape(OrNull(one)) : one;
}

ShapePtr FlowShapes::OneItem(int32_t step) {
  return Once(one_, step, [&] {
    const Step& s = flow_.steps[step];
    if (!s.outputs_schema.empty()) return ShapeOfSchema(s.outputs_schema);
    if (!s.output.empty()) return Value(s.output, {step, Place::Part::kOutput});
    return Raw(step);
  });
}

ShapePtr FlowShapes::Raw(int32_t step) {
  return Once(raw_, step, [&]() -> ShapePtr {
    const Step& s = flow_.steps[step];
    switch (s.kind) {
      case StepKind::kRun:
        return RunOutput(s);
      case StepKind::kHttp:
        return HttpShape();
      case StepKind::kLlm:
        return BySchema(s, "schema", Text());
      case StepKind::kFlow:
        return ChildOutput(s);
      case StepKind::kWait:
        return WaitShape(s);
      case StepKind::kApprove:
        return BySchema(
            s, "form",
            ClosedShape({{"by", ArrayShape(Text())}, {"comment", Text()}, {"round", Number()}}));
      case StepKind::kSignal:
        return ClosedShape({{"runs", ArrayShape(Text())}});
      case StepKind::kSet:
        return Value(s.input, {step, Place::Part::kBody});
      case StepKind::kDo:
        return s.children.empty() ? nullptr : Output(s.children.back());
      case StepKind::kParallel:
        return Children(s);
      default:
        return nullptr;
    }
  });
}

ShapePtr FlowShapes::RunOutput(const Step& step) const {
  const std::string capture = BodyMember(step.input, "capture");
  if (capture == "\"text\"") return Text();
  if (capture == "\"lines\"") return ArrayShape(Text());
  // What it writes to $BEAMLINE_OUTPUT is a map; it may write nothing.
  return capture == "\"none\"" ? ShapeOfKinds(kShapeObject | kShapeNull) : nullptr;
}

ShapePtr FlowShapes::ChildOutput(const Step& step) const {
  if (BodyMember(step.input, "mode") == "\"detach\"") return ClosedShape({{"run", Text()}});
  const std::string uses = BodyMember(step.input, "uses");
  if (!children_ || uses.empty() || uses.front() != '"') return nullptr;
  const std::shared_ptr<const Flow> child = children_(UnquoteJson(uses)).flow;
  if (child == nullptr) return nullptr;
  if (child->outputs.empty()) return ShapeOfKinds(kShapeNull);
  std::map<std::string, ShapePtr, std::less<>> outputs;
  for (const auto& [name, value] : child->outputs) outputs.emplace(name, nullptr);
  return ClosedShape(std::move(outputs));
}

// A map of the children's outputs by id.
ShapePtr FlowShapes::Children(const Step& step) {
  std::map<std::string, ShapePtr, std::less<>> outputs;
  for (const int32_t child : step.children) {
    outputs.emplace(flow_.steps[child].id, OrNull(Output(child)));
  }
  return ClosedShape(std::move(outputs));
}

ShapePtr FlowShapes::Items(int32_t step) {
  return Once(items_, step, [&] {
    const Foreach& foreach = *flow_.steps[step].foreach;
    const ShapePtr list = Value(foreach.items, {step, Place::Part::kBefore});
    ShapePtr item = list == nullptr ? nullptr : list->element;
    return foreach.batch > 1 ? ArrayShape(std::move(item)) : item;
  });
}

ShapePtr FlowShapes::Combination(int32_t step) {
  return Once(combinations_, step, [&] {
    const Matrix& matrix = *flow_.steps[step].matrix;
    std::map<std::string, ShapePtr, std::less<>> axes;
    for (const auto& [axis, values] : matrix.axes) {
      const ShapePtr list = Value(values, {step, Place::Part::kBefore});
      axes.emplace(axis, list == nullptr ? nullptr : list->element);
    }
    ShapePtr all = ClosedShape(std::move(axes));
    for (const std::string& more : matrix.include) all = EitherShape(all, ShapeOfJson(more));
    return all;
  });
}

ShapePtr FlowShapes::LoopRoot(int32_t step) {
  return Once(loops_, step, [&] {
    const Step& s = flow_.steps[step];
    const ShapePtr prev = s.children.empty() ? OneItem(step) : Children(s);
    return ClosedShape({{"index", Number()}, {"prev", OrNull(prev)}});
  });
}

ShapePtr FlowShapes::Inputs() {
  return Once(named_, 0, [&] {
    std::map<std::string, ShapePtr, std::less<>> members;
    for (const Input& input : flow_.inputs) {
      members.emplace(input.name, ShapeOfSchema(input.schema));
    }
    return ClosedShape(std::move(members));
  });
}

ShapePtr FlowShapes::Vars() {
  return Once(named_, 1, [&] {
    std::map<std::string, ShapePtr, std::less<>> members;
    for (const auto& [name, value] : flow_.vars) members.emplace(name, Value(value, {}));
    return ClosedShape(std::move(members));
  });
}

// `item`, `matrix`, `loop` and the names of `foreach.as`: the innermost step around that has it.
ShapePtr FlowShapes::Around(std::string_view root, const Place& place) {
  int32_t at = place.step;
  if (at >= 0 && place.part == Place::Part::kBefore) at = flow_.steps[at].parent;
  for (; at >= 0; at = flow_.steps[at].parent) {
    const int32_t own = undoes_[at] >= 0 ? undoes_[at] : at;
    const Step& step = flow_.steps[own];
    if (root == "matrix" && step.matrix) return Combination(own);
    if (root == "loop" && step.loop) return LoopRoot(own);
    if (step.foreach && (root == "item" || root == step.foreach->as)) return Items(own);
  }
  return nullptr;
}

ShapePtr FlowShapes::Root(std::string_view name, const Place& place) {
  if (name == "inputs") return Inputs();
  if (name == "vars") return Vars();
  if (name == "run") return RunShape();
  if (name == "error") return ErrorShape();
  if (name == "now" || name == "index") return Number();
  if (name == "env" || name == "trigger" || name == "feedback") return nullptr;
  if (name == "output") {
    if (place.step < 0) return nullptr;
    return place.part == Place::Part::kRound ? OneItem(place.step) : Raw(place.step);
  }
  return Around(name, place);
}

// `items` of a step that is repeated: what came of each.
ShapePtr FlowShapes::ItemRecords(int32_t step) {
  const Step& s = flow_.steps[step];
  if (s.loop) return nullptr;
  if (!s.foreach && !s.matrix) return ShapeOfKinds(kShapeNull);
  return OrNull(ArrayShape(ClosedShape({{"key", Text()},
                                        {"item", s.foreach ? Items(step) : Combination(step)},
                                        {"status", Text()},
                                        {"error", ErrorShape()},
                                        {"output", OrNull(OneItem(step))}})));
}

ShapePtr FlowShapes::Field(int32_t step, std::string_view field) {
  if (field == "output") return Output(step);
  if (field == "status") return Text();
  if (field == "error") return ErrorShape();
  return field == "items" ? ItemRecords(step) : nullptr;
}

ShapePtr FlowShapes::Value(const Template& value, const Place& place) {
  Holes holes(*this, place);
  return ShapeOfTemplate(value, holes);
}

ShapePtr FlowShapes::Expression(ExprIndex expr, const Place& place) {
  const std::optional<PlainPath>& path = flow_.expressions[expr].plain;
  if (!path) return nullptr;
  size_t next = 0;
  ShapePtr shape;
  if (path->root == "steps") {
    if (path->keys.size() < 2) return nullptr;
    const int32_t step = Find(path->keys[0].key);
    if (step < 0) return nullptr;
    shape = Field(step, path->keys[1].key);
    next = 2;
  } else {
    shape = Root(path->root, place);
  }
  for (; next < path->keys.size() && shape != nullptr; ++next) {
    shape = ReadBelow(shape, path->keys[next]).shape;
  }
  return shape;
}

Below ReadBelow(const ShapePtr& shape, const PathKey& key) {
  if (shape == nullptr) return {};
  const bool element = key.index >= 0;
  if (!shape->Allows(element ? kShapeArray : kShapeObject)) return {Below::What::kWrongKind, {}};
  if (element) return {Below::What::kFine, shape->element};
  const auto found = shape->named.find(key.key);
  if (found != shape->named.end()) return {Below::What::kFine, found->second};
  switch (shape->members) {
    case Shape::Members::kClosed:
      return {Below::What::kMissing, {}};
    case Shape::Members::kNamed:
      return {Below::What::kUnnamed, {}};
    case Shape::Members::kOpen:
      break;
  }
  return {};
}

}  // namespace beamline::flowspec
