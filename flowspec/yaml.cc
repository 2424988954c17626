// YAML through yaml-cpp's event interface (its graph would expand aliases without a bound).
#include "flowspec/yaml.h"

#include <cmath>
#include <cstdlib>
#include <istream>
#include <optional>
#include <streambuf>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "yaml-cpp/depthguard.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace beamline::flowspec {
namespace {

// Ends the parse: a limit was passed and its finding is recorded.
struct Stop {};

// Reads a string_view in place.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

// A JSON number that fits a double; the only numbers there are.
bool IsNumber(std::string_view text) {
  if (text.size() > 64) return false;
  size_t i = 0;
  auto digits = [&] {
    size_t start = i;
    while (i < text.size() && absl::ascii_isdigit(text[i])) ++i;
    return i - start;
  };
  if (i < text.size() && text[i] == '-') ++i;
  const bool zero = i < text.size() && text[i] == '0';
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (digits() == 0) return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size() && std::isfinite(std::strtod(std::string(text).c_str(), nullptr));
}

bool IsTrue(std::string_view text) { return text == "true" || text == "True" || text == "TRUE"; }
bool IsFalse(std::string_view text) {
  return text == "false" || text == "False" || text == "FALSE";
}

// Builds the tree from events. Keys and values of an open map alternate in `items`.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view source, size_t base, const LineTable& lines, Findings* findings)
      : source_(source), base_(base), lines_(lines), findings_(findings) {}

  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    Report("BL0005", "a flow file holds one document, this is a second one", At(mark), 3,
           "remove everything from the `---` on, or move it to a file of its own");
    throw Stop{};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = std::make_shared<Node>();
    node->offset = At(mark);
    Add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    NodePtr node = anchor < anchors_.size() ? anchors_[anchor] : nullptr;
    if (node == nullptr) {
      Report("BL0008", "this alias stands inside the very node it refers to", At(mark), 1,
             "an alias may only repeat a node that is complete");
      throw Stop{};
    }
    alias_nodes_ += node->nodes;
    alias_bytes_ += node->bytes;
    if (alias_nodes_ > kAliasNodesMax || alias_bytes_ > kAliasBytesMax) {
      Report("BL0007", "aliases expand to more than 10,000 nodes or 1 MiB of text", At(mark), 1,
             "write the values out, or generate them in a step");
      throw Stop{};
    }
    Attach(std::move(node));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = std::make_shared<Node>();
    node->offset = SkipProperties(mark, tag);
    node->text = value;
    node->bytes = value.size();
    node->kind = Node::Kind::kString;
    switch (node->offset < source_.size() ? source_[node->offset] : ' ') {
      case '"':
        node->style = Node::Style::kDoubleQuoted;
        break;
      case '\'':
        node->style = Node::Style::kSingleQuoted;
        break;
      case '|':
        node->style = Node::Style::kLiteral;
        break;
      case '>':
        node->style = Node::Style::kFolded;
        break;
      default:
        if (IsTrue(value) || IsFalse(value)) {
          node->kind = Node::Kind::kBool;
          node->text = IsTrue(value) ? "true" : "false";
        } else if (IsNumber(value)) {
          node->kind = Node::Kind::kNumber;
        }
    }
    Add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor;
  };

  size_t At(const YAML::Mark& mark) const {
    return std::min(source_.size(), base_ + static_cast<size_t>(std::max(mark.pos, 0)));
  }

  void Report(const char* code, std::string message, size_t offset, size_t length,
              std::string help) {
    findings_->push_back({.code = code,
                          .message = std::move(message),
                          .span = lines_.At(offset, length),
                          .help = std::move(help)});
  }

  // The offset of the node itself behind its anchor; a tag is a finding.
  size_t SkipProperties(const YAML::Mark& mark, const std::string& tag) {
    size_t at = At(mark);
    const bool tagged = !tag.empty() && tag != "!" && tag != "?";
    if (tagged || (at < source_.size() && source_[at] == '!')) {
      Report("BL0010", "YAML tags are not allowed", at, 1,
             "remove the tag; quote the value where it should be text");
    }
    while (at < source_.size() && (source_[at] == '&' || source_[at] == '!')) {
      while (at < source_.size() && !absl::ascii_isspace(source_[at])) ++at;
      while (at < source_.size() && (absl::ascii_isspace(source_[at]) || source_[at] == '#')) {
        if (source_[at] == '#') {
          while (at < source_.size() && source_[at] != '\n') ++at;
        } else {
          ++at;
        }
      }
    }
    return at;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            Node::Kind kind) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->offset = SkipProperties(mark, tag);
    if (levels_.size() >= kDepthMax) {
      Report("BL0006", "nested deeper than 64 levels", node->offset, 1, "flatten the structure");
      throw Stop{};
    }
    levels_.push_back({std::move(node), anchor});
  }

  void Close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    if (level.node->is_map()) PairUp(level.node.get());
    Add(std::move(level.node), level.anchor);
  }

  // Turns the alternating keys and values of a map into entries.
  void PairUp(Node* map) {
    absl::flat_hash_map<std::string_view, const Node*> seen;
    for (size_t i = 0; i + 1 < map->items.size(); i += 2) {
      const NodePtr& key = map->items[i];
      if (!key->is_scalar() || key->kind == Node::Kind::kNull) {
        Report("BL0011", "a key must be plain text", key->offset, 1,
               "write the key as one word or quote it");
        continue;
      }
      auto [it, fresh] = seen.try_emplace(key->text, key.get());
      if (!fresh) {
        findings_->push_back(
            {.code = "BL0009",
             .message = absl::StrCat("duplicate key `", key->text, "`"),
             .span = SpanOf(*key, source_, lines_),
             .label = absl::StrCat("already given on line ", lines_.At(it->second->offset, 0).line),
             .help = "keep one of the two"});
        continue;
      }
      map->entries.emplace_back(key, map->items[i + 1]);
    }
    map->items.clear();
    map->items.shrink_to_fit();
  }

  void Add(std::shared_ptr<Node> node, YAML::anchor_t anchor) {
    if (anchor != 0) {
      if (anchors_.size() <= anchor) anchors_.resize(anchor + 1);
      anchors_[anchor] = node;
    }
    Attach(std::move(node));
  }

  void Attach(NodePtr node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Node& parent = *levels_.back().node;
    parent.nodes += node->nodes;
    parent.bytes += node->bytes;
    parent.items.push_back(std::move(node));
  }

  std::string_view source_;
  size_t base_;
  const LineTable& lines_;
  Findings* findings_;
  int documents_ = 0;
  NodePtr root_;
  std::vector<Level> levels_;
  std::vector<NodePtr> anchors_;  // by yaml-cpp's number; null while its node is open
  size_t alias_nodes_ = 0;
  size_t alias_bytes_ = 0;
};

