// Reads references off the words of an expression. What a name means follows from its neighbours;
// libjq checks the grammar itself, so a pattern that cannot occur in jq needs no care here.
#include "flowspec/references.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flowspec/builtins.h"

namespace beamline::flowspec {
namespace {

std::string Quoted(std::string_view name) { return absl::StrCat("`", std::string(name), "`"); }

using NameSet = absl::flat_hash_set<std::string_view>;

// A key below a root: its name and place. No value where jq computes the key.
struct Key {
  std::string name;
  int64_t index = -1;
  size_t offset = 0;
  size_t length = 0;
};

// Access to tokens by index; behind the end stands an empty word.
class Words {
 public:
  explicit Words(const ScannedText& scanned) : text_(scanned.text), tokens_(scanned.tokens) {}

  size_t size() const { return tokens_.size(); }
  const Token& token(size_t i) const { return tokens_[i]; }
  std::string_view word(size_t i) const {
    return i < tokens_.size() ? tokens_[i].In(text_) : std::string_view();
  }
  bool Is(size_t i, TokenKind kind) const { return i < tokens_.size() && tokens_[i].kind == kind; }
  bool Is(size_t i, std::string_view word) const {
    return i < tokens_.size() && tokens_[i].kind != TokenKind::kStringPart &&
           tokens_[i].kind != TokenKind::kString && tokens_[i].In(text_) == word;
  }

  // Reads `.name`, `."name"`, `["name"]` or `[0]` at *i and moves *i behind it; empty, with *i
  // unmoved, if something else stands there.
  std::optional<Key> ReadKey(size_t* i) const {
    if (Is(*i, TokenKind::kField)) {
      const Token& t = tokens_[(*i)++];
      return Key{std::string(t.In(text_).substr(1)), -1, t.offset + 1, t.length - 1};
    }
    if (Is(*i, ".") && Is(*i + 1, TokenKind::kString)) {
      std::optional<Key> key = StringKey(*i + 1);
      if (key) *i += 2;
      return key;
    }
    if (!Is(*i, "[") || !Is(*i + 2, "]")) return std::nullopt;
    std::optional<Key> key;
    if (Is(*i + 1, TokenKind::kString)) key = StringKey(*i + 1);
    if (Is(*i + 1, TokenKind::kNumber)) key = IndexKey(*i + 1);
    if (key) *i += 3;
    return key;
  }

  // Moves *i behind all that may follow a term: keys, `[…]`, `?`.
  void SkipSuffixes(size_t* i) const {
    while (true) {
      if (Is(*i, TokenKind::kField) || Is(*i, "?")) {
        ++*i;
      } else if (Is(*i, ".") && Is(*i + 1, TokenKind::kString)) {
        *i += 2;
      } else if (Is(*i, "[")) {
        *i = tokens_[*i].partner + 1;
      } else {
        return;
      }
    }
  }

 private:
  std::optional<Key> StringKey(size_t i) const {
    const Token& t = tokens_[i];
    const std::string_view quoted = t.In(text_);
    if (quoted.find_first_of("\\\n") != std::string_view::npos) return std::nullopt;
    return Key{std::string(quoted.substr(1, quoted.size() - 2)), -1, t.offset + 1, t.length - 2};
  }
  std::optional<Key> IndexKey(size_t i) const {
    Key key{"", -1, tokens_[i].offset, tokens_[i].length};
    const std::string digits(word(i));
    if (digits.size() > 9 || !absl::SimpleAtoi(digits, &key.index)) return std::nullopt;
    return key;
  }

  std::string_view text_;
  const std::vector<Token>& tokens_;
};

class ReferenceFinder {
 public:
  ReferenceFinder(const ScannedText& scanned, const std::vector<std::string>& extra_roots,
                  Findings* findings)
      : words_(scanned), locate_(scanned.locate), extra_roots_(extra_roots), findings_(findings) {}

  std::vector<Reference> Find() {
    FindObjectKeys();
    CollectLocalNames();
    for (size_t i = 0; i < words_.size(); ++i) {
      switch (words_.token(i).kind) {
        case TokenKind::kName:
          Name(i);
          break;
        case TokenKind::kVariable:
          Variable(i);
          break;
        case TokenKind::kKeyword:
          Keyword(i);
          break;
        default:
          break;
      }
    }
    return std::move(references_);
  }

