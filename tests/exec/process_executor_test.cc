// `run` steps as their authors see them: what the process gets, and what is made of what it does.
#include "daemon/exec/process_executor.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/exec/executor_fixture.h"

namespace beamline::exec {
namespace {

using nlohmann::json;
using ports::OutputStream;
using run::Outcome;

TEST_CASE("text runs in bash that stops at the first mistake") {
  ExecutorFixture f;
  CHECK(f.Run(f.Script("echo hello")).outcome == Outcome::kSucceeded);
  CHECK(f.sink.Text(OutputStream::kStdout) == "hello\n");
  CHECK(f.Run(f.Script("false; true")).outcome == Outcome::kFailed);
  CHECK(f.Run(f.Script("false | true")).error.exit_code == 1);
  CHECK(f.Run(f.Script("echo $UNDEFINED_VARIABLE")).error.kind == "exit");
}

TEST_CASE("argv runs as it is, found in the PATH that the step itself sees") {
  ExecutorFixture f;
  std::ofstream(f.dir / "greet") << "#!/bin/sh\necho \"<$1>\"\n";
  chmod((f.dir / "greet").c_str(), 0755);
  const json input = {{"run", {"greet", "two words; $X"}},
                      {"env", {{"PATH", "/nowhere:" + f.dir.path + ":/bin"}}}};
  CHECK(f.Run(input.dump()).outcome == Outcome::kSucceeded);
  CHECK(f.sink.Text(OutputStream::kStdout) == "<two words; $X>\n");
}

TEST_CASE("the environment is what the flow says, and little of the daemon's") {
  setenv("DAEMON_ONLY", "leak", 1);
  ExecutorFixture f;
  ports::Attempt attempt = f.AttemptOf(
      R"({"run": ["env"], "capture": "lines",
          "env": {"N": 1.5, "B": true, "O": {"a": [1]}, "HOME": null, "BEAMLINE_ATTEMPT": "forged"}})");
  const json lines = json::parse(f.Start(attempt).Wait().output.json());
  const auto has = [&](const std::string& line) {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  };
  const std::string run = attempt.run.ToString();
  for (const std::string& line :
       {std::string("N=1.5"), std::string("B=true"), std::string(R"(O={"a":[1]})"),
        std::string("TERM=dumb"), "BEAMLINE_RUN_ID=" + run, std::string("BEAMLINE_FLOW=flow"),
        std::string("BEAMLINE_STEP=step"), "BEAMLINE_ATTEMPT=" + run + "/step/1",
        std::string("BEAMLINE_IDEMPOTENCY_KEY=key"), "BEAMLINE_TRACE_ID=" + attempt.trace_id}) {
    CAPTURE(line);
    CHECK(has(line));
  }
  const std::string all = lines.dump();
  CHECK(all.find("HOME=") == std::string::npos);
  CHECK(all.find("leak") == std::string::npos);
  CHECK(all.find("TRACEPARENT=00-" + attempt.trace_id + "-") != std::string::npos);
}

TEST_CASE("a process inherits three descriptors, no ignored signal, and leads its own session") {
  ExecutorFixture f;
  signal(SIGPIPE, SIG_IGN);
  const std::string script =
      "ls /proc/self/fd | wc -l; grep -E 'SigIgn|SigBlk' /proc/self/status | cut -f2 | sort -u; "
      "test $(ps -o sid= -p $$) -eq $$";
  const run::ReportAttempt report = f.Run(json{{"run", script}, {"capture", "lines"}}.dump());
  signal(SIGPIPE, SIG_DFL);
  CHECK(report.output.json() == R"(["4","0000000000000000"])");  // the fourth is ls's directory
}

TEST_CASE("stdin is the value: strings raw, others as JSON, nothing if absent") {
  ExecutorFixture f;
  const auto echoed = [&](const json& value) {
    return f.Run(json{{"run", {"cat"}}, {"stdin", value}, {"capture", "text"}}.dump())
        .output.json();
  };
  CHECK(echoed("raw\ntext") == R"("raw\ntext")");
  CHECK(echoed({{"a", 1}}) == R"("{\"a\":1}")");
  CHECK(echoed(nullptr) == R"("")");
  const std::string large(3 << 20, 'x');
  CHECK(echoed(large).size() == large.size() + 2);
  // A step that does not read its input is no error.
  CHECK(f.Run(json{{"run", {"true"}}, {"stdin", large}}.dump()).outcome == Outcome::kSucceeded);
}

TEST_CASE("dir starts at the workspace; one that is missing is named") {
  ExecutorFixture f;
  std::filesystem::create_directory(f.dir / "sub");
  CHECK(f.Run(R"({"run": ["pwd"], "dir": "sub", "capture": "text"})").output.json() ==
        json(f.dir / "sub").dump());
  const run::ReportAttempt report = f.Run(R"({"run": ["pwd"], "dir": "none"})");
  CHECK(report.error.kind == "spawn");
  CHECK(report.error.message ==
        "cannot start in the directory " + (f.dir / "none") + ": No such file or directory");
}

TEST_CASE("what cannot start says why") {
  ExecutorFixture f;
  const auto error = [&](const json& input) { return f.Run(input.dump()).error; };
  CHECK(error({{"run", {"no-such-program"}}, {"env", {{"PATH", "/bin"}}}}).message ==
        "cannot run no-such-program: not found in PATH=/bin");
  CHECK(error({{"run", {"./missing"}}})
            .message.starts_with("cannot run ./missing: there is no such file in " + f.dir.path));
  std::ofstream(f.dir / "plain") << "#!/bin/sh\n";
  CHECK(error({{"run", {"./plain"}}}).message ==
        "cannot run ./plain: Permission denied; is it executable?");
  CHECK(error({{"run", {"true", std::string(200000, 'x')}}})
            .message.starts_with(
                "an argument of the command has 200000 bytes; the system takes 128 KiB"));
  json large = {{"run", {"true"}}};
  for (int i = 0; i < 11; ++i) large["env"]["V" + std::to_string(i)] = std::string(100000, 'x');
  CHECK(error(large).message.starts_with("arguments and environment have"));
  CHECK(error({{"run", json::array()}}).message == "`run` names no program");
  CHECK(error(json::array()).kind == "spawn");
}

TEST_CASE("a failure says the exit code and the last words") {
  ExecutorFixture f;
  const run::Error error = f.Run(f.Script("echo first >&2; echo 'disk on fire' >&2; exit 7")).error;
  CHECK(error.kind == "exit");
  CHECK(error.exit_code == 7);
  CHECK(error.message == "exit code 7: disk on fire");
  const run::Error killed = f.Run(f.Script("kill -SEGV $$")).error;
  CHECK(killed.exit_code == 139);
  CHECK(killed.message == "killed by SIGSEGV");
}

TEST_CASE("the output is what was written to $BEAMLINE_OUTPUT, or null") {
  ExecutorFixture f;
  CHECK(f.Run(f.Script("echo a=1 >> $BEAMLINE_OUTPUT; echo 'b:=[2]' >> $BEAMLINE_OUTPUT"))
            .output.json() == R"({"a":"1","b":[2]})");
  CHECK(f.Run(f.Script("true")).output.json() == "null");
  const run::ReportAttempt bad = f.Run(f.Script("echo oops > $BEAMLINE_OUTPUT"));
  CHECK(bad.outcome == Outcome::kFailed);
  CHECK(bad.error.kind == "output");
  CHECK(bad.error.message.starts_with("$BEAMLINE_OUTPUT: line 1: expected"));
  CHECK(f.Run(f.Script("ln -s /etc/passwd $BEAMLINE_OUTPUT")).error.message ==
        "$BEAMLINE_OUTPUT is not a regular file any more");
}

TEST_CASE("capture takes stdout, and refuses a second source") {
  ExecutorFixture f;
  CHECK(f.Run(R"({"run": "echo '[1, 2]'", "capture": "json"})").output.json() == "[1,2]");
  CHECK(f.Run(R"({"run": "echo nope", "capture": "json"})").error.kind == "output");
  CHECK(
      f.Run(R"({"run": "echo x; echo a=1 > $BEAMLINE_OUTPUT", "capture": "text"})").error.message ==
      "the step has `capture` and also wrote $BEAMLINE_OUTPUT; use one of them");
  CHECK(f.Run(R"({"run": "head -c 20000000 /dev/zero", "capture": "text"})")
            .error.message.starts_with("stdout is over the 16 MiB"));
}

TEST_CASE("secrets reach the process and nobody else") {
  ExecutorFixture f;
  ports::Attempt attempt = f.AttemptOf(
      R"({"env": {"TOKEN": {"sensitive": "token"}},
          "run": "echo \"out $TOKEN\"; echo \"t=$TOKEN\" > $BEAMLINE_OUTPUT; test \"$TOKEN\" = s3cr3t-value"})");
  attempt.sensitive = {{"token", R"("s3cr3t-value")"}};
  CHECK(f.Start(attempt).Wait().output.json() == R"({"t":"***"})");
  CHECK(f.sink.Text(OutputStream::kStdout) == "out ***\n");

  attempt.input =
      R"({"env": {"TOKEN": {"sensitive": "token"}}, "run": "printf 's3cr'; sleep 0.05; echo '3t-value'; echo \"bad $TOKEN\" >&2; exit 3"})";
  CHECK(f.Start(attempt).Wait().error.message == "exit code 3: bad ***");
  CHECK(f.sink.Text(OutputStream::kStdout) == "out ***\n***\n");

  attempt.input = R"({"run": "echo '{\"k\": \"s3cr3t\\u002dvalue\"}'", "capture": "json"})";
  CHECK(f.Start(attempt).Wait().output.json() == R"({"k":"***"})");
}

