// What stands before a run: inputs, places, times, and errors that come back.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/exit_code.h"
#include "cli/inputs.h"
#include "cli/places.h"
#include "cli/run_name.h"
#include "flowspec/parse.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "beamline-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return *this / name;
  }

 private:
  fs::path path_;
};

std::shared_ptr<const flowspec::Flow> FlowWithInputs() {
  auto result = flowspec::ParseFlow(R"(beamline: flow/v1
name: f
inputs:
  who: {type: string, default: x}
  times: {type: integer, default: 1}
  loud: {type: boolean, default: false}
  tags: {type: array, default: []}
steps:
  - {id: a, run: 'true'}
)");
  REQUIRE(result.flow != nullptr);
  return result.flow;
}

std::string Inputs(std::vector<std::string> pairs, const std::string& file = "") {
  auto inputs = ReadInputs(*FlowWithInputs(), {.pairs = std::move(pairs), .file = file});
  return inputs.ok() ? *inputs : "error: " + std::string(inputs.status().message());
}

TEST_CASE("inputs take the type that the flow states") {
  CHECK(Inputs({"who=12", "times=12", "loud=true", "tags=[\"a\"]"}) ==
        R"({"who":"12","times":12,"loud":true,"tags":["a"]})");
  CHECK(Inputs({"who=a=b", "who=last"}) == R"({"who":"last"})");
  // The check of the inputs says what is wanted.
  CHECK(Inputs({"times=many"}) == R"({"times":"many"})");
}

TEST_CASE("inputs as JSON keep their digits") {
  CHECK(Inputs({"who:=9007199254740993"}) == R"({"who":9007199254740993})");
  CHECK(Inputs({"who:={"}).starts_with("error: the value of `who` is not JSON"));
}

TEST_CASE("inputs come from files, and pairs win") {
  TemporaryDirectory dir;
  const std::string text = dir.Write("text", "a \"line\"\n");
  CHECK(Inputs({"who=@" + text}) == R"({"who":"a \"line\"\n"})");
  CHECK(Inputs({"who=@" + dir / "none"}).starts_with("error: cannot read"));
  const std::string yaml = dir.Write("in.yaml", "who: yes\ntimes: 3\n");
  CHECK(Inputs({"times=4"}, yaml) == R"({"who":"yes","times":4})");
  CHECK(Inputs({}, dir.Write("list", "[1]")).ends_with("it is no map of names to values"));
}

TEST_CASE("what is no pair is told") {
  for (const char* pair : {"who", "=x", ":=1"}) {
    CHECK(Inputs({pair}).find("is no input: write name=text") != std::string::npos);
  }
}

Environment Fake(std::map<std::string, std::string> variables) {
  return [variables](const char* name) {
    auto at = variables.find(name);
    return at == variables.end() ? std::string() : at->second;
  };
}

TEST_CASE("the socket: BEAMLINE_SOCKET, else the runtime directory, else a private one in /tmp") {
  CHECK(*SocketPath("default", Fake({{"BEAMLINE_SOCKET", "/x/y.sock"},
                                     {"XDG_RUNTIME_DIR", "/r"}})) == "/x/y.sock");
  CHECK(*SocketPath("prod", Fake({{"XDG_RUNTIME_DIR", "/run/user/7"}})) ==
        "/run/user/7/beamline/prod.sock");
  const std::string private_path = "/tmp/beamline-" + std::to_string(getuid()) + "/default.sock";
  CHECK(*SocketPath("default", Fake({})) == private_path);
  CHECK(*SocketPath("default", Fake({{"XDG_RUNTIME_DIR", "relative"}})) == private_path);
}

TEST_CASE("the socket: what cannot be one") {
  CHECK(absl::IsInvalidArgument(SocketPath("../x", Fake({})).status()));
  CHECK(absl::IsInvalidArgument(SocketPath("", Fake({})).status()));
  const std::string far = "/" + std::string(120, 'x');
  CHECK(absl::IsInvalidArgument(SocketPath("a", Fake({{"BEAMLINE_SOCKET", far}})).status()));
}

