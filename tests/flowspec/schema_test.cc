// The published JSON Schemas against the parser and the catalogue.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "flowspec/catalogue.h"
#include "flowspec/parse.h"
#include "flowspec/value_schema.h"
#include "flowspec/yaml.h"

namespace beamline::flowspec {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

const fs::path kRoot = BEAMLINE_SOURCE_DIR;

const std::string& FlowSchema() {
  static const std::string schema = ReadFile(kRoot / "flowspec/flow.schema.json");
  return schema;
}

// What the schema says of a file that is YAML; nothing if it is not.
std::vector<std::string> SchemaSays(const std::string& source) {
  Findings findings;
  const LineTable lines(source);
  const NodePtr root = ParseYaml(source, lines, &findings);
  if (root == nullptr || !findings.empty()) return {};
  return CheckValue(FlowSchema(), JsonOf(*root));
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// Codes of structure and values that a schema cannot express, and why.
const std::map<std::string, std::string> kBeyondSchema = {
    {"BL0105", "uniqueness across lists"},
    {"BL0404", "patterns are RE2 expressions"},
    {"BL0409", "inputs against those of another file"},
    {"BL0410", "a file that is not there"},
    {"BL0420", "a name against the zones of the machine"},
    {"BL0421", "a name against another one in the same file"},
    {"BL0423", "a key against the ones of another map"},
    {"BL0424", "names against those of other maps"},
    {"BL0405", "a value against a schema in the same file"},
};

bool IsStructural(const std::string& code) {
  return code.rfind("BL01", 0) == 0 || code.rfind("BL04", 0) == 0 || code == "BL0305";
}

TEST_CASE("the schema accepts every good flow") {
  for (const char* folder : {"examples", "tests/flowspec/good"}) {
    for (const auto& entry : fs::directory_iterator(kRoot / folder)) {
      if (entry.path().extension() != ".yaml") continue;
      const std::vector<std::string> wrong = SchemaSays(ReadFile(entry.path()));
      CAPTURE(entry.path().filename().string());
      CHECK(Joined(wrong) == "");
    }
  }
}

TEST_CASE("the schema refuses what the parser refuses for its structure, and nothing else") {
  int refused = 0, accepted = 0;
  for (const auto& entry : fs::directory_iterator(kRoot / "tests/flowspec/bad")) {
    const std::string source = ReadFile(entry.path());
    std::istringstream codes(source.substr(2, source.find('\n') - 2));
    bool structural = false, unyaml = false;
    for (std::string code; codes >> code;) {
      structural |= IsStructural(code) && kBeyondSchema.count(code) == 0;
      unyaml |= code.rfind("BL00", 0) == 0;
    }
    if (unyaml) continue;
    const std::string says = Joined(SchemaSays(source));
    const bool wrong = !says.empty();
    CAPTURE(entry.path().filename().string());
    CAPTURE(says);
    if (entry.path().filename().string().rfind("BL0404", 0) == 0) continue;  // half expressible
    CHECK(wrong == structural);
    ++(wrong ? refused : accepted);
  }
  CHECK(refused > 20);
  CHECK(accepted > 20);
}

TEST_CASE("every key of the catalogue is in the schema, described in the same words") {
  for (const KeyEntry& entry : Keys()) {
    std::string key, text = entry.text;
    AppendJsonString(entry.key, &key);
    CAPTURE(entry.key);
    CHECK(FlowSchema().find(key + ": {") != std::string::npos);
    std::string quoted;
    AppendJsonString(text, &quoted);
    quoted.pop_back();  // the default follows
    CHECK(FlowSchema().find(quoted) != std::string::npos);
  }
}

TEST_CASE("the policy schema knows every kind") {
  const std::string schema = ReadFile(kRoot / "policies/policy.schema.json");
  const char* good = R"({"beamline": "policy/v1", "kind": "budget", "name": "daily-llm",
    "mode": "warn", "match": {"flows": ["*"]},
    "spec": {"per": "day", "key": "run.submitter", "usd": 20,
             "at": {"80%": "notify", "100%": "deny"}}})";
  CHECK(CheckValue(schema, good) == std::vector<std::string>{});
  const char* routing = R"({"beamline": "policy/v1", "kind": "routing", "name": "writer",
    "match": {"route": "writer"},
    "spec": {"strategy": "ordered", "cooldown": {"after_failures": 3, "for": "30s"},
      "targets": [{"provider": "anthropic", "model": "claude-sonnet", "timeout": "60s"}]}})";
  CHECK(CheckValue(schema, routing) == std::vector<std::string>{});
  const char* approval = R"({"beamline": "policy/v1", "kind": "approval", "name": "prod",
    "match": {"labels": {"env": "prod"}, "tools": ["http:POST"]},
    "spec": {"approvers": ["group:ops"], "quorum": 2, "self_approval": false, "timeout": "4h",
             "valid_for": "10m"}})";
  CHECK(CheckValue(schema, approval) == std::vector<std::string>{});
  const char* unknown = R"({"beamline": "policy/v1", "kind": "budgets", "name": "x", "spec": {}})";
  CHECK_FALSE(CheckValue(schema, unknown).empty());
  const char* foreign = R"({"beamline": "policy/v1", "kind": "retry", "name": "x",
    "spec": {"usd": 3}})";
  CHECK_FALSE(CheckValue(schema, foreign).empty());
}