TEST_CASE("a value that looks like a secret's place deep in data stays data") {
  ExecutorFixture f;
  ports::Attempt attempt =
      f.AttemptOf(R"({"run": ["cat"], "stdin": [{"sensitive": "token"}], "capture": "json"})");
  attempt.sensitive = {{"token", R"("s3cr3t-value")"}};
  CHECK(f.Start(attempt).Wait().output.json() == R"([{"sensitive":"token"}])");
}

TEST_CASE("artifacts are stored; globs give each file; what is missing is named") {
  ExecutorFixture f;
  const json input = {
      {"run", "mkdir out; echo 1 > out/b.xml; echo 22 > out/a.xml; mkdir out/d.xml"},
      {"artifacts", {{"tests", {{"path", "out/*.xml"}, {"report", "junit"}}}}}};
  const run::ReportAttempt report = f.Run(input.dump());
  REQUIRE(report.artifacts.size() == 2);
  run::ReportSummary unread;
  unread.problem = "this store only counts";  // a report that is not read fails no step
  CHECK(report.artifacts[0] ==
        run::ArtifactRef{"tests", "out/a.xml", "3", 3, "junit", true, unread});
  CHECK(report.artifacts[1] ==
        run::ArtifactRef{"tests", "out/b.xml", "2", 2, "junit", true, unread});

  const auto error = [&](const char* run, const char* path) {
    return f.Run(json{{"run", run}, {"artifacts", {{"bin", {{"path", path}}}}}}.dump()).error;
  };
  CHECK(error("true", "build/app").kind == "artifact");
  CHECK(error("true", "build/app").message ==
        "artifact \"bin\": there is no build/app in " + f.dir.path);
  CHECK(error("ln -s /etc/passwd link", "l*").message ==
        "artifact \"bin\": link lies outside of the workspace, in /etc/passwd");
  CHECK(error("true", "/etc/passwd").kind == "artifact");
  CHECK(error("true", "out").message ==
        "artifact \"bin\": out is a directory; pack it into one file");
  CHECK(error("exit 4", "build/app").kind == "exit");  // nothing is looked for after a failure
}

