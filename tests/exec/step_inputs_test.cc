// $BEAMLINE_IN on disk: copies of blobs that no step can reach, made once per run.
#include "daemon/exec/step_inputs.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "daemon/store/blob_store.h"
#include "tests/exec/executor_fixture.h"

namespace beamline::exec {
namespace {

namespace fs = std::filesystem;

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Place {
  Place() : blobs(*store::FileBlobStore::Open(dir / "blobs")), inputs(*blobs) {}

  // An attempt that reads files of the step `build`.
  ports::Attempt Reading(const std::vector<std::pair<std::string, std::string>>& files) {
    auto tree = std::make_shared<ports::ArtifactTree>();
    tree->step = tree->path = "build";
    for (const auto& [place, content] : files) {
      tree->files.push_back({place, *blobs->Put(content), content.size()});
    }
    ports::Attempt attempt;
    attempt.inputs = {std::move(tree)};
    return attempt;
  }

  TemporaryDirectory dir;
  std::unique_ptr<store::FileBlobStore> blobs;
  StepInputs inputs;
};

TEST_CASE("files appear read-only; attempts of a run share one copy, of another run they do not") {
  Place place;
  const std::string large(1 << 20, 'x');
  ports::Attempt attempt = place.Reading({{"bin", "one"}, {"gcc/out/all", large}});
  CHECK_FALSE(place.inputs.Ready(attempt));
  REQUIRE(place.inputs.Make(attempt, place.dir / "1.in").ok());
  CHECK(Read(place.dir / "1.in/build/bin") == "one");
  CHECK(Read(place.dir / "1.in/build/gcc/out/all") == large);
  struct stat info {};
  REQUIRE(stat((place.dir / "1.in/build/bin").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0444);
  CHECK(info.st_nlink == 1);

  CHECK(place.inputs.Ready(attempt));
  REQUIRE(place.inputs.Make(attempt, place.dir / "2.in").ok());
  CHECK(fs::read_symlink(place.dir / "2.in/build") == fs::read_symlink(place.dir / "1.in/build"));
  attempt.run.bytes[0] = 1;
  CHECK_FALSE(place.inputs.Ready(attempt));

  StepInputs::Remove(attempt.inputs, place.dir / "2.in");
  CHECK_FALSE(fs::exists(place.dir / "2.in"));
  CHECK(Read(place.dir / "1.in/build/bin") == "one");
}

TEST_CASE("what a step does to its copy reaches neither the next attempt nor the blob") {
  Place place;
  const ports::Attempt attempt = place.Reading({{"bin", "one"}, {"log", "two"}});
  REQUIRE(place.inputs.Make(attempt, place.dir / "1.in").ok());
  const std::string bin = place.dir / "1.in/build/bin";
  const auto again = [&](const std::string& name) {
    REQUIRE(place.inputs.Make(attempt, place.dir / name).ok());
    CHECK(Read(place.dir / (name + "/build/bin")) == "one");
    CHECK(Read(place.dir / (name + "/build/log")) == "two");
  };
  SUBCASE("written to") {
    fs::permissions(bin, fs::perms::owner_all);
    std::ofstream(bin) << "bad";
    again("2.in");
  }
  SUBCASE("replaced by another of the same size") {
    fs::remove(bin);
    std::ofstream(bin) << "bad";
    again("2.in");
  }
  SUBCASE("removed") {
    fs::remove_all(fs::read_symlink(place.dir / "1.in/build"));
    again("2.in");
  }
  CHECK(*place.blobs->Get(attempt.inputs[0]->files[0].sha256) == "one");
}

TEST_CASE("a blob that is gone or damaged fails the attempt and leaves nothing behind") {
  Place place;
  const std::string large(1 << 20, 'x');
  const ports::Attempt attempt = place.Reading({{"small", "one"}, {"large", large}});
  SUBCASE("gone") { fs::remove(place.blobs->Path(attempt.inputs[0]->files[0].sha256)); }
  SUBCASE("cut") { fs::resize_file(place.blobs->Path(attempt.inputs[0]->files[1].sha256), 7); }
  CHECK_FALSE(place.inputs.Make(attempt, place.dir / "1.in").ok());
  CHECK_FALSE(place.inputs.Ready(attempt));
  CHECK_FALSE(fs::exists(place.dir / "1.in"));
  CHECK_FALSE(fs::exists(place.dir / "1.in.0"));
}

TEST_CASE("a process finds them by $BEAMLINE_IN, which goes with the attempt") {
  ExecutorFixture f;
  ports::Attempt attempt = f.AttemptOf(ExecutorFixture::Script("ls \"$BEAMLINE_IN\""));
  auto left_out = std::make_shared<ports::ArtifactTree>();
  left_out->step = left_out->path = "flood";
  left_out->left_out = 20'001;
  attempt.inputs = {left_out};
  CHECK(f.Start(attempt).Wait().outcome == run::Outcome::kSucceeded);
  CHECK(absl::StrContains(f.sink.Text(ports::OutputStream::kStderr),
                          "step `flood` made 20001 files; that is too many"));

  // This store cannot give them: the step does not start.
  auto lost = std::make_shared<ports::ArtifactTree>();
  lost->step = lost->path = "build";
  lost->files = {{"bin", "3", 3}};
  attempt.attempt = 2;
  attempt.inputs = {lost};
  const run::ReportAttempt report = f.Start(attempt).Wait();
  CHECK(report.outcome == run::Outcome::kFailed);
  CHECK(report.error.kind == "artifact");
}

}  // namespace
}  // namespace beamline::exec