 private:
  // Names of `def`s and of their parameters. Their scope is not followed here: in an expression
  // that defines a name, libjq judges its uses.
  void CollectLocalNames() {
    for (size_t i = 0; i + 1 < words_.size(); ++i) {
      if (!words_.Is(i, "def") || is_key_[i]) continue;
      locals_.insert(words_.word(i + 1));
      if (!words_.Is(i + 2, "(")) continue;
      for (size_t p = i + 3; p < words_.token(i + 2).partner; ++p) {
        if (words_.Is(p, TokenKind::kName)) locals_.insert(words_.word(p));
        if (words_.Is(p, TokenKind::kVariable)) locals_.insert(words_.word(p).substr(1));
      }
    }
  }

  // Keys stand right behind the `{` or a `,` of an object or of a destructuring pattern.
  void FindObjectKeys() {
    is_key_.assign(words_.size(), false);
    std::vector<size_t> open;
    for (size_t i = 0; i < words_.size(); ++i) {
      is_key_[i] = !open.empty() && words_.Is(open.back(), "{") &&
                   (words_.Is(i - 1, "{") || words_.Is(i - 1, ","));
      if (words_.Is(i, TokenKind::kOpen)) open.push_back(i);
      if (words_.Is(i, TokenKind::kClose)) open.pop_back();
    }
  }

