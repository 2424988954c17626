// $BEAMLINE_OUTPUT and captured stdout: what they mean as JSON, and what is wrong with them.
#include "daemon/exec/step_output.h"

#include <doctest/doctest.h>

namespace beamline::exec {
namespace {

std::string Parsed(const std::string& text) {
  const absl::StatusOr<std::string> result = ParseStepOutput(text);
  return result.ok() ? *result : std::string(result.status().message());
}

std::string TextOf(const absl::StatusOr<std::string>& result) {
  return result.ok() ? *result : std::string(result.status().message());
}

TEST_CASE("three kinds of lines") {
  CHECK(Parsed("name=value = more\n") == R"({"name":"value = more"})");
  CHECK(Parsed("n:=[1, 2.50,\"x\"]\n") == R"({"n":[1,2.5,"x"]})");
  CHECK(Parsed("text<<END\none\n\n  two\nEND\nafter=1\n") ==
        R"({"after":"1","text":"one\n\n  two"})");
  CHECK(Parsed("empty=\nnothing<<E\nE\n") == R"({"empty":"","nothing":""})");
}

TEST_CASE("nothing written is no object") {
  CHECK(Parsed("").empty());
  CHECK(Parsed("\n  \n").empty());
}

TEST_CASE("the last line needs no newline, and the last value of a name counts") {
  CHECK(Parsed("a=1\na:=2") == R"({"a":2})");
}

TEST_CASE("integers keep all their digits") {
  CHECK(Parsed("n:=9007199254740993") == R"({"n":9007199254740993})");
}

TEST_CASE("a bad line is named") {
  CHECK(Parsed("a=1\nhello world\n") ==
        "line 2: expected name=value, name:=json or name<<WORD, found \"hello world\"");
  CHECK(Parsed("1a=2").starts_with("line 1: expected"));
  CHECK(Parsed("a<<\n").starts_with("line 1: expected"));
  CHECK(Parsed("x=1\nt<<END\nmore\n") == "line 2: no line that is just \"END\" ends this value");
  CHECK(Parsed("\nj:={oops}").starts_with("line 2: not JSON: parse error at line 1, column 2"));
  CHECK(Parsed("a=\xff\n") == "line 1: not UTF-8");
  CHECK(Parsed("a<<E\nfine\n\xc0\xaf\nE\n") == "line 3: not UTF-8");
}

TEST_CASE("depth and size are bounded") {
  CHECK(Parsed("d:=" + std::string(128, '[') + std::string(128, ']')).starts_with("{"));
  CHECK(Parsed("d:=" + std::string(1000000, '[')) == "line 1: nested deeper than 128");
  CHECK(ParseStepOutput("a=" + std::string(kStepOutputBytesMax, 'x')).status().code() ==
        absl::StatusCode::kResourceExhausted);
}

TEST_CASE("capture: text drops one newline, lines are an array, json is itself") {
  CHECK(TextOf(CaptureText("a\n\n")) == R"("a\n")");
  CHECK(TextOf(CaptureText("")) == R"("")");
  CHECK(TextOf(CaptureLines("a\n\nb")) == R"(["a","","b"])");
  CHECK(TextOf(CaptureLines("")) == "[]");
  CHECK(TextOf(CaptureJson(" {\"b\": 1,\n\"a\": [true]}\n")) == R"({"a":[true],"b":1})");
}

TEST_CASE("what cannot be captured") {
  CHECK(TextOf(CaptureText("\xff")).starts_with("stdout is not UTF-8"));
  CHECK(TextOf(CaptureJson("\n")) == "stdout is empty, not JSON");
  CHECK(TextOf(CaptureJson("{} {}")).starts_with("stdout is not JSON: parse error"));
  CHECK(TextOf(CaptureJson(std::string(200, '['))) == "stdout is nested deeper than 128");
}

}  // namespace
}  // namespace beamline::exec
