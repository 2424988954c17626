#include "cli/contexts.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"

namespace beamline::cli {
namespace {

class Directory {
 public:
  Directory() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string At(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_ = "/tmp/bl-contexts-XXXXXX";
};

std::string Problem(std::string_view text) {
  return std::string(ParseContexts(text, "f").status().message());
}

constexpr char kGood[] =
    "current: team\n"
    "contexts:\n"
    "  team: {address: 'host:7443', cert: /c, key: /k, ca: /a, server_name: beam}\n"
    "  here: {address: '[::1]:1'}\n";

TEST_CASE("contexts are written as they are read, for their owner alone") {
  const Directory directory;
  const std::string path = directory.At("config/beamline/contexts.yaml");
  CHECK(ReadContexts(path)->remotes.empty());  // no file, no contexts
  auto contexts = ParseContexts(kGood, "f");
  REQUIRE(contexts.ok());
  contexts->remotes["odd"] = {"host:1", "/with \"quotes\" and: colons\n#", "/k", "/a", ""};
  REQUIRE(WriteContexts(path, *contexts).ok());
  struct stat info;
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const auto again = ReadContexts(path);
  REQUIRE(again.ok());
  CHECK(again->current == "team");
  REQUIRE(again->remotes.size() == 3);
  CHECK(again->remotes.at("team").server_name == "beam");
  CHECK(again->remotes.at("here").plain());
  CHECK(again->remotes.at("odd").cert == "/with \"quotes\" and: colons\n#");
}

TEST_CASE("whatever the file holds, it is told where it is wrong") {
  CHECK(ParseContexts("", "f").ok());
  CHECK(ParseContexts("# nothing\n", "f").ok());
  CHECK(Problem("[]") == "f:1:1: the file must be a map");
  CHECK(Problem("current: ../x\n") == "f:1:10: `current` must be the name of a context");
  CHECK(Problem("contexts: 1\n") == "f:1:11: `contexts` must be a map of contexts by name");
  CHECK(Problem("contexts: {default: {address: 'h:1'}}") ==
        "f:1:12: this is no name for a remote context");
  CHECK(Problem("contexts: {'a/b': {address: 'h:1'}}") ==
        "f:1:12: this is no name for a remote context");
  CHECK(Problem("contexts: {a: {adress: 'h:1'}}") == "f:1:16: unknown key `adress`");
  CHECK(Problem("contexts: {a: {address: [1]}}") == "f:1:25: `address` must be text");
  CHECK(absl::StrContains(Problem("contexts: {a: {address: h}}"), "`h` is no address: HOST:PORT"));
  CHECK(absl::StrContains(Problem("contexts: {a: {address: 'h:1', cert: /c}}"),
                          "needs cert, key and ca"));
  CHECK(absl::StrContains(Problem("contexts: {a: {address: 'h:1', cert: c, key: /k, ca: /a}}"),
                          "`c` is no absolute path"));
  CHECK(absl::StrContains(Problem("contexts: {a: {address: 'h:1'}}"),
                          "without certificates only this machine can be meant"));
  CHECK(absl::StrContains(Problem("contexts: {a: &a {address: 'h:1', x: *a}}"), "f:1:"));
  CHECK(absl::StrContains(Problem("a: b: c"), "f:1:"));
  CHECK(absl::StrContains(Problem(std::string(100, '[')), "f:1:"));
  std::string many = "contexts:\n";
  for (int i = 0; i < 1001; ++i) many += "  c" + std::to_string(i) + ": {address: 'localhost:1'}\n";
  CHECK(absl::StrContains(Problem(many), "over 1000 contexts"));
}

TEST_CASE("a file that others can write is not believed") {
  const Directory directory;
  const std::string path = directory.At("contexts.yaml");
  std::ofstream(path) << kGood;
  chmod(path.c_str(), 0640);
  CHECK(ReadContexts(path).ok());
  chmod(path.c_str(), 0620);
  CHECK(absl::IsPermissionDenied(ReadContexts(path).status()));
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  CHECK(absl::IsInvalidArgument(ReadContexts(path).status()));
}

TEST_CASE("addresses") {
  std::string host, port;
  CHECK(SplitAddress("build.example.com:7443", &host, &port));
  CHECK(host == "build.example.com");
  CHECK(port == "7443");
  CHECK(SplitAddress("[2001:db8::1]:1", &host, &port));
  CHECK(host == "2001:db8::1");
  for (const char* wrong : {"", ":1", "h", "h:", "h:0", "h:65536", "h:x", "::1:1", "a/b:1", "a b:1",
                            "dns:///h:1", "u@h:1", "[]:1"}) {
    CAPTURE(wrong);
    CHECK_FALSE(SplitAddress(wrong, &host, &port));
  }
}

}  // namespace
}  // namespace beamline::cli
