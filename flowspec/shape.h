// What is known of a JSON value before there is one: from a schema, a constant, or the kind of step
// that makes it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flowspec/expr.h"

namespace beamline::flowspec {

struct Shape;
// Null: nothing is known, and so nothing can be wrong.
using ShapePtr = std::shared_ptr<const Shape>;

// The kinds of value that a shape allows, as bits.
enum ShapeKind : uint8_t {
  kShapeNull = 1,
  kShapeBoolean = 2,
  kShapeNumber = 4,
  kShapeText = 8,
  kShapeArray = 16,
  kShapeObject = 32,
  kShapeAny = 63
};

struct Shape {
  uint8_t kinds = kShapeAny;
  // What is known of an object's members: any may be there; those named by a schema that allows
  // others; those named and no others.
  enum class Members : uint8_t { kOpen, kNamed, kClosed } members = Members::kOpen;
  std::map<std::string, ShapePtr, std::less<>> named;
  ShapePtr element;  // of an array

  bool Allows(uint8_t some) const { return (kinds & some) != 0; }
};

ShapePtr ShapeOfKinds(uint8_t kinds);
ShapePtr ArrayShape(ShapePtr element);
// An object with these members and no others.
ShapePtr ClosedShape(std::map<std::string, ShapePtr, std::less<>> members);
// A value of either shape.
ShapePtr EitherShape(const ShapePtr& a, const ShapePtr& b);

// What values under `schema` (draft-07, JSON text) are. What cannot be told for certain is left
// open. REQUIRES: CheckSchema accepts it.
ShapePtr ShapeOfSchema(std::string_view schema);
// What the constant `json` is; an array's element is what all of them are together.
ShapePtr ShapeOfJson(std::string_view json);

// The shape of what `value` comes to. `of_hole` tells what the expression of a value hole comes to.
class HoleShapes {
 public:
  virtual ~HoleShapes() = default;
  virtual ShapePtr Of(ExprIndex expr) = 0;
};
ShapePtr ShapeOfTemplate(const Template& value, HoleShapes& holes);

// The member `key` of the body of a step as JSON text, "" if there is none. Value holes read as
// null, those in text as nothing.
std::string BodyMember(const Template& body, std::string_view key);
// Likewise, and "" where an expression is part of it.
std::string ConstantMember(const Template& body, std::string_view key);

// "text", "a list or null", …
std::string KindsText(uint8_t kinds);

}  // namespace beamline::flowspec