// The length of the UTF-8 sequence at `at`, or 0 if it is not one (overlong forms, surrogates).
size_t Utf8Length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  return length;
}

// Where `text` is not UTF-8 or holds a control character (YAML allows none but tab and line
// breaks; yaml-cpp would take 0x04 as the end of the file).
std::optional<size_t> FindBadByte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = text[i];
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) return i;
    const size_t length = Utf8Length(text, i);
    if (length == 0) return i;
    i += length;
  }
  return std::nullopt;
}

bool CheckBytes(std::string_view source, const LineTable& lines, Findings* findings) {
  if (source.size() > kSourceBytesMax) {
    findings->push_back({.code = "BL0001",
                         .message = "the file is larger than 1 MiB",
                         .span = {1, 1, 0},
                         .help = "move data into files that the steps read, or split the flow"});
    return false;
  }
  if (auto bad = FindBadByte(source)) {
    findings->push_back({.code = "BL0002",
                         .message = "not UTF-8 text, or a control character",
                         .span = lines.At(*bad, 1),
                         .help = "save the file as UTF-8"});
    return false;
  }
  return true;
}

void ReportParserError(const YAML::ParserException& e, size_t base, std::string_view source,
                       const LineTable& lines, Findings* findings) {
  const size_t at = std::min(source.size(), base + static_cast<size_t>(std::max(e.mark.pos, 0)));
  Finding finding{.code = "BL0003",
                  .message = absl::StrCat("not valid YAML: ", e.msg),
                  .span = lines.At(at, at < source.size() && source[at] != '\n' ? 1 : 0)};
  if (dynamic_cast<const YAML::DeepRecursion*>(&e) != nullptr) {
    finding.code = "BL0006";
    finding.message = "nested deeper than 64 levels";
  } else if (source.substr(at).substr(0, 1) == "\t") {
    finding.help = "indent with spaces; YAML allows no tabs there";
  }
  findings->push_back(std::move(finding));
}

}  // namespace

NodePtr ParseYaml(std::string_view source, const LineTable& lines, Findings* findings) {
  if (!CheckBytes(source, lines, findings)) return nullptr;
  const size_t base = source.substr(0, 3) == "\xef\xbb\xbf" ? 3 : 0;
  const size_t errors = findings->size();
  TreeBuilder builder(source, base, lines, findings);
  try {
    ViewBuffer buffer(source.substr(base));
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop&) {
    return nullptr;
  } catch (const YAML::ParserException& e) {
    ReportParserError(e, base, source, lines, findings);
    return nullptr;
  } catch (const std::exception& e) {
    findings->push_back({.code = "BL0003",
                         .message = absl::StrCat("not valid YAML: ", e.what()),
                         .span = {1, 1, 0}});
    return nullptr;
  }
  if (findings->size() == errors &&
      (builder.root() == nullptr || builder.root()->kind == Node::Kind::kNull)) {
    findings->push_back({.code = "BL0004",
                         .message = "the file is empty",
                         .span = {1, 1, 0},
                         .help = "`beamline explain steps` shows a first flow"});
    return nullptr;
  }
  return builder.root();
}

const Node* Node::Find(std::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (name->text == key) return value.get();
  }
  return nullptr;
}

const char* NodeKindName(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kBool:
      return "true or false";
    case Node::Kind::kNumber:
      return "a number";
    case Node::Kind::kString:
      return "text";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
  }
  return "";
}

}  // namespace beamline::flowspec
