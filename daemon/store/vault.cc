// A file is a nonce and a secretbox; in the box are the run's id and then names and values, each
// with its length in front.
#include "daemon/store/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/store/file.h"

namespace beamline::store {
namespace {

constexpr char kKeyName[] = "key";
constexpr size_t kSealedBytesMax = 16 << 20;  // inputs have at most 4 MiB

void AppendPart(std::string_view part, std::string* out) {
  const auto size = static_cast<uint32_t>(part.size());
  out->append(reinterpret_cast<const char*>(&size), sizeof(size));
  out->append(part);
}

std::optional<std::string> TakePart(std::string_view* rest) {
  uint32_t size = 0;
  if (rest->size() < sizeof(size)) return std::nullopt;
  rest->copy(reinterpret_cast<char*>(&size), sizeof(size));
  rest->remove_prefix(sizeof(size));
  if (rest->size() < size) return std::nullopt;
  std::string part(rest->substr(0, size));
  rest->remove_prefix(size);
  return part;
}

std::string Seal(std::string_view text, const unsigned char* key) {
  std::string sealed(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + text.size(), '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(sealed.data());
  randombytes_buf(bytes, crypto_secretbox_NONCEBYTES);
  crypto_secretbox_easy(bytes + crypto_secretbox_NONCEBYTES,
                        reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes,
                        key);
  return sealed;
}

std::optional<std::string> Unseal(std::string_view sealed, const unsigned char* key) {
  constexpr size_t kOverhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  if (sealed.size() < kOverhead) return std::nullopt;
  std::string text(sealed.size() - kOverhead, '\0');
  const auto* bytes = reinterpret_cast<const unsigned char*>(sealed.data());
  const int opened = crypto_secretbox_open_easy(
      reinterpret_cast<unsigned char*>(text.data()), bytes + crypto_secretbox_NONCEBYTES,
      sealed.size() - crypto_secretbox_NONCEBYTES, bytes, key);
  if (opened != 0) return std::nullopt;
  return text;
}

// Complete and on disk under `path`, or not there at all.
absl::Status WriteFile(const std::string& directory, const std::string& path,
                       std::string_view content) {
  const std::string temporary = path + ".new";
  absl::Status status = [&] {
    absl::StatusOr<Fd> file = OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.ok()) return file.status();
    if (absl::Status written = WriteAll(*file, content, temporary); !written.ok()) return written;
    return SyncFile(*file, temporary);
  }();
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = FileError(errno, "create", path);
  }
  if (status.ok()) return SyncDirectory(directory);
  unlink(temporary.c_str());
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileVault>> FileVault::Open(const std::string& directory) {
  if (sodium_init() < 0) return absl::InternalError("libsodium does not work on this machine");
  if (absl::Status made = MakeDirectory(directory); !made.ok()) return made;
  std::unique_ptr<FileVault> vault(new FileVault(directory));
  absl::Status status = vault->ReadKey();
  if (absl::IsNotFound(status)) status = vault->MakeKey();
  if (!status.ok()) return status;
  return vault;
}

FileVault::~FileVault() { sodium_memzero(key_.data(), key_.size()); }

absl::Status FileVault::ReadKey() {
  static_assert(sizeof(key_) == crypto_secretbox_KEYBYTES);
  const std::string path = absl::StrCat(directory_, "/", kKeyName);
  absl::StatusOr<Fd> file = OpenRegularFile(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::string> key = ReadAt(*file, 0, key_.size() + 1, path);
  if (!key.ok()) return key.status();
  if (key->size() != key_.size()) {
    return absl::DataLossError(absl::StrCat(path, " is damaged: it should have ", key_.size(),
                                            " bytes; with it, sensitive inputs of unfinished runs "
                                            "are lost. Remove it to go on without them"));
  }
  key->copy(reinterpret_cast<char*>(key_.data()), key_.size());
  sodium_memzero(key->data(), key->size());
  return absl::OkStatus();
}

absl::Status FileVault::MakeKey() {
  crypto_secretbox_keygen(key_.data());
  return WriteFile(directory_, absl::StrCat(directory_, "/", kKeyName),
                   {reinterpret_cast<const char*>(key_.data()), key_.size()});
}

std::string FileVault::PathOf(const run::RunId& run) const {
  return absl::StrCat(directory_, "/", run.ToString());
}

absl::Status FileVault::Put(const run::RunId& run, const ports::Secrets& secrets) {
  std::string text;
  AppendPart(run.ToString(), &text);
  for (const auto& [name, value] : secrets) {
    AppendPart(name, &text);
    AppendPart(value, &text);
  }
  const std::string sealed = Seal(text, key_.data());
  sodium_memzero(text.data(), text.size());
  return WriteFile(directory_, PathOf(run), sealed);
}

absl::StatusOr<ports::Secrets> FileVault::Get(const run::RunId& run) const {
  const std::string path = PathOf(run);
  absl::StatusOr<Fd> file = OpenRegularFile(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::string> sealed = ReadAt(*file, 0, kSealedBytesMax, path);
  if (!sealed.ok()) return sealed.status();
  std::optional<std::string> text = Unseal(*sealed, key_.data());
  const absl::Status damaged = absl::DataLossError(
      absl::StrCat(path, " is damaged, or was sealed with another key or for another run"));
  if (!text) return damaged;
  std::string_view rest = *text;
  if (TakePart(&rest) != run.ToString()) return damaged;
  ports::Secrets secrets;
  while (!rest.empty()) {
    std::optional<std::string> name = TakePart(&rest), value = TakePart(&rest);
    if (!name || !value) return damaged;
    secrets.emplace_back(*std::move(name), *std::move(value));
  }
  sodium_memzero(text->data(), text->size());
  return secrets;
}

void FileVault::Forget(const run::RunId& run) { unlink(PathOf(run).c_str()); }

std::vector<run::RunId> FileVault::Runs() const {
  std::vector<run::RunId> runs;
  std::error_code error;
  const std::filesystem::directory_iterator end;
  for (std::filesystem::directory_iterator entry(directory_, error); !error && entry != end;
       entry.increment(error)) {
    if (auto run = run::RunId::Parse(entry->path().filename().string())) runs.push_back(*run);
  }
  return runs;
}

absl::Status MemoryVault::Put(const run::RunId& run, const ports::Secrets& secrets) {
  ports::MutexLock lock(&mu_);
  secrets_[run] = secrets;
  return absl::OkStatus();
}

absl::StatusOr<ports::Secrets> MemoryVault::Get(const run::RunId& run) const {
  ports::MutexLock lock(&mu_);
  const auto found = secrets_.find(run);
  if (found == secrets_.end()) return absl::NotFoundError("the run has no sensitive inputs");
  return found->second;
}

void MemoryVault::Forget(const run::RunId& run) {
  ports::MutexLock lock(&mu_);
  secrets_.erase(run);
}

}  // namespace beamline::store
