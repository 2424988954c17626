#include "daemon/store/vault.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>

namespace beamline::store {
namespace {

const run::RunId kRun = *run::RunId::Parse("01arz3ndektsv4rrffq69g5fav");
const run::RunId kOther = *run::RunId::Parse("01arz3ndektsv4rrffq69g5faw");
const ports::Secrets kSecrets = {{"token", "\"hunter2\""}, {"pin", "1234"}, {"empty", ""}};

struct Fixture {
  Fixture() { REQUIRE(mkdtemp(directory.data()) != nullptr); }
  ~Fixture() { std::filesystem::remove_all(directory); }

  std::unique_ptr<FileVault> Open() {
    auto vault = FileVault::Open(directory);
    REQUIRE(vault.ok());
    return *std::move(vault);
  }
  std::string PathOf(const run::RunId& run) const { return directory + "/" + run.ToString(); }

  std::string directory = "/tmp/beamline-vault-XXXXXX";
};

TEST_CASE_FIXTURE(Fixture, "what is put is there after a restart, until it is forgotten") {
  REQUIRE(Open()->Put(kRun, kSecrets).ok());
  auto vault = Open();
  CHECK(*vault->Get(kRun) == kSecrets);
  CHECK(vault->Runs() == std::vector<run::RunId>{kRun});
  vault->Forget(kRun);
  vault->Forget(kRun);
  CHECK(absl::IsNotFound(vault->Get(kRun).status()));
  CHECK(vault->Runs().empty());
}

TEST_CASE_FIXTURE(Fixture, "files are private and do not show what they hold") {
  REQUIRE(Open()->Put(kRun, kSecrets).ok());
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    struct stat info;
    REQUIRE(stat(entry.path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)), {});
    CHECK(content.find("hunter2") == std::string::npos);
    CHECK(content.find("token") == std::string::npos);
  }
}

TEST_CASE_FIXTURE(Fixture, "a damaged file, another run's file and another key are noticed") {
  auto vault = Open();
  REQUIRE(vault->Put(kRun, kSecrets).ok());
  std::filesystem::copy_file(PathOf(kRun), PathOf(kOther));
  CHECK(absl::IsDataLoss(vault->Get(kOther).status()));

  std::fstream(PathOf(kOther), std::ios::binary | std::ios::in | std::ios::out).seekp(50).put('x');
  CHECK(absl::IsDataLoss(vault->Get(kOther).status()));
  std::filesystem::resize_file(PathOf(kOther), 7);
  CHECK(absl::IsDataLoss(vault->Get(kOther).status()));

  std::filesystem::remove(directory + "/key");
  CHECK(absl::IsDataLoss(Open()->Get(kRun).status()));
  std::filesystem::resize_file(directory + "/key", 31);
  CHECK(absl::IsDataLoss(FileVault::Open(directory).status()));
}

TEST_CASE("the vault in memory keeps the same contract") {
  MemoryVault vault;
  CHECK(absl::IsNotFound(vault.Get(kRun).status()));
  REQUIRE(vault.Put(kRun, kSecrets).ok());
  CHECK(*vault.Get(kRun) == kSecrets);
  vault.Forget(kRun);
  CHECK(absl::IsNotFound(vault.Get(kRun).status()));
}

}  // namespace
}  // namespace beamline::store
