// JSON values and errors as the core carries them: opaque text, never looked into.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace beamline::run {

// One JSON value: its text inline, or the digest of a blob that holds the text. The engine spills
// values over 64 KiB to the blob store before they become part of an event.
class Value {
 public:
  Value() = default;  // absent
  static Value Json(std::string text) {
    Value v;
    v.bytes_ = text.size();
    v.data_ = std::move(text);
    return v;
  }
  // `sha256`: 64 lower-case hex digits of `bytes` bytes of JSON text.
  static Value Blob(std::string sha256, uint64_t bytes) {
    Value v;
    v.data_ = std::move(sha256);
    v.bytes_ = bytes;
    v.is_blob_ = true;
    return v;
  }

  bool absent() const { return data_.empty(); }
  bool is_blob() const { return is_blob_; }
  const std::string& json() const { return data_; }    // REQUIRES: !is_blob()
  const std::string& sha256() const { return data_; }  // REQUIRES: is_blob()
  uint64_t bytes() const { return bytes_; }

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::string data_;
  uint64_t bytes_ = 0;
  bool is_blob_ = false;
};

// Why something failed. `kind` is what `retry.match` sees; flowspec::ErrorKinds lists them.
struct Error {
  std::string kind;        // empty = no error
  std::string message;     // for people
  int32_t exit_code = -1;  // of a process, or -1

  bool ok() const { return kind.empty(); }
  friend bool operator==(const Error&, const Error&) = default;
};

}  // namespace beamline::run
