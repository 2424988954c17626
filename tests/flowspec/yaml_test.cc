// YAML: types of plain scalars, places, and limits.
#include "flowspec/yaml.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "flowspec/digest.h"
#include "flowspec/parse.h"

namespace beamline::flowspec {
namespace {

std::string Json(const std::string& source) {
  Findings findings;
  const LineTable lines(source);
  const NodePtr root = ParseYaml(source, lines, &findings);
  return root == nullptr ? findings.at(0).code : JsonOf(*root);
}

// The source text under the span of `part` within the value of key `x`.
std::string TextAt(const std::string& source, std::string_view part) {
  Findings findings;
  const LineTable lines(source);
  const NodePtr root = ParseYaml(source, lines, &findings);
  REQUIRE(root != nullptr);
  const Node* node = root->Find("x");
  REQUIRE(node != nullptr);
  const size_t at = node->text.find(part);
  REQUIRE(at != std::string::npos);
  const Span span = ScalarPlaces(*node, source, lines).At(at, part.size());
  return source.substr(lines.Offset(span), span.length);
}

TEST_CASE("plain scalars are what JSON can hold, everything else is text") {
  CHECK(Json("[true, False, null, ~, 1, -2.50, 1e3, 9007199254740993]") ==
        "[true,false,null,null,1,-2.50,1e3,9007199254740993]");
  CHECK(Json("[yes, no, on, off, 017, 0x1f, .inf, 1_000, +1, 1., 1e999, 2031-05-17]") ==
        R"(["yes","no","on","off","017","0x1f",".inf","1_000","+1","1.","1e999","2031-05-17"])");
  CHECK(Json("['true', \"1\", 'null']") == R"(["true","1","null"])");
  CHECK(Json("on: {a: , \"b\": ''}") == R"({"on":{"a":null,"b":""}})");
  CHECK(Json("a: &x {k: [1]}\nb: *x") == R"({"a":{"k":[1]},"b":{"k":[1]}})");
  CHECK(Json("\xef\xbb\xbf"
             "a: 1") == R"({"a":1})");
}

TEST_CASE("places of bytes within scalars") {
  CHECK(TextAt("x: a plain steps.x text", "steps.x") == "steps.x");
  CHECK(TextAt("x: plain\n   goes on steps.x", "steps.x") == "steps.x");
  CHECK(TextAt("x: 'it''s steps.x'", "steps.x") == "steps.x");
  CHECK(TextAt("x: \"\\u00fc\\n\\\"\\x41 steps.x\"", "steps.x") == "steps.x");
  CHECK(TextAt("x: \"folded\n\n   over steps.x\"", "steps.x") == "steps.x");
  CHECK(TextAt("x: \"joined \\\n   steps.x\"", "steps.x") == "steps.x");
  CHECK(TextAt("x: |2- # hi steps.x\n    a\n\n    ünï steps.x\n", "steps.x") == "steps.x");
  CHECK(TextAt("x: >\n  folded\n  steps.x\n", "steps.x") == "steps.x");
  CHECK(TextAt("x: &anchor |\n  steps.x\n", "steps.x") == "steps.x");
}

TEST_CASE("limits hold in bounded time and memory") {
  CHECK(Json(std::string(kSourceBytesMax + 1, 'a')) == "BL0001");
  CHECK(Json(std::string(kSourceBytesMax - 1, '[')) == "BL0006");
  std::string wide = "&a " + std::string(200'000, 'x');
  std::string list = "[" + wide;
  for (int i = 0; i < 9000; ++i) list += ", *a";
  CHECK(Json(list + "]") == "BL0007");
  std::string keys = "{";
  for (int i = 0; i < 50'000; ++i) keys += "k" + std::to_string(i) + ": 1, ";
  CHECK(Json(keys + "}").size() > 400'000);
}

TEST_CASE("the digest is SHA-256 of the bytes as given") {
  CHECK(Sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace beamline::flowspec
