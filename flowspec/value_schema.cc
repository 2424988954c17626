// valijson with constraints of our own for `type`, `pattern`, `format` and `uniqueItems`: its
// messages for types say nothing, its std::regex hangs and crashes, its uniqueness is quadratic.
#include "flowspec/value_schema.h"

#include <cmath>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/civil_time.h"
#include "flowspec/json_text.h"
#include "nlohmann/json.hpp"
#include "re2/re2.h"

#define VALIJSON_USE_EXCEPTIONS 1
#include "valijson/adapters/nlohmann_json_adapter.hpp"
#include "valijson/constraint_builder.hpp"
#include "valijson/constraints/concrete_constraints.hpp"
#include "valijson/schema.hpp"
#include "valijson/schema_parser.hpp"
#include "valijson/validation_results.hpp"
#include "valijson/validator.hpp"

namespace beamline::flowspec {
namespace {

using Json = nlohmann::json;
using valijson::adapters::Adapter;

constexpr size_t kSchemaBytesMax = 256 * 1024;
constexpr size_t kSchemasMax = 2000;  // in one, so that checking stays linear in the value
constexpr size_t kUniqueItemsMax = 2000;
constexpr size_t kViolationsMax = 20;
constexpr size_t kCacheSize = 64;

// Our constraints stand under these keys; `Rewriter` moves the standard ones there.
constexpr char kTypeKey[] = "x-beamline-type";
constexpr char kPatternKey[] = "x-beamline-pattern";
constexpr char kFormatKey[] = "x-beamline-format";
constexpr char kUniqueKey[] = "x-beamline-unique";
constexpr char kNamesKey[] = "x-beamline-names";  // valijson takes propertyNames for its parent

// What every constraint of ours is to valijson: a check with a message.
template <typename Check>
class CheckConstraint : public valijson::constraints::PolyConstraint {
 public:
  explicit CheckConstraint(Check check) : check_(std::move(check)) {}

  bool validate(const Adapter& target, const std::vector<std::string>& context,
                valijson::ValidationResults* results) const override {
    const std::string wrong = check_(target);
    if (wrong.empty()) return true;
    if (results != nullptr) results->pushError(context, wrong);
    return false;
  }

 private:
  valijson::constraints::Constraint* cloneInto(void* place) const override {
    return new (place) CheckConstraint(check_);
  }
  size_t sizeOf() const override { return sizeof(CheckConstraint); }

  Check check_;
};

template <typename Make>
class Builder : public valijson::ConstraintBuilder {
 public:
  explicit Builder(Make make) : make_(make) {}
  valijson::constraints::Constraint* make(const Adapter& value) const override {
    auto check = make_(value);
    return new CheckConstraint<decltype(check)>(std::move(check));
  }

 private:
  Make make_;
};

const char* TypeOf(const Adapter& value) {
  if (value.isNull()) return "null";
  if (value.isBool()) return "boolean";
  if (value.isString()) return "string";
  if (value.isArray()) return "array";
  if (value.isObject()) return "object";
  if (value.isInteger()) return "integer";
  double number = 0;
  return value.getDouble(number) && std::floor(number) == number ? "integer" : "number";
}

auto MakeTypeCheck(const Adapter& wanted) {
  std::vector<std::string> types;
  if (wanted.isString()) {
    types.push_back(wanted.asString());
  } else {
    wanted.applyToArray([&](const Adapter& type) {
      types.push_back(type.asString());
      return true;
    });
  }
  return [types](const Adapter& value) -> std::string {
    const char* type = TypeOf(value);
    for (const std::string& allowed : types) {
      if (allowed == type) return "";
      if (allowed == "number" && std::string_view(type) == "integer") return "";
    }
    return absl::StrCat("wants ", absl::StrJoin(types, " or "), ", got ", type);
  };
}

std::shared_ptr<const RE2> CompileRegex(const std::string& pattern) {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(1 << 20);
  return std::make_shared<const RE2>(pattern, options);
}

auto MakePatternCheck(const Adapter& pattern) {
  auto regex = CompileRegex(pattern.asString());
  return [regex](const Adapter& value) -> std::string {
    if (!value.isString() || RE2::PartialMatch(value.asString(), *regex)) return "";
    return absl::StrCat("does not match the pattern ", regex->pattern());
  };
}

auto MakeNamesCheck(const Adapter& pattern) {
  return [regex = CompileRegex(pattern.asString())](const Adapter& value) -> std::string {
    std::string wrong;
    if (!value.isObject()) return wrong;
    value.applyToObject([&](const std::string& name, const Adapter&) {
      if (!RE2::PartialMatch(name, *regex)) {
        wrong = absl::StrCat("has a key `", name, "` that does not match ", regex->pattern());
      }
      return wrong.empty();
    });
    return wrong;
  };
}

bool IsDate(std::string_view text) {
  static const RE2& form = *new RE2("(\\d{4})-(\\d{2})-(\\d{2})");
  int year = 0, month = 0, day = 0;
  if (!RE2::FullMatch(re2::StringPiece(text.data(), text.size()), form, &year, &month, &day)) {
    return false;
  }
  const absl::CivilDay civil(year, month, day);  // normalises what does not exist
  return civil.month() == month && civil.day() == day;
}

bool IsDateTime(std::string_view text) {
  static const RE2& time = *new RE2(
      "([01]\\d|2[0-3]):[0-5]\\d:([0-5]\\d|60)(\\.\\d{1,9})?([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)");
  if (text.size() < 20 || (text[10] != 'T' && text[10] != 't')) return false;
  text.remove_prefix(11);
  return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), time);
}

