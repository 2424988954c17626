// The files under man/ and completions/ say what the command table says.
#include "cli/manual.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "absl/strings/str_replace.h"
#include "cli/completion.h"
#include "flowspec/parse.h"

namespace {

std::string Content(const std::string& path) {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR "/") + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("manual pages are those of the table (if not: beamline __generate .)") {
  for (const auto& page : beamline::cli::ManualPages()) {
    CAPTURE(page.file);
    CHECK(Content("man/" + page.file) == page.text);
  }
}

TEST_CASE("the flows of the manual are valid") {
  const std::string page = beamline::cli::FlowManual("today");
  const std::string begin = ".Bd -literal -offset indent\nbeamline:";
  int flows = 0;
  for (size_t at = page.find(begin); at != std::string::npos; at = page.find(begin, at + 1)) {
    const size_t start = page.find("\nbeamline:", at) + 1;
    const std::string flow = absl::StrReplaceAll(
        page.substr(start, page.find(".Ed\n", start) - start),
        {{"\\(aq", "'"}, {"\\(dq", "\""}, {"\\-", "-"}, {"\\e", "\\"}, {"\\(ti", "~"}});
    CAPTURE(flow);
    CHECK(beamline::flowspec::ParseFlow(flow).findings.empty());
    ++flows;
  }
  CHECK(flows == 2);
}

TEST_CASE("completion scripts are those of the program (if not: beamline __generate .)") {
  CHECK(Content("completions/beamline.bash") == beamline::cli::CompletionScript("bash"));
  CHECK(Content("completions/_beamline") == beamline::cli::CompletionScript("zsh"));
  CHECK(Content("completions/beamline.fish") == beamline::cli::CompletionScript("fish"));
}