TEST_CASE("of a step that fails, the reports are kept that are there") {
  ExecutorFixture f;
  const json input = {{"run", "echo 1 > a.xml; echo 2 > bin; exit 4"},
                      {"artifacts",
                       {{"bin", {{"path", "bin"}}},
                        {"gone", {{"path", "b.xml"}, {"report", "junit"}}},
                        {"tests", {{"path", "a.xml"}, {"report", "junit"}}}}}};
  const run::ReportAttempt report = f.Run(input.dump());
  CHECK(report.error.kind == "exit");
  REQUIRE(report.artifacts.size() == 1);
  CHECK(report.artifacts[0].path == "a.xml");
}

TEST_CASE("100 MB of binary output passes in pieces, without being kept") {
  ExecutorFixture f;
  f.sink.KeepNothing();
  CHECK(f.Run(R"({"run": ["head", "-c", "100000000", "/dev/urandom"]})").outcome ==
        Outcome::kSucceeded);
  CHECK(f.sink.bytes() == 100000000);
  CHECK(f.sink.largest_chunk() <= 64 << 10);
}

TEST_CASE("closing stdout early neither ends nor hangs a step") {
  ExecutorFixture f;
  CHECK(f.Run(f.Script("exec >&- 2>&-; sleep 0.05; echo a=1 > $BEAMLINE_OUTPUT")).output.json() ==
        R"({"a":"1"})");
}

