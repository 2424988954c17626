// Replaces secrets by *** in what steps print and hand on, as it streams by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beamline::exec {

// Secrets shorter than this are not hidden: they would turn ordinary text into asterisks.
inline constexpr size_t kSecretBytesMin = 4;

// Finds a set of secrets in all the forms that tools print them in: as they are, JSON-escaped (with
// and without \u), URL-escaped, in base64 and base64url (also in the middle of a longer encoded
// text, as in an HTTP Basic header). Immutable, so it may be shared by threads. Time is linear in
// the text, whatever the secrets (Aho-Corasick).
class Redactor {
 public:
  explicit Redactor(const std::vector<std::string>& secrets);

  bool empty() const { return nodes_.size() == 1; }
  std::string Redact(std::string_view text) const;

  // Redacts a text that comes in pieces. Holds back what may be the beginning of a secret: at most
  // as many bytes as the longest form of one, until more comes or Finish.
  class Stream {
   public:
    // `redactor` must outlive the stream.
    explicit Stream(const Redactor& redactor) : redactor_(&redactor) {}
    void Append(std::string_view bytes, std::string* out);
    void Finish(std::string* out);

   private:
    void Hide(size_t last_bytes);
    void Release(size_t bytes, std::string* out);

    const Redactor* redactor_;
    int32_t state_ = 0;
    std::string held_;
    std::vector<std::pair<size_t, size_t>> hidden_;  // [begin, end) of held_, apart and in order
    bool after_stars_ = false;                       // what was released last was hidden
  };

 private:
  struct Node {
    int32_t first_child = -1, next_sibling = -1;
    int32_t fallback = 0;  // the longest other suffix that is a node
    int32_t depth = 0;
    int32_t match = 0;  // length of the longest form that ends here; 0 = none
    char byte = 0;
  };

  void Insert(std::string_view form);
  void Link();
  int32_t Child(int32_t node, char byte) const;
  int32_t Next(int32_t node, char byte) const;

  std::vector<Node> nodes_;
  std::vector<int32_t> from_root_;  // by byte; 0 = none
};

}  // namespace beamline::exec
