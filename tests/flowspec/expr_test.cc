// Reading paths out of JSON text, quoting, and filling templates.
#include "flowspec/expr.h"

#include <doctest/doctest.h>

#include <map>

namespace beamline::flowspec {
namespace {

PathKey Key(std::string name) { return {std::move(name), -1}; }
PathKey At(int64_t index) { return {"", index}; }

std::string Read(std::string_view json, const std::vector<PathKey>& keys) {
  const absl::StatusOr<std::string> value = ReadPath(json, keys);
  return value.ok() ? *value : "error: " + std::string(value.status().message());
}

TEST_CASE("a path reads the value below its keys") {
  constexpr std::string_view kJson =
      R"({"a": {"b": [10, {"c": "x y"}]}, "é": 1, "q\"k": 2, "esc\u0061pe": 3, "\ud83d\ude00": 4})";
  CHECK(Read(kJson, {Key("a"), Key("b"), At(0)}) == "10");
  CHECK(Read(kJson, {Key("a"), Key("b"), At(1), Key("c")}) == R"("x y")");
  CHECK(Read(kJson, {Key("é")}) == "1");
  CHECK(Read(kJson, {Key("q\"k")}) == "2");
  CHECK(Read(kJson, {Key("escape")}) == "3");
  CHECK(Read(kJson, {Key("\xF0\x9F\x98\x80")}) == "4");
}

TEST_CASE("values come out compact, their strings untouched") {
  CHECK(Read(" { \"a\" : [ 1 , \"b  \\\" c\" ,\n{ } ] } ", {Key("a")}) == R"([1,"b  \" c",{}])");
  CHECK(Read(" [1, 2]\n", {}) == "[1,2]");
}

TEST_CASE("numbers keep every digit") {
  CHECK(Read(R"({"n":9007199254740993})", {Key("n")}) == "9007199254740993");
  CHECK(Read(R"({"n":123456789012345678901234567890})", {Key("n")}) ==
        "123456789012345678901234567890");
  CHECK(Read(R"({"n":1.0})", {Key("n")}) == "1.0");
  CHECK(Read(R"({"n":-1.50e+10})", {Key("n")}) == "-1.50e+10");
}

TEST_CASE("what is missing is null, and so is a key of null") {
  CHECK(Read(R"({"a":null})", {Key("b")}) == "null");
  CHECK(Read(R"({"a":null})", {Key("a"), Key("b"), At(3)}) == "null");
  CHECK(Read("[1]", {At(1)}) == "null");
}

TEST_CASE("indexing a scalar, or an array by name, is an error as in jq") {
  CHECK(Read(R"({"a":"text"})", {Key("a"), Key("b")}) == "error: cannot read \"b\" of a string");
  CHECK(Read(R"({"a":1})", {Key("a"), Key("b")}) == "error: cannot read \"b\" of a number");
  CHECK(Read(R"({"a":true})", {Key("a"), At(0)}) == "error: cannot read [0] of a boolean");
  CHECK(Read(R"({"a":[1]})", {Key("a"), Key("b")}) == "error: cannot read \"b\" of an array");
  CHECK(Read(R"({"a":{}})", {Key("a"), At(0)}) == "error: cannot read [0] of an object");
}

TEST_CASE("of equal keys the last one counts") {
  CHECK(Read(R"({"a":1,"a":2})", {Key("a")}) == "2");
  CHECK(Read(R"({"a":{"b":1},"a":{}})", {Key("a"), Key("b")}) == "null");
  CHECK(Read(R"({"a":{"b":1},"a":null})", {Key("a"), Key("b")}) == "null");
  CHECK(Read(R"({"a":5,"a":{"b":1}})", {Key("a"), Key("b")}) == "1");
}

TEST_CASE("what is not JSON is refused, wherever the damage is") {
  for (const char* bad :
       {"",          " ",       "{",           "[1,", "[1,]",   "{\"a\":1,}", "{a:1}",
        "{\"a\" 1}", "01",      "1.",          "-",   "1e",     "+1",         "nul",
        "nan",       "\"\\x\"", "\"\\u12g4\"", "\"a", "\"\n\"", "[1] 2",      "{\"a\":1}}"}) {
    CAPTURE(bad);
    CHECK(ReadPath(bad, {Key("a")}).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(Read(std::string_view("[1\0]", 4), {}) == "error: not JSON at byte 2");
}

TEST_CASE("nesting is bounded") {
  const auto nested = [](int levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  CHECK(ReadPath(nested(256), {}).ok());
  CHECK(Read(nested(300), {}) == "error: the JSON nests deeper than 256 levels");
  CHECK(Read(std::string(5'000'000, '['), {}) == "error: the JSON nests deeper than 256 levels");
}

TEST_CASE("quoting escapes what JSON wants escaped and repairs what is not UTF-8") {
  CHECK(QuoteJson("a\"b\\c\n\t\r\x01") == R"("a\"b\\c\n\t\r\u0001")");
  CHECK(QuoteJson("é😀") == "\"é😀\"");
  CHECK(QuoteJson("a\xFFz") == "\"a\xEF\xBF\xBDz\"");
  CHECK(QuoteJson("\xC3") == "\"\xEF\xBF\xBD\"");                      // cut off
  CHECK(QuoteJson("\xED\xA0\x80").find('\xED') == std::string::npos);  // a surrogate
  CHECK(QuoteJson("\xC0\xAF").find('\xC0') == std::string::npos);      // overlong
}

Template Interpolated() {
  return {{{Piece::Kind::kText, "\"Hi "},
           {Piece::Kind::kInterpolated, "", 7},
           {Piece::Kind::kText, "!\""}}};
}

std::string Filled(const Template& t, std::map<ExprIndex, std::string> results) {
  const absl::StatusOr<std::string> json =
      Render(t, [&](ExprIndex i) -> const std::string& { return results.at(i); });
  return json.ok() ? *json : "error: " + std::string(json.status().message());
}

TEST_CASE("a value hole keeps the type of its result") {
  const Template t{
      {{Piece::Kind::kText, "{\"a\":"}, {Piece::Kind::kValue, "", 0}, {Piece::Kind::kText, "}"}}};
  CHECK(Filled(t, {{0, "[1,null]"}}) == "{\"a\":[1,null]}");
  CHECK(Filled(t, {{0, "null"}}) == "{\"a\":null}");
}

TEST_CASE("an interpolated hole takes its result as text") {
  CHECK(Filled(Interpolated(), {{7, R"("A \"B\"")"}}) == R"("Hi A \"B\"!")");
  CHECK(Filled(Interpolated(), {{7, "1.0"}}) == R"("Hi 1.0!")");
  CHECK(Filled(Interpolated(), {{7, "false"}}) == R"("Hi false!")");
  CHECK(Filled(Interpolated(), {{7, R"({"a":"b"})"}}) == R"("Hi {\"a\":\"b\"}!")");
}

TEST_CASE("null inside text is an error") {
  CHECK(Filled(Interpolated(), {{7, "null"}}) ==
        "error: null stands inside text; give it a value with `| default(\"…\")`");
}

TEST_CASE("a template knows its holes, each once and in order") {
  const Template t{{{Piece::Kind::kInterpolated, "", 4},
                    {Piece::Kind::kText, " "},
                    {Piece::Kind::kValue, "", 2},
                    {Piece::Kind::kInterpolated, "", 4}}};
  CHECK(t.Holes() == std::vector<ExprIndex>{4, 2});
  CHECK_FALSE(t.constant());
  CHECK(Template{{{Piece::Kind::kText, "1"}}}.constant());
}

}  // namespace
}  // namespace beamline::flowspec
