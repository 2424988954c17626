#include "flowspec/bundle.h"

#include <doctest/doctest.h>

#include "flowspec/parse.h"

namespace beamline::flowspec {
namespace {

std::string Resolved(std::string_view including, std::string_view uses) {
  const absl::StatusOr<std::string> path = ResolveUse(including, uses);
  return path.ok() ? *path : "error: " + std::string(path.status().message());
}

TEST_CASE("a flow names the files that it uses, each once") {
  const ParseResult parsed = ParseFlow(
      "beamline: flow/v1\n"
      "name: release\n"
      "steps:\n"
      "  - id: unit\n"
      "    flow: {uses: ./test.flow.yaml, inputs: {what: '${{ inputs.what }}'}}\n"
      "  - id: again\n"
      "    flow: {uses: ./test.flow.yaml}\n"
      "  - id: group\n"
      "    do:\n"
      "      - id: deep\n"
      "        flow: {uses: ../shop/deploy.flow.yaml}\n"
      "  - id: pinned\n"
      "    flow: {uses: 'other@sha256:"
      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}\n"
      "  - id: plain\n"
      "    run: 'echo ./no.flow.yaml'\n"
      "inputs:\n"
      "  what: {type: string}\n");
  REQUIRE(parsed.flow != nullptr);
  const std::vector<FileUse> uses = FileUses(*parsed.flow);
  REQUIRE(uses.size() == 2);
  CHECK(uses[0].path == "./test.flow.yaml");
  CHECK(uses[0].span.line == 4);
  CHECK(uses[1].path == "../shop/deploy.flow.yaml");
}

TEST_CASE("a use is resolved against the file that holds it") {
  CHECK(Resolved("", "./a.flow.yaml") == "a.flow.yaml");
  CHECK(Resolved("main.flow.yaml", "./a.flow.yaml") == "a.flow.yaml");
  CHECK(Resolved("main.flow.yaml", "./lib/./a.flow.yaml") == "lib/a.flow.yaml");
  CHECK(Resolved("lib/b.flow.yaml", "./a.flow.yaml") == "lib/a.flow.yaml");
  CHECK(Resolved("lib/b.flow.yaml", "../a.flow.yaml") == "a.flow.yaml");
  CHECK(Resolved("lib/b.flow.yaml", "../lib/x/../a.flow.yaml") == "lib/a.flow.yaml");
}

TEST_CASE("nothing leads out of the directory of the flow that is started") {
  for (const char* uses : {"../a.flow.yaml", "./../a.flow.yaml", "./lib/../../a.flow.yaml"}) {
    CAPTURE(uses);
    CHECK(Resolved("main.flow.yaml", uses).find("leads out of the directory") != std::string::npos);
  }
  CHECK(Resolved("lib/b.flow.yaml", "../../a.flow.yaml").find("leads out") != std::string::npos);
  CHECK(Resolved("main.flow.yaml", "/etc/a.flow.yaml").find("no relative path") !=
        std::string::npos);
  CHECK(Resolved("main.flow.yaml", "./.").find("names no file") != std::string::npos);
}

TEST_CASE("names in a bundle are relative and normalised") {
  for (const char* path : {"a.flow.yaml", "lib/a.flow.yaml", "…/ü.flow.yaml", "..a/b"}) {
    CAPTURE(path);
    CHECK(IsBundlePath(path));
  }
  for (const char* path :
       {"", "/a", "a/", "a//b", "./a", "a/./b", "../a", "a/../b", "a\nb", ".."}) {
    CAPTURE(path);
    CHECK_FALSE(IsBundlePath(path));
  }
  CHECK_FALSE(IsBundlePath(std::string("a\0b", 3)));
  CHECK(IsBundlePath(std::string(kBundlePathBytesMax, 'a')));
  CHECK_FALSE(IsBundlePath(std::string(kBundlePathBytesMax + 1, 'a')));
}

}  // namespace
}  // namespace beamline::flowspec
