// Data on stdout: formats, jq, tables; and how wide text is.
#include "cli/output.h"

#include <doctest/doctest.h>

#include "cli/text.h"

using beamline::cli::Context;
using beamline::cli::CutToWidth;
using beamline::cli::DisplayWidth;
using beamline::cli::Format;
using beamline::cli::Ink;
using beamline::cli::Paint;
using beamline::cli::Printable;
using beamline::cli::PrintData;
using beamline::cli::ShortDuration;
using beamline::cli::Stream;
using beamline::cli::StringWriter;
using beamline::cli::Table;
using beamline::cli::WrapText;

namespace {

struct Printed {
  int code;
  std::string out;
  std::string err;
};

Printed Print(const char* json, Format format, const char* jq = "") {
  StringWriter out;
  StringWriter err;
  Context context;
  context.out.writer = &out;
  context.err.writer = &err;
  context.format = format;
  context.jq = jq;
  const int code = PrintData(context, json);
  return {code, out.text(), err.text()};
}

}  // namespace

TEST_CASE("one value, four formats") {
  const char* kJson = R"([{"id":"a","n":1.50},{"id":"b"}])";
  CHECK(Print(kJson, Format::kJsonl).out == "{\"id\":\"a\",\"n\":1.5}\n{\"id\":\"b\"}\n");
  CHECK(Print(kJson, Format::kYaml).out == "- id: a\n  n: 1.5\n- id: b\n");
  CHECK(Print(kJson, Format::kNone).out == "");
  CHECK(Print("{\"b\":1,\"a\":[]}", Format::kJson).out == "{\n  \"b\": 1,\n  \"a\": []\n}\n");
}

TEST_CASE("YAML quotes what another reader would take for something else") {
  const std::string yaml =
      Print(R"({"a":"yes","b":"017","c":"1:30","d":"null","e":"","f":"plain text","g":"l1\nl2\n"})",
            Format::kYaml)
          .out;
  CHECK(yaml ==
        "a: \"yes\"\nb: \"017\"\nc: \"1:30\"\nd: \"null\"\ne: \"\"\nf: plain text\ng: |\n  l1\n  "
        "l2\n");
}

TEST_CASE("jq prints each result on a line, strings raw") {
  CHECK(Print(R"([{"id":"a"},{"id":"b"}])", Format::kText, ".[].id").out == "a\nb\n");
  CHECK(Print("{}", Format::kText, "1, {a: [2]}, null # comment").out == "1\n{\"a\":[2]}\nnull\n");
  CHECK(Print("{}", Format::kText, "empty").out == "");
  CHECK(Print("{}", Format::kJson, "\"text\"").out == "\"text\"\n");
}

TEST_CASE("a broken jq expression is the user's mistake") {
  const Printed printed = Print("{}", Format::kText, ".[");
  CHECK(printed.code == beamline::cli::kExitUsage);
  CHECK(printed.err.find("--jq: syntax error") != std::string::npos);
  CHECK(Print("{}", Format::kText, ".a.b.c").out == "null\n");
  CHECK(Print("[]", Format::kText, ".a").code == beamline::cli::kExitUsage);
}

TEST_CASE("what nests too deeply is refused, not recursed into") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK(Print(deep.c_str(), Format::kJson).code != 0);
  CHECK(Print(deep.c_str(), Format::kText, ".").code != 0);
}

TEST_CASE("columns that may shrink give way on a terminal only") {
  Table table({{"ID"}, {"WHAT", false, true}, {"N", true}});
  table.Add({{"a"}, {"a rather long description of it"}, {"7"}});
  table.Add({{"bcd"}, {"short"}, {"12"}});
  CHECK(table.Render(Stream{.tty = true}, 24) ==
        "ID   WHAT              N\na    a rather long …   7\nbcd  short            12\n");
  CHECK(table.Render(Stream{}, 24) ==
        "ID   WHAT                              N\n"
        "a    a rather long description of it   7\n"
        "bcd  short                            12\n");
}

TEST_CASE("width counts columns, not bytes") {
  CHECK(DisplayWidth("abc") == 3);
  CHECK(DisplayWidth("é") == 1);
  CHECK(DisplayWidth("e\u0301") == 1);
  CHECK(DisplayWidth("日本") == 4);
  CHECK(DisplayWidth("🚀") == 2);
  CHECK(DisplayWidth("✔ ok") == 4);
  CHECK(DisplayWidth(Paint(true, Ink::kRed, "red")) == 3);
  CHECK(DisplayWidth("\xff\xfe") == 2);
  CHECK(CutToWidth("日本語", 5) == "日本…");
  CHECK(CutToWidth("abc", 3) == "abc");
}

TEST_CASE("text from elsewhere cannot steer the terminal") {
  CHECK(Printable("a\033[2Jb\nc\u202Ed") == "a[2Jb cd");
  CHECK(Printable("\xff") == "\uFFFD");
}

TEST_CASE("durations have at most two units") {
  CHECK(ShortDuration(absl::Milliseconds(42)) == "42ms");
  CHECK(ShortDuration(absl::Milliseconds(812)) == "0.8s");
  CHECK(ShortDuration(absl::Seconds(71)) == "1m11s");
  CHECK(ShortDuration(absl::Minutes(125)) == "2h05m");
  CHECK(ShortDuration(absl::Hours(76)) == "3d4h");
}

TEST_CASE("lines break at blanks") {
  CHECK(WrapText("one two  three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(WrapText("", 7).empty());
}
