// Errs on the side of knowing nothing: a shape that is wrong would refuse a flow that is right.
#include "flowspec/shape.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace beamline::flowspec {
namespace {

using Json = nlohmann::json;
using Members = std::map<std::string, ShapePtr, std::less<>>;

// Beyond these, shapes say nothing: hostile files would make them cost more than the flow.
constexpr size_t kNamedMax = 1000;   // members of one shape
constexpr size_t kElementsMax = 64;  // of a constant list that are looked at
constexpr int kDepthMax = 32;

// Stands for the value hole of an expression while the rest is read as JSON; the number follows.
// Nothing is told of a value in which the flow itself says this.
constexpr char kHoleMark[] = "\\u0001hole:";

ShapePtr Make(Shape shape) { return std::make_shared<const Shape>(std::move(shape)); }

uint8_t KindOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return kShapeNull;
    case Json::value_t::boolean:
      return kShapeBoolean;
    case Json::value_t::string:
      return kShapeText;
    case Json::value_t::array:
      return kShapeArray;
    case Json::value_t::object:
      return kShapeObject;
    default:
      return value.is_number() ? kShapeNumber : kShapeAny;
  }
}

uint8_t KindNamed(const Json& type) {
  static constexpr std::pair<const char*, uint8_t> kTypes[] = {
      {"null", kShapeNull},      {"boolean", kShapeBoolean}, {"number", kShapeNumber},
      {"integer", kShapeNumber}, {"string", kShapeText},     {"array", kShapeArray},
      {"object", kShapeObject}};
  for (const auto& [name, kind] : kTypes) {
    if (type == name) return kind;
  }
  return kShapeAny;
}

// The kinds that `type`, `enum` and `const` allow.
uint8_t KindsOf(const Json& schema) {
  uint8_t kinds = kShapeAny;
  const auto type = schema.find("type");
  if (type != schema.end() && type->is_string()) kinds = KindNamed(*type);
  if (type != schema.end() && type->is_array()) {
    kinds = 0;
    for (const Json& word : *type) kinds |= KindNamed(word);
  }
  const auto values = schema.find("enum");
  if (values != schema.end() && values->is_array()) {
    uint8_t listed = 0;
    for (const Json& value : *values) listed |= KindOf(value);
    kinds &= listed;
  }
  if (const auto value = schema.find("const"); value != schema.end()) kinds &= KindOf(*value);
  return kinds == 0 ? uint8_t{kShapeAny} : kinds;
}

ShapePtr OfSchema(const Json& schema, int depth);

void AddMembers(const Json& schema, int depth, Shape* shape) {
  const auto others = schema.find("additionalProperties");
  if (others == schema.end()) {
    shape->members = Shape::Members::kNamed;
  } else if (*others == false) {
    shape->members = Shape::Members::kClosed;
  }
  const auto properties = schema.find("properties");
  if (properties != schema.end() && properties->is_object()) {
    for (const auto& [name, value] : properties->items()) {
      shape->named[name] = OfSchema(value, depth + 1);
    }
  }
  const auto required = schema.find("required");
  if (required != schema.end() && required->is_array()) {
    for (const Json& name : *required) {
      if (name.is_string()) shape->named.try_emplace(name.get<std::string>(), nullptr);
    }
  }
  const bool vague = shape->named.size() > kNamedMax || schema.contains("patternProperties") ||
                     (shape->named.empty() && shape->members == Shape::Members::kNamed);
  if (vague) shape->members = Shape::Members::kOpen;
}

ShapePtr OfSchema(const Json& schema, int depth) {
  if (!schema.is_object() || depth > kDepthMax) return nullptr;
  Shape shape;
  shape.kinds = KindsOf(schema);
  for (const char* key : {"allOf", "anyOf", "oneOf", "if", "$ref"}) {
    if (schema.contains(key)) return Make(std::move(shape));
  }
  AddMembers(schema, depth, &shape);
  const auto items = schema.find("items");
  if (items != schema.end() && items->is_object()) shape.element = OfSchema(*items, depth + 1);
  return Make(std::move(shape));
}

ShapePtr OfJson(const Json& value, HoleShapes* holes, int depth) {
  if (depth > kDepthMax) return nullptr;
  if (holes != nullptr && value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    ExprIndex expr = -1;
    if (text.rfind("\x01hole:", 0) == 0 && absl::SimpleAtoi(text.substr(6), &expr)) {
      return holes->Of(expr);
    }
  }
  if (value.is_object()) {
    if (value.size() > kNamedMax) return ShapeOfKinds(kShapeObject);
    Members members;
    for (const auto& [key, member] : value.items()) members[key] = OfJson(member, holes, depth + 1);
    return ClosedShape(std::move(members));
  }
  if (!value.is_array()) return ShapeOfKinds(KindOf(value));
  if (value.empty() || value.size() > kElementsMax) return ArrayShape(nullptr);
  ShapePtr element = OfJson(value[0], holes, depth + 1);
  for (size_t i = 1; i < value.size() && element != nullptr; ++i) {
    element = EitherShape(element, OfJson(value[i], holes, depth + 1));
  }
  return ArrayShape(std::move(element));
}

