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

std::string Digit64(char digit) { return std::string(64, digit); }

TEST_CASE("the digest of a flow covers the files that it brings, in whatever order they come") {
  const Manifest alone = MakeManifest(Digit64('a'), {});
  CHECK(alone.Digest() == Digit64('a'));  // nothing but itself
  const Manifest both = MakeManifest(
      Digit64('a'), {{"lib/x y.flow.yaml", Digit64('c')}, {"b.flow.yaml", Digit64('b')}});
  CHECK(both.Digest() == MakeManifest(Digit64('a'), {{"b.flow.yaml", Digit64('b')},
                                                     {"lib/x y.flow.yaml", Digit64('c')}})
                             .Digest());
  CHECK(both.Digest() != alone.Digest());
  CHECK(both.Digest() != MakeManifest(Digit64('a'), {{"lib/x y.flow.yaml", Digit64('b')},
                                                     {"b.flow.yaml", Digit64('c')}})
                             .Digest());
  const std::optional<Manifest> read = ReadManifest(both.Text());
  REQUIRE(read.has_value());
  CHECK(read->flow == Digit64('a'));
  REQUIRE(read->files.size() == 2);
  CHECK(read->files[1].path == "lib/x y.flow.yaml");
  CHECK(read->Digest() == both.Digest());
}

TEST_CASE("no flow passes for a manifest, and no broken one is read") {
  const std::string text = MakeManifest(Digit64('a'), {{"b.flow.yaml", Digit64('b')}}).Text();
  CHECK(ParseFlow(text).flow == nullptr);
  CHECK_FALSE(ReadManifest("beamline: flow/v1\nname: a\nsteps: [{id: a, run: 'true'}]\n"));
  for (size_t length = 0; length < text.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(ReadManifest(text.substr(0, length)));
  }
  CHECK_FALSE(ReadManifest(text + Digit64('c') + " ../c.flow.yaml\n"));
}

}  // namespace
}  // namespace beamline::flowspec
