// The files that travel with a flow.
#include "flowspec/bundle.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/flow_file.h"
#include "cli/output.h"

namespace beamline::cli {
namespace {

// A directory of flows, and what collecting from it said.
class Flows {
 public:
  Flows() {
    REQUIRE(mkdtemp(path_.data()) != nullptr);
    context_.err.writer = &err_;
    context_.out.writer = &err_;
  }
  ~Flows() { std::filesystem::remove_all(path_); }

  std::string At(const std::string& name) const { return path_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(At(name)).parent_path());
    std::ofstream(At(name)) << text;
  }
  // A flow with a step per file that it uses.
  void Flow(const std::string& name, const std::vector<std::string>& uses) {
    std::string text = "beamline: flow/v1\nname: x\nsteps:\n  - {id: first, set: {x: 1}}\n";
    for (size_t i = 0; i < uses.size(); ++i) {
      absl::StrAppend(&text, "  - {id: u", i, ", flow: {uses: ", uses[i], "}}\n");
    }
    Write(name, text);
  }
  // The paths of the bundle of main.flow.yaml, or "exit CODE".
  std::string Collect() {
    int code = kExitOk;
    const auto flow = LoadFlow(context_, At("main.flow.yaml"), &code);
    REQUIRE(flow != nullptr);
    const auto files = LoadBundle(context_, At("main.flow.yaml"), *flow, &code);
    if (!files) return absl::StrCat("exit ", code);
    std::string paths;
    for (const BundleFile& file : *files)
      absl::StrAppend(&paths, paths.empty() ? "" : " ", file.path);
    return paths;
  }
  const std::string& said() const { return err_.text(); }

 private:
  std::string path_ = "/tmp/bl-bundle-XXXXXX";
  StringWriter err_;
  Context context_;
};

TEST_CASE("files are found through each other, each once, circles and all") {
  Flows flows;
  flows.Flow("main.flow.yaml", {"./a.flow.yaml", "./lib/b.flow.yaml"});
  flows.Flow("a.flow.yaml", {"./lib/b.flow.yaml", "./lib/../main.flow.yaml"});
  flows.Flow("lib/b.flow.yaml", {"../a.flow.yaml", "./c.flow.yaml"});
  flows.Flow("lib/c.flow.yaml", {"./c.flow.yaml"});
  CHECK(flows.Collect() == "a.flow.yaml lib/b.flow.yaml main.flow.yaml lib/c.flow.yaml");
  CHECK(flows.said().empty());
}

TEST_CASE("mistakes are told with the file that has them, or that leads to them") {
  Flows flows;
  flows.Flow("main.flow.yaml", {"./a.flow.yaml"});
  SUBCASE("missing") {
    CHECK(flows.Collect() == "exit 5");
    CHECK(absl::StrContains(flows.said(), "main.flow.yaml:5: cannot read "));
    CHECK(absl::StrContains(flows.said(), "a.flow.yaml: No such file or directory"));
  }
  SUBCASE("not valid") {
    flows.Write("a.flow.yaml", "beamline: flow/v1\nname: a\nsteps:\n  - {id: a, rum: x}\n");
    CHECK(flows.Collect() == "exit 3");
    CHECK(absl::StrContains(flows.said(), flows.At("a.flow.yaml") + ":4:"));
  }
  SUBCASE("outside") {
    flows.Flow("main.flow.yaml", {"../a.flow.yaml"});
    CHECK(flows.Collect() == "exit 3");
    CHECK(absl::StrContains(flows.said(), "main.flow.yaml:5: `../a.flow.yaml` leads out of"));
  }
  SUBCASE("no file, and nothing to wait for") {
    REQUIRE(mkfifo(flows.At("a.flow.yaml").c_str(), 0600) == 0);
    CHECK(flows.Collect() == "exit 3");
    CHECK(absl::StrContains(flows.said(), "a.flow.yaml is no file"));
  }
}

TEST_CASE("a bundle is bounded") {
  Flows flows;
  std::vector<std::string> uses;
  for (int i = 0; i < flowspec::kBundleFilesMax; ++i) {
    flows.Flow(absl::StrCat("f", i, ".flow.yaml"), {});
    uses.push_back(absl::StrCat("./f", i, ".flow.yaml"));
  }
  flows.Flow("main.flow.yaml", uses);
  CHECK(absl::StartsWith(flows.Collect(), "f0.flow.yaml f1.flow.yaml"));
  SUBCASE("in files") {
    flows.Flow("f9.flow.yaml", {"./more.flow.yaml"});
    CHECK(flows.Collect() == "exit 3");
    CHECK(absl::StrContains(flows.said(), "leads to over 64 files"));
  }
  SUBCASE("in depth") {
    flows.Flow("main.flow.yaml", {"./f0.flow.yaml"});
    for (int i = 0; i < 20; ++i) {
      flows.Flow(absl::StrCat("f", i, ".flow.yaml"), {absl::StrCat("./f", i + 1, ".flow.yaml")});
    }
    CHECK(flows.Collect() == "exit 3");
    CHECK(absl::StrContains(flows.said(), "over 16 levels deep"));
  }
  SUBCASE("in bytes") {
    for (int i = 0; i < 5; ++i) {
      flows.Write(absl::StrCat("f", i, ".flow.yaml"),
                  "beamline: flow/v1\nname: x\nsteps: [{id: a, set: {}}]\n#" +
                      std::string(1'000'000, 'x') + "\n");
    }
    CHECK(flows.Collect() == "exit 3");
    CHECK(absl::StrContains(flows.said(), "over 4 MiB"));
  }
}

}  // namespace
}  // namespace beamline::cli