TEST_CASE("a run's scratch directory is made once, private, and forgotten on request") {
  ExecutorFixture f;
  const ports::Attempt attempt = f.AttemptOf(f.Script("echo a=1 > $BEAMLINE_OUTPUT"));
  f.Start(attempt).Wait();
  const std::string scratch = f.dir / ("work/" + attempt.run.ToString());
  struct stat info {};
  REQUIRE(stat(scratch.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  CHECK(std::filesystem::is_empty(scratch));
  f.executor->ForgetRun(attempt.run);
  CHECK(Eventually([&] { return !std::filesystem::exists(scratch); }));
  std::ofstream(f.dir / "file");
  ProcessExecutor::Options options;
  options.work_dir = f.dir / "file";  // not a directory
  options.supervisor = {EXEC_SUPERVISOR};
  f.executor = std::make_unique<ProcessExecutor>(options, f.sink, f.blobs);
  CHECK(f.Run(f.Script("true")).error.kind == "spawn");
}

TEST_CASE("a daemon that is out of file descriptors says so, and recovers") {
  ExecutorFixture f;
  CHECK(f.Run(f.Script("true")).outcome == Outcome::kSucceeded);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{3, before.rlim_max};  // what is open stays open
  setrlimit(RLIMIT_NOFILE, &none);
  const run::Error error = f.Run(f.Script("true")).error;
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(error.kind == "spawn");
  CHECK(error.message ==
        "cannot make standard input for the step: Too many open files; raise the daemon's limit of "
        "open files or run fewer steps at once");
  CHECK(f.Run(f.Script("true")).outcome == Outcome::kSucceeded);
}

TEST_CASE("many steps at once each get their own report") {
  ExecutorFixture f;
  std::vector<Reported> reports;
  for (int i = 0; i < 64; ++i) {
    ports::Attempt attempt =
        f.AttemptOf(json{{"run", {"echo", std::to_string(i)}}, {"capture", "json"}}.dump());
    attempt.path = "item[" + std::to_string(i) + "]";
    reports.push_back(f.Start(attempt));
  }
  for (int i = 0; i < 64; ++i) CHECK(reports[i].Wait().output.json() == std::to_string(i));
}

}  // namespace
}  // namespace beamline::exec
