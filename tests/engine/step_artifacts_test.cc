// Which artifacts a step gets to read, and where they lie.
#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/engine/fake_world.h"

namespace beamline::engine {
namespace {

using Refs = std::vector<run::ArtifactRef>;

run::ReportAttempt Made(Refs artifacts) {
  run::ReportAttempt report;
  report.artifacts = std::move(artifacts);
  return report;
}

// "build:bin test:gcc/bin,gcc/out/a.xml": what the last attempt of `path` could read.
std::string Seen(const Bench& bench, const std::string& path) {
  std::vector<std::string> trees;
  for (const ports::Attempt& attempt : bench.executor->started) {
    if (attempt.path != path) continue;
    trees.clear();
    for (const auto& tree : attempt.inputs) {
      std::vector<std::string> files;
      for (const auto& file : tree->files) files.push_back(file.place);
      trees.push_back(absl::StrCat(tree->step, ":", absl::StrJoin(files, ",")));
    }
  }
  return absl::StrJoin(trees, " ");
}

void Succeed(Bench& bench, const std::string& path, Refs artifacts = {}) {
  bench.executor->Finish(path, Made(std::move(artifacts)));
  bench.Settle();
}

TEST_CASE("a step sees what it needs, directly or through others, and not what merely is over") {
  Bench bench;
  bench.Run(R"(beamline: flow/v1
name: one
steps:
  - {id: a, needs: [], run: a, artifacts: {bin: a}}
  - {id: b, needs: [a], run: b, artifacts: {log: '*.log'}}
  - {id: other, needs: [], run: other, artifacts: {bin: o}}
  - {id: c, needs: [b], run: c}
finally:
  - {id: bye, run: bye}
)");
  Succeed(bench, "other", {{"bin", "o", "d1", 1}});
  Succeed(bench, "a", {{"bin", "a", "d2", 1}});
  CHECK(Seen(bench, "a") == "");
  CHECK(Seen(bench, "b") == "a:bin");
  Succeed(bench, "b",
          {{"log", "x.log", "d3", 1, "", true}, {"log", "./../y.log", "d4", 1, "", true}});
  CHECK(Seen(bench, "c") == "b:log/x.log,log/%2E%2E/y.log a:bin");
  Succeed(bench, "c");
  CHECK(Seen(bench, "bye") == "a:bin b:log/x.log,log/%2E%2E/y.log other:bin");
}

TEST_CASE("items lie by key, children of containers by id, a loop has its last round's") {
  Bench bench;
  bench.Run(R"(beamline: flow/v1
name: many
steps:
  - id: each
    foreach: {items: '["a/b", "c"]', as: row, key: row}
    do:
      - {id: make, run: make, artifacts: {bin: x}}
      - {id: look, run: look}
  - id: both
    parallel:
      - {id: left, run: left, artifacts: {l: x}}
  - id: again
    loop: {until: loop.index == 1, max: 3}
    run: again
    artifacts: {r: x}
  - {id: last, run: last}
)");
  Succeed(bench, "each[0]/make", {{"bin", "x", "d1", 1}});
  CHECK(Seen(bench, "each[0]/look") == "make:bin");
  Succeed(bench, "each[0]/look");
  Succeed(bench, "each[1]/make", {{"bin", "x", "d2", 1}});
  Succeed(bench, "each[1]/look");
  Succeed(bench, "both/left", {{"l", "x", "d3", 1}});
  Succeed(bench, "again[0]", {{"r", "x", "d4", 1}});
  Succeed(bench, "again[1]", {{"r", "x", "d5", 1}});
  CHECK(Seen(bench, "last") == "again:r both:left/l each:a%2Fb/make/bin,c/make/bin");
  CHECK(bench.executor->started.back().inputs[0]->files[0].sha256 == "d5");
}

TEST_CASE("attempts share what they read; after a crash they read the same") {
  Bench bench;
  bench.Run(R"(beamline: flow/v1
name: again
steps:
  - {id: a, run: a, artifacts: {bin: a}}
  - id: b
    foreach: {items: '[1, 2]'}
    run: b
    effect: idempotent
)");
  Succeed(bench, "a", {{"bin", "a", std::string(64, 'a'), 1}});
  const auto& started = bench.executor->started;
  REQUIRE(started.size() == 3);
  CHECK(started[1].inputs == started[2].inputs);
  const ports::ArtifactTree before = *started[1].inputs[0];
  bench.Crash();
  bench.Settle();
  REQUIRE(!bench.executor->started.empty());
  CHECK(*bench.executor->started.front().inputs[0] == before);
}

TEST_CASE("a step with too many files is left out, and says how many") {
  Bench bench;
  bench.Run(R"(beamline: flow/v1
name: flood
steps:
  - {id: a, run: a, artifacts: {all: '*'}}
  - {id: b, run: b}
)");
  Refs flood;
  for (size_t i = 0; i <= kTreeFilesMax; ++i) {
    flood.push_back({"all", absl::StrCat(i), "d", 1, "", true});
  }
  Succeed(bench, "a", std::move(flood));
  const auto& tree = *bench.executor->started.back().inputs.at(0);
  CHECK(tree.files.empty());
  CHECK(tree.left_out == kTreeFilesMax + 1);
}

TEST_CASE("a key becomes one file name, unlike any other key's") {
  CHECK(FileNameOf("gcc-release") == "gcc-release");
  CHECK(FileNameOf("a b ü") == "a b ü");
  CHECK(FileNameOf("a/b") == "a%2Fb");
  CHECK(FileNameOf("a%2Fb") == "a%252Fb");
  CHECK(FileNameOf("..") == "%2E.");
  CHECK(FileNameOf(".hidden") == "%2Ehidden");
  CHECK(FileNameOf("a\nb") == "a%0Ab");
  CHECK(FileNameOf("") == "%");
  const std::string long_key(1000, 'x');
  CHECK(FileNameOf(long_key).size() == 197);
  CHECK(FileNameOf(long_key) != FileNameOf(long_key + "x"));
}

}  // namespace
}  // namespace beamline::engine