auto MakeFormatCheck(const Adapter& format) {
  return [name = format.asString()](const Adapter& value) -> std::string {
    if (!value.isString()) return "";
    const std::string text = value.asString();
    if (name == "date") return IsDate(text) ? "" : "is not a date such as 2031-05-17";
    const bool valid = IsDate(std::string_view(text).substr(0, 10)) && IsDateTime(text);
    return valid ? "" : "is not a time such as 2031-05-17T09:30:00Z";
  };
}

auto MakeUniqueCheck(const Adapter& wanted) {
  return [on = wanted.asBool()](const Adapter& value) -> std::string {
    if (!on || !value.isArray()) return "";
    std::vector<std::unique_ptr<valijson::adapters::FrozenValue>> seen;
    bool unique = true;
    value.applyToArray([&](const Adapter& item) {
      for (const auto& earlier : seen) unique = unique && !earlier->equalTo(item, true);
      seen.emplace_back(item.freeze());
      return unique && seen.size() <= kUniqueItemsMax;
    });
    if (seen.size() > kUniqueItemsMax) {
      return absl::StrCat("has more than ", kUniqueItemsMax, " items to compare");
    }
    return unique ? "" : "has items that are equal";
  };
}

// Checks a schema's form as far as valijson would not, and moves keywords to ours.
class Rewriter {
 public:
  explicit Rewriter(bool refs) : refs_(refs) {}

  // The first thing that is wrong; empty if nothing is.
  const std::string& wrong() const { return wrong_; }

  void Schema(Json* schema) {
    if (schema->is_boolean()) return;
    if (!schema->is_object()) return Wrong("a schema must be a map");
    if (++schemas_ > kSchemasMax) return Wrong("the schema is too large");
    for (const char* key : {"properties", "definitions", "patternProperties"})
      EachNamed(schema, key);
    for (const char* key : {"allOf", "anyOf", "oneOf"}) EachListed(schema, key);
    for (const char* key :
         {"not", "if", "then", "else", "contains", "additionalProperties", "additionalItems"}) {
      if (schema->contains(key)) Schema(&(*schema)[key]);
    }
    if (schema->contains("items")) Items(&(*schema)["items"]);
    for (const char* key : {"$id", "id", "$schema"}) schema->erase(key);
    Unsupported(*schema);
    Type(schema);
    Pattern(schema);
    Names(schema);
    Format(schema);
    if (schema->contains("uniqueItems")) {
      if (!(*schema)["uniqueItems"].is_boolean()) return Wrong("`uniqueItems` must be a boolean");
      Move(schema, "uniqueItems", kUniqueKey);
    }
  }

 private:
  void Wrong(std::string message) {
    if (wrong_.empty()) wrong_ = std::move(message);
  }

  static void Move(Json* schema, const char* from, const char* to) {
    (*schema)[to] = std::move((*schema)[from]);
    schema->erase(from);
  }