  bool IsRoot(std::string_view name) const {
    const auto in = [name](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    return in(FixedRoots()) || in(extra_roots_);
  }

  int Arity(size_t name) const {
    if (!words_.Is(name + 1, "(")) return 0;
    int arity = 1;
    const size_t close = words_.token(name + 1).partner;
    for (size_t i = name + 2; i < close; ++i) {
      if (words_.Is(i, TokenKind::kOpen)) {
        i = words_.token(i).partner;
      } else if (words_.Is(i, ";")) {
        ++arity;
      }
    }
    return arity;
  }

  void Name(size_t i) {
    const std::string_view name = words_.word(i);
    const int arity = Arity(i);
    if (is_key_[i] || words_.Is(i - 1, "def") || locals_.contains(name)) return;
    if (arity == 0 && (name == "true" || name == "false" || name == "null")) return;
    if (arity == 0 && IsRoot(name)) return Root(i);
    if (const std::string_view why = WhyForbidden(name); !why.empty()) {
      return Forbid(i, absl::StrCat(Quoted(name), " must not be used in an expression"), why);
    }
    if (name == "default" && arity == 1) return;
    if (!IsBuiltin(name, arity)) Unknown(i, name, arity);
  }

  void Root(size_t i) {
    Reference ref;
    ref.root = words_.word(i);
    const Token& root = words_.token(i);
    ref.span = locate_(root.offset, root.length);
    size_t next = i + 1;
    while (true) {
      while (words_.Is(next, "?")) ++next;
      std::optional<Key> key = words_.ReadKey(&next);
      if (!key) break;
      ref.keys.push_back({{std::move(key->name), key->index}, locate_(key->offset, key->length)});
    }
    const auto named = [&](size_t at) {
      return at < ref.keys.size() && ref.keys[at].key.index < 0;
    };
    if (named(0)) {
      ref.name = ref.keys[0].key.key;
      ref.span = ref.keys[0].span;
      if (named(1)) ref.field = ref.keys[1].key.key;
    }
    ref.defaulted = Defaulted(i, next);
    references_.push_back(std::move(ref));
  }

  // Whether `//` or `| default(` takes the value of the path that starts at `first` and whose keys
  // were read up to `next`; brackets around nothing but the path do not matter.
  bool Defaulted(size_t first, size_t next) const {
    words_.SkipSuffixes(&next);
    while (first > 0 && words_.Is(first - 1, "(") && !words_.Is(first - 2, TokenKind::kName) &&
           words_.token(first - 1).partner == next) {
      --first;
      ++next;
      words_.SkipSuffixes(&next);
    }
    return words_.Is(next, "//") ||
           (words_.Is(next, "|") && words_.Is(next + 1, "default") && words_.Is(next + 2, "("));
  }

  void Variable(size_t i) {
    const std::string_view word = words_.word(i);
    const std::string_view name = word.substr(word.find_first_not_of("$ \t\r\n"));
    if (name == "ENV") {
      Forbid(i, "`$ENV` must not be used in an expression",
             "declare the variable under `env:` and read `env.NAME`");
    } else if (name.substr(0, 2) == "__") {
      Forbid(i, absl::StrCat(Quoted("$" + std::string(name)), " must not be used in an expression"),
             "variables that begin with `__` are BeamLine's and jq's own");
    }
  }

  void Keyword(size_t i) {
    const std::string_view word = words_.word(i);
    if (is_key_[i] || words_.Is(i - 1, "def")) return;
    if (word == "import" || word == "include" || word == "module") {
      Forbid(i, absl::StrCat(Quoted(word), " must not be used in an expression"),
             "expressions cannot load modules; `def` works inside an expression");
    }
  }

  Finding NewFinding(const char* code, size_t token, std::string message) const {
    Finding finding;
    finding.code = code;
    finding.message = std::move(message);
    finding.span = locate_(words_.token(token).offset, words_.token(token).length);
    return finding;
  }

  void Forbid(size_t i, std::string message, std::string_view why) {
    Finding finding = NewFinding("BL0304", i, std::move(message));
    finding.label = "not available here";
    finding.help = std::string(why);
    findings_->push_back(std::move(finding));
  }

  void Unknown(size_t i, std::string_view name, int arity) {
    std::vector<int> arities = BuiltinArities(name);
    if (name == "default") arities = {1};
    if (arities.empty() && arity > 0 && IsRoot(name)) arities = {0};
    if (!arities.empty()) {
      findings_->push_back(
          NewFinding("BL0303", i,
                     absl::StrCat(Quoted(name), " takes ", absl::StrJoin(arities, " or "),
                                  " arguments, not ", arity)));
      return;
    }
    Finding finding = NewFinding(
        "BL0303", i, absl::StrCat("unknown ", arity == 0 ? "name " : "function ", Quoted(name)));
    constexpr size_t kNameBytesMax = 64;  // a longer one is no slip of the finger
    std::string nearest;
    if (name.size() <= kNameBytesMax) nearest = DidYouMean(name, Candidates(arity));
    if (!nearest.empty()) {
      finding.label = absl::StrCat("did you mean `", nearest, "`?");
      finding.fix = Fix{finding.span, nearest};
    } else if (arity == 0) {
      finding.help = absl::StrCat("an expression reads ", absl::StrJoin(FixedRoots(), ", "),
                                  "; text stands in double quotes");
    }
    findings_->push_back(std::move(finding));
  }

  // What `name` may have been meant to be: roots first, since they are the likeliest.
  std::vector<std::string> Candidates(int arity) const {
    std::vector<std::string> names;
    if (arity == 0) {
      names = FixedRoots();
      names.insert(names.end(), extra_roots_.begin(), extra_roots_.end());
    } else if (arity == 1) {
      names.push_back("default");
    }
    for (const std::string& name : BuiltinNames()) {
      if (IsBuiltin(name, arity)) names.push_back(name);
    }
    return names;
  }

  Words words_;
  const Locate& locate_;
  const std::vector<std::string>& extra_roots_;
  Findings* findings_;
  NameSet locals_;
  std::vector<bool> is_key_;  // by word
  std::vector<Reference> references_;
};

}  // namespace

std::optional<PlainPath> FindPlainPath(const ScannedText& scanned) {
  const Words words(scanned);
  if (!words.Is(0, TokenKind::kName)) return std::nullopt;
  PlainPath path;
  path.root = words.word(0);
  size_t i = 1;
  while (i < words.size()) {
    std::optional<Key> key = words.ReadKey(&i);
    if (!key) return std::nullopt;
    path.keys.push_back({std::move(key->name), key->index});
  }
  return path;
}

std::vector<Reference> FindReferences(const ScannedText& scanned,
                                      const std::vector<std::string>& extra_roots,
                                      Findings* findings) {
  return ReferenceFinder(scanned, extra_roots, findings).Find();
}

}  // namespace beamline::flowspec