TEST_CASE("the data: BEAMLINE_DATA_DIR, else the state directory, apart for each context") {
  CHECK(*DataDir("default", Fake({{"BEAMLINE_DATA_DIR", "/d/"}, {"HOME", "/h"}})) == "/d");
  CHECK(*DataDir("default", Fake({{"XDG_STATE_HOME", "/s"}})) == "/s/beamline");
  CHECK(*DataDir("default", Fake({{"HOME", "/h"}})) == "/h/.local/state/beamline");
  CHECK(*DataDir("prod", Fake({{"HOME", "/h"}})) == "/h/.local/state/beamline/contexts/prod");
  CHECK(absl::IsFailedPrecondition(DataDir("default", Fake({})).status()));
}

TEST_CASE("the socket's directory is ours alone") {
  TemporaryDirectory dir;
  const std::string socket = dir / "new/a.sock";
  REQUIRE(PrepareSocketDir(socket).ok());
  struct stat info;
  REQUIRE(stat((dir / "new").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  CHECK(PrepareSocketDir(socket).ok());

  REQUIRE(chmod((dir / "new").c_str(), 0777) == 0);
  CHECK(absl::IsPermissionDenied(PrepareSocketDir(socket)));
  REQUIRE(symlink((dir / "new").c_str(), (dir / "link").c_str()) == 0);
  CHECK(absl::IsPermissionDenied(PrepareSocketDir(dir / "link/a.sock")));
}

TEST_CASE("the last lines of a log") {
  TemporaryDirectory dir;
  CHECK(LastLines(dir / "none", 3) == "");
  CHECK(LastLines(dir.Write("a", "1\n2\n3\n"), 2) == "2\n3");
  CHECK(LastLines(dir.Write("b", "1\n2\n3"), 9) == "1\n2\n3");
  CHECK(LastLines(dir.Write("c", ""), 2) == "");
}

TEST_CASE("times since when") {
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  CHECK(*ParseSince("2h", now) == now - absl::Hours(2));
  CHECK(*ParseSince("7d", now) == now - absl::Hours(7 * 24));
  CHECK(*ParseSince("1970-01-01T00:00:05Z", now) == absl::FromUnixSeconds(5));
  for (const char* bad : {"", "yesterday", "-2h", "d", "-1d"}) {
    CHECK(absl::IsInvalidArgument(ParseSince(bad, now).status()));
  }
}

absl::Status WithReason(absl::StatusCode code, const std::string& reason) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  (*info.mutable_metadata())["ids"] = "a,b";
  details.add_details()->PackFrom(info);
  google::rpc::BadRequest bad;
  auto* violation = bad.add_field_violations();
  violation->set_field("inputs.who");
  violation->set_description("must be text");
  details.add_details()->PackFrom(bad);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(2);
  details.add_details()->PackFrom(retry);
  absl::Status status(code, "no good");
  AttachDetails(details.SerializeAsString(), &status);
  return status;
}

TEST_CASE("an error is told with its reason, its violations and its delay") {
  StringWriter writer;
  Context context;
  context.err.writer = &writer;
  CHECK(FailWith(context, WithReason(absl::StatusCode::kResourceExhausted, "TOO_MANY")) ==
        kExitDenied);
  CHECK(writer.text() ==
        "error: no good  [TOO_MANY]\n  inputs.who: must be text\n  = help: try again in 2.0s\n");
  CHECK(DescribeError(WithReason(absl::StatusCode::kNotFound, "X")).Metadata("ids") == "a,b");
}

TEST_CASE("exit codes follow the reason, and else the code") {
  const auto code = [](absl::StatusCode status, const char* reason) {
    return ExitCodeFor(WithReason(status, reason));
  };
  CHECK(code(absl::StatusCode::kInvalidArgument, "INPUTS_INVALID") == kExitInvalid);
  CHECK(code(absl::StatusCode::kInvalidArgument, "REQUEST_ID_REUSED") == kExitConflict);
  CHECK(code(absl::StatusCode::kFailedPrecondition, "RUN_AMBIGUOUS") == kExitNotFound);
  CHECK(code(absl::StatusCode::kFailedPrecondition, "RUN_FINISHED") == kExitConflict);
  CHECK(code(absl::StatusCode::kPermissionDenied, "OTHER") == kExitAccess);
  CHECK(ExitCodeFor(absl::UnavailableError("gone")) == kExitUnreachable);
  CHECK(ExitCodeFor(absl::NotFoundError("none")) == kExitNotFound);
}

}  // namespace
}  // namespace beamline::cli