  void EachNamed(Json* schema, const char* key) {
    if (!schema->contains(key)) return;
    Json& map = (*schema)[key];
    if (!map.is_object()) return Wrong(absl::StrCat("`", key, "` must be a map of schemas"));
    for (auto& [name, value] : map.items()) Schema(&value);
  }

  void EachListed(Json* schema, const char* key) {
    if (!schema->contains(key)) return;
    Json& list = (*schema)[key];
    if (!list.is_array()) return Wrong(absl::StrCat("`", key, "` must be a list of schemas"));
    for (Json& value : list) Schema(&value);
  }

  void Items(Json* items) {
    if (!items->is_array()) return Schema(items);
    for (Json& item : *items) Schema(&item);
  }

  void Unsupported(const Json& schema) {
    for (const char* key :
         {"$defs", "prefixItems", "dependencies", "dependentRequired", "dependentSchemas",
          "unevaluatedProperties", "unevaluatedItems", "minContains", "maxContains"}) {
      if (schema.contains(key)) Wrong(absl::StrCat("`", key, "` is not supported"));
    }
    if (schema.contains("$ref") &&
        (!refs_ || !schema["$ref"].is_string() || schema["$ref"].get<std::string>()[0] != '#')) {
      Wrong("`$ref` is not supported, write the schema out");
    }
    if (!schema.contains("patternProperties")) return;
    static const RE2& simple = *new RE2("\\^?[A-Za-z0-9_-]*");  // safe in any engine
    for (const auto& [pattern, value] : schema["patternProperties"].items()) {
      if (!RE2::FullMatch(pattern, simple)) Wrong("`patternProperties` takes plain prefixes only");
    }
  }

  void Type(Json* schema) {
    if (!schema->contains("type")) return;
    static const std::set<std::string>& known = *new std::set<std::string>{
        "string", "number", "integer", "boolean", "array", "object", "null"};
    const Json& type = (*schema)["type"];
    const Json list = type.is_array() ? type : Json::array({type});
    for (const Json& word : list) {
      if (!word.is_string() || known.count(word.get<std::string>()) == 0) {
        return Wrong(absl::StrCat("unknown type ", word.dump()));
      }
    }
    Move(schema, "type", kTypeKey);
  }

  void Pattern(Json* schema) {
    if (!schema->contains("pattern")) return;
    if (!(*schema)["pattern"].is_string()) return Wrong("`pattern` must be text");
    const auto regex = CompileRegex((*schema)["pattern"].get<std::string>());
    if (!regex->ok()) {
      return Wrong(absl::StrCat("`pattern` is not a RE2 expression: ", regex->error()));
    }
    Move(schema, "pattern", kPatternKey);
  }

  void Names(Json* schema) {
    if (!schema->contains("propertyNames")) return;
    Json names = (*schema)["propertyNames"];
    if (!names.is_object() || names.size() != 1 || !names.contains("pattern")) {
      return Wrong("`propertyNames` takes one `pattern`");
    }
    Pattern(&names);
    if (!wrong_.empty()) return;
    (*schema)[kNamesKey] = names[kPatternKey];
    schema->erase("propertyNames");
  }

  // Formats other than these are notes to the reader, as the standard has it.
  void Format(Json* schema) {
    if (!schema->contains("format")) return;
    const Json format = (*schema)["format"];
    if (!format.is_string()) return Wrong("`format` must be text");
    if (format == "date" || format == "date-time") (*schema)[kFormatKey] = format;
    schema->erase("format");
  }

  bool refs_;
  size_t schemas_ = 0;
  std::string wrong_;
};

struct Compiled {
  valijson::Schema schema;
};

