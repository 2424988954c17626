// How findings look.
#include "flowspec/findings_text.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "flowspec/parse.h"

namespace beamline::flowspec {
namespace {

Finding Typo(Span span) {
  return {.code = "BL0203",
          .message = "unknown step `drfat`",
          .span = span,
          .label = "not a step in this flow",
          .help = "did you mean `draft`?",
          .fix = Fix{span, "draft"}};
}

TEST_CASE("text has the line, carets under the span, help and where to read on") {
  const std::string source = "steps:\n  show: '${{ steps.drfat.output }}'\n";
  CHECK(FindingsText({"a.flow.yaml", source, {Typo({2, 20, 5})}}) ==
        "error[BL0203]: unknown step `drfat`\n"
        " --> a.flow.yaml:2:20\n"
        "  |\n"
        "2 |   show: '${{ steps.drfat.output }}'\n"
        "  |                    ^^^^^ not a step in this flow\n"
        "  = help: did you mean `draft`?  (apply: beamline validate --fix)\n"
        "  = more: beamline explain BL0203\n\n");
}

// The line of carets for a span in `line`.
std::string Carets(const std::string& line, int column, int length, int columns = 100) {
  Finding finding{.code = "BL0203", .message = "m", .span = {1, column, length}};
  const std::string text = FindingsText({"f", line, {finding}}, {.columns = columns});
  const size_t start = text.find("1 | ");
  return text.substr(start, text.find("  = more") - start);
}

TEST_CASE("carets stay under their text whatever its width") {
  CHECK(Carets("a\tb", 3, 1) == "1 | a    b\n  |      ^\n");
  CHECK(Carets("ünï x", 7, 1) == "1 | ünï x\n  |     ^\n");
  CHECK(Carets("日本 x", 8, 1) == "1 | 日本 x\n  |      ^\n");
  CHECK(Carets("x 日本", 3, 6) == "1 | x 日本\n  |   ^^^^\n");
  CHECK(Carets("end", 4, 0) == "1 | end\n  |    ^\n");
}

TEST_CASE("long lines are cut around the span") {
  const std::string line = std::string(300, 'a') + "HERE" + std::string(300, 'b');
  const std::string shown = Carets(line, 301, 4, 60);
  CHECK(shown.find("aHEREb") != std::string::npos);
  CHECK(shown.size() < 160);
  const size_t here = shown.find("HERE") - std::string("…").size() + 1;
  CHECK(shown.find('^') - shown.find('\n') - 1 == here);
}

TEST_CASE("what a file holds cannot steer the terminal") {
  Finding finding{.code = "BL0101", .message = "unknown key `\x1b[31m`", .span = {1, 1, 1}};
  const std::string text = FindingsText({"f\x1b]0;", "\x1b[2Jx: \xff", {finding}});
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(FindingsText({"f", "x", {finding}}, {.color = true}).find("\x1b[1;31merror") == 0);
}

TEST_CASE("GitHub annotations are escaped and count characters") {
  Finding finding{.code = "BL0101", .message = "100% wrong,\nreally: yes", .span = {1, 4, 2}};
  CHECK(FindingsGithub({{"a,b:c.yaml", "ü xy", {finding}}}) ==
        "::error file=a%2Cb%3Ac.yaml,line=1,col=3,endColumn=5,title=BL0101::"
        "100%25 wrong,%0Areally: yes\n");
}

TEST_CASE("JSON and SARIF say the same") {
  const FileFindings file{"dir/a b.yaml", "x: drfat\n", {Typo({1, 4, 5})}};
  const std::string json = FindingsJson({file});
  CHECK(json.find(R"("column": 4)") != std::string::npos);
  CHECK(json.find(R"("text": "draft")") != std::string::npos);
  const std::string sarif = FindingsSarif({file});
  CHECK(sarif.find(R"("uri": "dir/a%20b.yaml")") != std::string::npos);
  CHECK(sarif.find(R"("ruleId": "BL0203")") != std::string::npos);
  CHECK(sarif.find(R"("endColumn": 9)") != std::string::npos);
  CHECK(sarif.find(R"("insertedContent")") != std::string::npos);
  CHECK(FindingsJson({}) == "[]\n");
}

TEST_CASE("fixes are applied from the same source, the first of those that overlap") {
  const std::string source = "a: drfat\nb: drfat\n";
  CHECK(ApplyFixes(source, {Typo({2, 4, 5}), Typo({1, 4, 5}), Typo({1, 5, 2})}) ==
        "a: draft\nb: draft\n");
  CHECK(ApplyFixes(source, {Typo({9, 4, 5})}) == source);
}

TEST_CASE("did you mean") {
  const std::vector<std::string> names{"timeout", "deadline", "needs", "a"};
  CHECK(DidYouMean("timout", names) == "timeout");
  CHECK(DidYouMean("tiemout", names) == "timeout");
  CHECK(DidYouMean("nedes", names) == "needs");
  CHECK(DidYouMean("b", names) == "a");
  CHECK(DidYouMean("xyz", names) == "");
}

}  // namespace
}  // namespace beamline::flowspec
