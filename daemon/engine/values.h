// JSON values between the log, where they are small, and the blob store.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/ports/blob_store.h"
#include "daemon/run/value.h"

namespace beamline::engine {

// Values over this many bytes go to the blob store.
inline constexpr size_t kInlineBytesMax = 64 * 1024;
// A value that a step hands on, whatever its kind.
inline constexpr size_t kValueBytesMax = 64 * 1024 * 1024;

// `json` as a value: inline, or spilled. ResourceExhausted: over kValueBytesMax, or a full disk.
absl::StatusOr<run::Value> Spill(std::string json, ports::BlobStore& blobs);

// The text of `value`; "null" if absent.
absl::StatusOr<std::string> Load(const run::Value& value, const ports::BlobStore& blobs);

// JSON text in pieces, some of which still lie in the blob store.
class LazyText {
 public:
  void Add(std::string_view text);
  void Add(const run::Value& value);  // absent: null
  // True if all of it is here.
  bool here() const { return blobs_ == 0; }
  size_t bytes() const { return bytes_; }
  absl::StatusOr<std::string> Join(const ports::BlobStore& blobs) const;

 private:
  std::vector<std::variant<std::string, run::Value>> pieces_;  // values lie in the blob store
  size_t bytes_ = 0;
  int blobs_ = 0;
};

// The items of a foreach with their keys, in memory while it runs.
struct Items {
  std::vector<std::string> items;  // JSON text
  std::vector<std::string> keys;   // plain text; empty: the indices
};

// From the arrays that ForeachStarted carries.
absl::StatusOr<std::shared_ptr<const Items>> LoadItems(const run::Value& items,
                                                       const run::Value& keys,
                                                       const ports::BlobStore& blobs);

}  // namespace beamline::engine
