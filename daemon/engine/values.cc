// Spilling and loading.
#include "daemon/engine/values.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"

namespace beamline::engine {

absl::StatusOr<run::Value> Spill(std::string json, ports::BlobStore& blobs) {
  if (json.size() <= kInlineBytesMax) return run::Value::Json(std::move(json));
  if (json.size() > kValueBytesMax) {
    return absl::ResourceExhaustedError(absl::StrCat("a value of ", json.size(), " bytes; at most ",
                                                     kValueBytesMax,
                                                     " can be handed on (use an artifact)"));
  }
  absl::StatusOr<std::string> digest = blobs.Put(json);
  if (!digest.ok()) return digest.status();
  return run::Value::Blob(*std::move(digest), json.size());
}

absl::StatusOr<std::string> Load(const run::Value& value, const ports::BlobStore& blobs) {
  if (value.absent()) return "null";
  if (!value.is_blob()) return value.json();
  return blobs.Get(value.sha256());
}

void LazyText::Add(std::string_view text) {
  bytes_ += text.size();
  if (pieces_.empty() || !std::holds_alternative<std::string>(pieces_.back())) {
    pieces_.emplace_back(std::string());
  }
  std::get<std::string>(pieces_.back()) += text;
}

void LazyText::Add(const run::Value& value) {
  if (value.absent()) return Add("null");
  if (!value.is_blob()) return Add(value.json());
  bytes_ += value.bytes();
  ++blobs_;
  pieces_.emplace_back(value);
}

absl::StatusOr<std::string> LazyText::Join(const ports::BlobStore& blobs) const {
  std::string text;
  text.reserve(bytes_);
  for (const auto& piece : pieces_) {
    if (const auto* here = std::get_if<std::string>(&piece)) {
      text += *here;
      continue;
    }
    absl::StatusOr<std::string> part = Load(std::get<run::Value>(piece), blobs);
    if (!part.ok()) return part;
    text += *part;
  }
  return text;
}

absl::StatusOr<std::shared_ptr<const Items>> LoadItems(const run::Value& items,
                                                       const run::Value& keys,
                                                       const ports::BlobStore& blobs) {
  auto loaded = std::make_shared<Items>();
  absl::StatusOr<std::string> text = Load(items, blobs);
  if (!text.ok()) return text.status();
  for (std::string_view item : flowspec::ArrayElements(*text)) loaded->items.emplace_back(item);
  if (keys.absent()) return loaded;
  absl::StatusOr<std::string> key_text = Load(keys, blobs);
  if (!key_text.ok()) return key_text.status();
  for (std::string_view key : flowspec::ArrayElements(*key_text)) {
    loaded->keys.push_back(flowspec::UnquoteJson(key));
  }
  return loaded;
}

}  // namespace beamline::engine