Json Parse(std::string_view text) { return Json::parse(text, nullptr, /*allow_exceptions=*/false); }

// The member of the body, with these in place of its holes.
std::string MemberText(const Template& body, std::string_view key, std::string_view value_hole,
                       std::string_view text_hole) {
  std::string text;
  for (const Piece& piece : body.pieces) {
    text += piece.kind == Piece::Kind::kText    ? std::string_view(piece.text)
            : piece.kind == Piece::Kind::kValue ? value_hole
                                                : text_hole;
  }
  const Json json = Parse(text);
  if (!json.is_object()) return "";
  const auto found = json.find(key);
  return found == json.end() ? "" : found->dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

ShapePtr ShapeOfKinds(uint8_t kinds) {
  Shape shape;
  shape.kinds = kinds;
  return Make(std::move(shape));
}

ShapePtr ArrayShape(ShapePtr element) {
  Shape shape;
  shape.kinds = kShapeArray;
  shape.element = std::move(element);
  return Make(std::move(shape));
}

ShapePtr ClosedShape(Members members) {
  Shape shape;
  shape.kinds = kShapeObject;
  shape.members = Shape::Members::kClosed;
  shape.named = std::move(members);
  return Make(std::move(shape));
}

ShapePtr EitherShape(const ShapePtr& a, const ShapePtr& b) {
  if (a == nullptr || b == nullptr) return nullptr;
  Shape shape;
  shape.kinds = a->kinds | b->kinds;
  const bool both = a->Allows(kShapeObject) && b->Allows(kShapeObject);
  if (!both) {
    const Shape& object = a->Allows(kShapeObject) ? *a : *b;
    shape.members = object.members;
    shape.named = object.named;
  } else if (a->named.size() + b->named.size() <= kNamedMax) {
    shape.members = std::min(a->members, b->members);
    shape.named = a->named;
    for (const auto& [name, member] : b->named) {
      const auto [it, fresh] = shape.named.try_emplace(name, member);
      if (!fresh) it->second = EitherShape(it->second, member);
    }
  }
  const bool lists = a->Allows(kShapeArray) && b->Allows(kShapeArray);
  shape.element = lists                    ? EitherShape(a->element, b->element)
                  : a->Allows(kShapeArray) ? a->element
                                           : b->element;
  return Make(std::move(shape));
}

ShapePtr ShapeOfSchema(std::string_view schema) { return OfSchema(Parse(schema), 0); }

ShapePtr ShapeOfJson(std::string_view json) {
  const Json value = Parse(json);
  return value.is_discarded() ? nullptr : OfJson(value, nullptr, 0);
}

ShapePtr ShapeOfTemplate(const Template& value, HoleShapes& holes) {
  std::string text;
  for (const Piece& piece : value.pieces) {
    if (piece.kind == Piece::Kind::kText) {
      if (piece.text.find(kHoleMark) != std::string::npos) return nullptr;
      text += piece.text;
    } else if (piece.kind == Piece::Kind::kValue) {
      absl::StrAppend(&text, "\"", kHoleMark, piece.expr, "\"");
    }
  }
  const Json json = Parse(text);
  return json.is_discarded() ? nullptr : OfJson(json, &holes, 0);
}

std::string BodyMember(const Template& body, std::string_view key) {
  return MemberText(body, key, "null", "");
}

std::string ConstantMember(const Template& body, std::string_view key) {
  const std::string member = MemberText(body, key, absl::StrCat("\"", kHoleMark, "\""), kHoleMark);
  return member.find(kHoleMark) == std::string::npos ? member : "";
}

std::string KindsText(uint8_t kinds) {
  static constexpr std::pair<uint8_t, const char*> kWords[] = {
      {kShapeBoolean, "true or false"}, {kShapeNumber, "a number"}, {kShapeText, "text"},
      {kShapeArray, "a list"},          {kShapeObject, "a map"},    {kShapeNull, "null"}};
  std::vector<std::string> words;
  for (const auto& [kind, word] : kWords) {
    if ((kinds & kind) != 0) words.push_back(word);
  }
  return absl::StrJoin(words, " or ");
}

}  // namespace beamline::flowspec