TEST_CASE("values against schemas") {
  const std::string schema = R"({"type": "object", "required": ["n"], "properties": {
    "n": {"type": "integer", "maximum": 9}, "day": {"type": "string", "format": "date"},
    "at": {"format": "date-time"}, "word": {"pattern": "^a+$"},
    "set": {"uniqueItems": true}}})";
  using Lines = std::vector<std::string>;
  CHECK(CheckSchema(schema).ok());
  CHECK(CheckValue(schema, R"({"n": 3.0, "day": "2028-02-29", "word": "aaa"})") == Lines{});
  CHECK(CheckValue(schema, R"({"n": "3"})") == Lines{"/n: wants integer, got string"});
  CHECK(CheckValue(schema, R"({"n": 1, "day": "2027-02-29"})") ==
        Lines{"/day: is not a date such as 2031-05-17"});
  CHECK(CheckValue(schema, R"({"n": 1, "at": "2031-05-17T09:30:00Z"})") == Lines{});
  CHECK(CheckValue(schema, R"({"n": 1, "at": "2031-05-17 09:30"})").size() == 1);
  CHECK(CheckValue(schema, R"({"n": 1, "word": "ab"})") ==
        Lines{"/word: does not match the pattern ^a+$"});
  CHECK(CheckValue(schema, R"({"n": 1, "set": [1, {"a": 2}, {"a": 2}]})") ==
        Lines{"/set: has items that are equal"});
  CHECK(CheckValue(schema, "{}").size() == 1);
  CHECK(CheckValue(schema, "{").size() == 1);
}

TEST_CASE("schemas that cannot be checked are refused, none is run away with") {
  CHECK(CheckSchema(R"({"type": "strnig"})").message() == "unknown type \"strnig\"");
  CHECK(CheckSchema(R"({"properties": {"a": {"pattern": "(a)\\1"}}})").code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(CheckSchema(R"({"$ref": "#"})").code() == absl::StatusCode::kInvalidArgument);
  CHECK(CheckSchema(R"({"$ref": "http://elsewhere/x"})").code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(CheckSchema(R"({"minLength": "many"})").code() == absl::StatusCode::kInvalidArgument);
  CHECK(CheckSchema(R"({"required": 3})").code() == absl::StatusCode::kInvalidArgument);
  CHECK(CheckSchema("[]").code() == absl::StatusCode::kInvalidArgument);
  // std::regex takes exponential time for this, and overflows its stack on long text.
  const std::string evil = R"({"pattern": "^(a+)+$"})";
  CHECK(CheckValue(evil, "\"" + std::string(200'000, 'a') + "b\"").size() == 1);
}

}  // namespace
}  // namespace beamline::flowspec
