// The automaton of Aho and Corasick, with children as lists: secrets rarely share beginnings.
#include "daemon/exec/redactor.h"

#include <sodium.h>

#include <nlohmann/json.hpp>

#include "absl/container/btree_set.h"
#include "absl/strings/ascii.h"

namespace beamline::exec {
namespace {

// A piece of base64 out of the middle must be this long to be taken for the secret.
constexpr size_t kInnerBase64BytesMin = 8;
constexpr size_t kReleaseBytes = 64 << 10;

std::string Base64(std::string_view bytes, int variant) {
  std::string text(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), variant);
  text.pop_back();  // the NUL
  return text;
}

void AddBase64(std::string_view secret, int variant, absl::btree_set<std::string>* forms) {
  forms->insert(Base64(secret, variant));
  // After `lead` other bytes: the characters that depend on the secret alone.
  for (size_t lead = 0; lead < 3; ++lead) {
    const std::string text = Base64(std::string(lead, 'x').append(secret), variant);
    const size_t begin = (lead * 8 + 5) / 6;
    const size_t end = (lead + secret.size()) * 8 / 6;
    if (end >= begin + kInnerBase64BytesMin) forms->insert(text.substr(begin, end - begin));
  }
}

std::string UrlEscaped(std::string_view text, const char* digits, std::string_view also_plain,
                       bool plus_for_space) {
  std::string out;
  for (unsigned char c : text) {
    if (absl::ascii_isalnum(c) || std::string_view("-._~").find(c) != std::string_view::npos ||
        also_plain.find(c) != also_plain.npos) {
      out.push_back(c);
    } else if (c == ' ' && plus_for_space) {
      out.push_back('+');
    } else {
      out.append({'%', digits[c >> 4], digits[c & 15]});
    }
  }
  return out;
}

std::string JsonEscaped(const std::string& text, bool ascii) {
  const std::string quoted =
      nlohmann::json(text).dump(-1, ' ', ascii, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

absl::btree_set<std::string> FormsOf(const std::string& secret) {
  constexpr char kUpper[] = "0123456789ABCDEF", kLower[] = "0123456789abcdef";
  absl::btree_set<std::string> forms = {
      secret,
      JsonEscaped(secret, false),
      JsonEscaped(secret, true),
      UrlEscaped(secret, kUpper, "", false),
      UrlEscaped(secret, kLower, "", false),
      UrlEscaped(secret, kUpper, "", true),        // a form field
      UrlEscaped(secret, kUpper, "/", false),      // Python's quote()
      UrlEscaped(secret, kUpper, "!'()*", false),  // encodeURIComponent()
  };
  AddBase64(secret, sodium_base64_VARIANT_ORIGINAL_NO_PADDING, &forms);
  AddBase64(secret, sodium_base64_VARIANT_URLSAFE_NO_PADDING, &forms);
  return forms;
}

}  // namespace

Redactor::Redactor(const std::vector<std::string>& secrets) : nodes_(1), from_root_(256, 0) {
  for (const std::string& secret : secrets) {
    if (secret.size() < kSecretBytesMin) continue;
    for (const std::string& form : FormsOf(secret)) Insert(form);
  }
  Link();
}

void Redactor::Insert(std::string_view form) {
  int32_t node = 0;
  for (char c : form) {
    int32_t child = Child(node, c);
    if (child < 0) {
      child = nodes_.size();
      nodes_.push_back(
          {.next_sibling = nodes_[node].first_child, .depth = nodes_[node].depth + 1, .byte = c});
      nodes_[node].first_child = child;
      if (node == 0) from_root_[static_cast<unsigned char>(c)] = child;
    }
    node = child;
  }
  nodes_[node].match = nodes_[node].depth;
}

// Breadth first, so that every fallback is complete before it is used.
void Redactor::Link() {
  std::vector<int32_t> queue = {0};
  for (size_t i = 0; i < queue.size(); ++i) {
    const int32_t parent = queue[i];
    for (int32_t n = nodes_[parent].first_child; n >= 0; n = nodes_[n].next_sibling) {
      Node& node = nodes_[n];
      node.fallback = parent == 0 ? 0 : Next(nodes_[parent].fallback, node.byte);
      if (node.match == 0) node.match = nodes_[node.fallback].match;
      queue.push_back(n);
    }
  }
}

int32_t Redactor::Child(int32_t node, char byte) const {
  if (node == 0) {
    const int32_t child = from_root_[static_cast<unsigned char>(byte)];
    return child == 0 ? -1 : child;
  }
  int32_t child = nodes_[node].first_child;
  while (child >= 0 && nodes_[child].byte != byte) child = nodes_[child].next_sibling;
  return child;
}

int32_t Redactor::Next(int32_t node, char byte) const {
  while (true) {
    const int32_t child = Child(node, byte);
    if (child >= 0) return child;
    if (node == 0) return 0;
    node = nodes_[node].fallback;
  }
}

std::string Redactor::Redact(std::string_view text) const {
  std::string out;
  Stream stream(*this);
  stream.Append(text, &out);
  stream.Finish(&out);
  return out;
}

void Redactor::Stream::Append(std::string_view bytes, std::string* out) {
  const Redactor& r = *redactor_;
  size_t i = 0;
  while (i < bytes.size()) {
    if (state_ == 0) {  // then nothing is held back: copy up to where a secret may begin
      const size_t begin = i;
      while (i < bytes.size() && r.from_root_[static_cast<unsigned char>(bytes[i])] == 0) ++i;
      if (i > begin) after_stars_ = false;
      out->append(bytes, begin, i - begin);
      if (i == bytes.size()) return;
    }
    state_ = r.Next(state_, bytes[i]);
    held_.push_back(bytes[i++]);
    const Node& node = r.nodes_[state_];
    if (node.match > 0) Hide(node.match);
    if (state_ == 0 || held_.size() > node.depth + kReleaseBytes) {
      Release(held_.size() - node.depth, out);
    }
  }
  Release(held_.size() - r.nodes_[state_].depth, out);
}

void Redactor::Stream::Finish(std::string* out) {
  Release(held_.size(), out);
  state_ = 0;
}

// The last bytes held are a secret; forms that overlap are hidden as one.
void Redactor::Stream::Hide(size_t last_bytes) {
  size_t begin = held_.size() - last_bytes;
  while (!hidden_.empty() && hidden_.back().second >= begin) {
    begin = std::min(begin, hidden_.back().first);
    hidden_.pop_back();
  }
  hidden_.emplace_back(begin, held_.size());
}

void Redactor::Stream::Release(size_t bytes, std::string* out) {
  size_t at = 0;
  size_t passed = 0;  // hidden ranges that are released whole
  for (auto& [begin, end] : hidden_) {
    if (begin >= bytes) break;
    if (begin > at) after_stars_ = false;
    out->append(held_, at, begin - at);
    if (!after_stars_) out->append("***");
    after_stars_ = true;
    at = std::min(end, bytes);
    if (end > bytes) break;
    ++passed;
  }
  if (at < bytes) {
    out->append(held_, at, bytes - at);
    after_stars_ = false;
  }
  held_.erase(0, bytes);
  hidden_.erase(hidden_.begin(), hidden_.begin() + passed);
  for (auto& [begin, end] : hidden_) {
    begin = begin > bytes ? begin - bytes : 0;
    end -= bytes;
  }
}

}  // namespace beamline::exec