absl::StatusOr<std::shared_ptr<const Compiled>> Compile(std::string_view text, bool refs) {
  if (text.size() > kSchemaBytesMax) return absl::InvalidArgumentError("the schema is too large");
  if (absl::Status json = CheckJson(text); !json.ok()) return json;
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError("not JSON");
  Rewriter rewriter(refs);
  rewriter.Schema(&json);
  if (!rewriter.wrong().empty()) return absl::InvalidArgumentError(rewriter.wrong());
  try {
    auto compiled = std::make_shared<Compiled>();
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    // The parser owns its builders.
    parser.addConstraintBuilder(kTypeKey, new Builder(MakeTypeCheck));
    parser.addConstraintBuilder(kPatternKey, new Builder(MakePatternCheck));
    parser.addConstraintBuilder(kNamesKey, new Builder(MakeNamesCheck));
    parser.addConstraintBuilder(kFormatKey, new Builder(MakeFormatCheck));
    parser.addConstraintBuilder(kUniqueKey, new Builder(MakeUniqueCheck));
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(json), compiled->schema);
    return compiled;
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(e.what());
  }
}

// The last schemas used, by text.
class Cache {
 public:
  absl::StatusOr<std::shared_ptr<const Compiled>> Get(std::string_view text) {
    {
      std::lock_guard lock(mutex_);
      const auto found = places_.find(text);
      if (found != places_.end()) {
        entries_.splice(entries_.begin(), entries_, found->second);
        return found->second->second;
      }
    }
    auto compiled = Compile(text, /*refs=*/true);
    if (!compiled.ok()) return compiled;
    std::lock_guard lock(mutex_);
    if (places_.contains(text)) return compiled;
    entries_.emplace_front(std::string(text), *compiled);
    places_.emplace(entries_.front().first, entries_.begin());
    if (entries_.size() > kCacheSize) {
      places_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return compiled;
  }

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const Compiled>>;
  std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
  std::map<std::string, std::list<Entry>::iterator, std::less<>> places_;
};

// `<root>`, `[a]`, `[0]` as a JSON pointer.
std::string Pointer(const std::vector<std::string>& context) {
  std::string pointer;
  for (size_t i = 1; i < context.size(); ++i) {
    std::string_view name = context[i];
    if (name.size() >= 2 && name.front() == '[' && name.back() == ']') {
      name = name.substr(1, name.size() - 2);
    }
    pointer.push_back('/');
    for (const char c : name) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  }
  return pointer;
}

}  // namespace

absl::Status CheckSchema(std::string_view schema) {
  return Compile(schema, /*refs=*/false).status();
}

namespace {

// The library's sentence as people would say it. `schema` is the one that was broken, or "".
std::string InOurWords(std::string description, std::string_view schema) {
  description = absl::StrReplaceAll(description, {{".000000", ""}});
  if (absl::StartsWith(description, "Expected number")) description.replace(0, 8, "wants a");
  if (!absl::StartsWith(description, "Failed to match against any enum values")) return description;
  const Json json = Json::parse(schema, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("enum")) return "is none of the values that are allowed";
  return absl::StrCat(
      "is none of ",
      absl::StrJoin(json["enum"], ", ", [](auto* out, const Json& v) { out->append(v.dump()); }));
}

}  // namespace

std::vector<std::string> CheckValue(std::string_view schema, std::string_view value) {
  static Cache& cache = *new Cache;
  const auto compiled = cache.Get(schema);
  if (!compiled.ok()) return {absl::StrCat("the schema: ", compiled.status().message())};
  if (absl::Status json = CheckJson(value); !json.ok()) return {std::string(json.message())};
  const Json json = Json::parse(value, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return {"not JSON"};
  valijson::ValidationResults results;
  try {
    valijson::Validator validator;
    const valijson::adapters::NlohmannJsonAdapter target(json);
    if (validator.validate((*compiled)->schema, target, &results)) return {};
  } catch (const std::exception& e) {
    return {e.what()};
  }
  std::vector<std::string> violations;
  for (const valijson::ValidationResults::Error& error : results) {
    // Of a failure deep inside, only the innermost says what is wrong.
    if (absl::StartsWith(error.description, "Failed to validate") &&
        !absl::StartsWith(error.description, "Failed to validate against any schemas") &&
        !absl::StartsWith(error.description, "Failed to validate against exactly one")) {
      continue;
    }
    if (violations.size() == kViolationsMax) break;
    const std::string pointer = Pointer(error.context);
    const std::string problem = InOurWords(error.description, pointer.empty() ? schema : "");
    violations.push_back(pointer.empty() ? problem : absl::StrCat(pointer, ": ", problem));
  }
  if (violations.empty()) violations.push_back("does not satisfy the schema");
  return violations;
}

}  // namespace beamline::flowspec
