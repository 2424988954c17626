// The feed of a blob. Blobs are shared by all runs, so that naming one is not yet a right to it.
#include "daemon/rpc/blob_feed.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/refusal.h"

namespace beamline::rpc {
namespace {

constexpr size_t kPageBytes = 1 << 20;   // of events
constexpr size_t kPieceBytes = 1 << 20;  // of the blob
// Up to here a blob is read at once and its digest checked. Larger ones (artifacts) go out as they
// are read: the client checks them against the digest in the URI.
constexpr uint64_t kCheckedBytesMax = 8 << 20;

bool Is(const run::Value& value, const std::string& sha256) {
  return value.is_blob() && value.sha256() == sha256;
}

bool Names(const run::Fact& fact, const std::string& sha256) {
  if (const auto* f = std::get_if<run::RunStarted>(&fact)) return Is(f->inputs, sha256);
  if (const auto* f = std::get_if<run::ForeachStarted>(&fact)) {
    return Is(f->items, sha256) || Is(f->keys, sha256);
  }
  if (const auto* f = std::get_if<run::AttemptStarted>(&fact)) return Is(f->input, sha256);
  if (const auto* f = std::get_if<run::StepFinished>(&fact)) return Is(f->output, sha256);
  if (const auto* f = std::get_if<run::OutputsResolved>(&fact)) return Is(f->outputs, sha256);
  if (const auto* f = std::get_if<run::AttemptFinished>(&fact)) {
    return Is(f->output, sha256) ||
           std::any_of(f->artifacts.begin(), f->artifacts.end(),
                       [&](const run::ArtifactRef& a) { return a.sha256 == sha256; });
  }
  return false;
}

class BlobFeed : public Feed<v1::ReadBlobResponse> {
 public:
  BlobFeed(const Backend& backend, const v1::ReadBlobRequest& request)
      : backend_(backend), run_id_(request.run_id()), uri_(request.blob_uri()) {}

  absl::StatusOr<Pulled> Pull(v1::ReadBlobResponse* response) override {
    if (!opened_) {
      if (absl::Status status = Open(); !status.ok()) return status;
      opened_ = true;
    }
    std::string piece;
    if (file_) {
      piece.resize(kPieceBytes);
      file_->read(piece.data(), static_cast<std::streamsize>(piece.size()));
      piece.resize(static_cast<size_t>(file_->gcount()));
      if (file_->bad()) return absl::DataLossError("cannot read the blob");
    } else {
      piece = content_.substr(sent_, kPieceBytes);
      sent_ += piece.size();
    }
    if (piece.empty()) return Pulled::kEnd;
    response->set_data(std::move(piece));
    return Pulled::kMessage;
  }

 private:
  absl::Status Open() {
    absl::StatusOr<ports::RunRow> row = FindRun(backend_, run_id_);
    if (!row.ok()) return row.status();
    absl::string_view digest = uri_;
    if (!absl::ConsumePrefix(&digest, "blob:sha256:")) {
      return InvalidField("blob_uri", "must be blob:sha256:<64 hex digits>");
    }
    const std::string sha256(digest);
    absl::StatusOr<bool> named = IsNamed(*row, sha256);
    if (!named.ok()) return named.status();
    if (!*named) return NotNamed();
    const std::string path = backend_.blobs.Path(sha256);
    if (!path.empty()) {
      file_.emplace(path, std::ios::binary | std::ios::ate);
      if (*file_ && static_cast<uint64_t>(file_->tellg()) > kCheckedBytesMax) {
        file_->seekg(0);
        return absl::OkStatus();
      }
      file_.reset();
    }
    absl::StatusOr<std::string> content = backend_.blobs.Get(sha256);
    if (absl::IsNotFound(content.status())) {
      return absl::DataLossError(absl::StrCat("the blob ", uri_, " is missing"));
    }
    if (!content.ok()) return content.status();
    content_ = *std::move(content);
    return absl::OkStatus();
  }

  absl::StatusOr<bool> IsNamed(const ports::RunRow& row, const std::string& sha256) const {
    uint64_t cursor = 0;
    while (true) {
      auto events = backend_.events.Read(row.id, cursor, kPageBytes);
      if (!events.ok()) return events.status();
      if (events->empty()) return false;
      for (const run::Event& event : *events) {
        if (Names(event.fact, sha256)) return true;
      }
      cursor = events->back().seq;
    }
  }

  absl::Status NotNamed() const {
    return Refusal(Reason::kBlobNotFound,
                   absl::StrCat("no event of run ", run_id_, " names ", uri_.substr(0, 128)))
        .With("run_id", run_id_)
        .Resource("blob", uri_.substr(0, 128));
  }

  const Backend& backend_;
  const std::string run_id_, uri_;
  bool opened_ = false;
  std::string content_;
  size_t sent_ = 0;  // of content_
  std::optional<std::ifstream> file_;
};

}  // namespace

std::unique_ptr<Feed<v1::ReadBlobResponse>> MakeBlobFeed(const Backend& backend,
                                                         const v1::ReadBlobRequest& request) {
  return std::make_unique<BlobFeed>(backend, request);
}

}  // namespace beamline::rpc
