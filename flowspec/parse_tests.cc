// Values are constants here. What could never hold is an error, so that a typo does not pass for a
// test.
#include "flowspec/parse_tests.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "flowspec/bundle.h"
#include "flowspec/inputs.h"

namespace beamline::flowspec {
namespace {

constexpr size_t kTestsMax = 200;

// "each[3]/ask" → "each", "ask".
std::vector<std::string> StepsOf(const std::string& path) {
  std::vector<std::string> ids;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    ids.emplace_back(part.substr(0, part.find('[')));
  }
  return ids;
}

const Step* FindStep(const Flow& flow, const std::string& path) {
  const Step* found = nullptr;
  int32_t parent = -1;
  for (const std::string& id : StepsOf(path)) {
    const auto at = std::find_if(flow.steps.begin(), flow.steps.end(), [&](const Step& step) {
      return step.id == id && step.parent == parent;
    });
    if (at == flow.steps.end()) return nullptr;
    found = &*at;
    parent = static_cast<int32_t>(at - flow.steps.begin());
  }
  return found;
}

// Every step's path, or those of one kind.
std::vector<std::string> Paths(const Flow& flow, bool llm_only) {
  std::vector<std::string> paths;
  for (const Step& step : flow.steps) {
    if (llm_only && step.kind != StepKind::kLlm) continue;
    std::string path = step.id;
    for (int32_t up = step.parent; up >= 0; up = flow.steps[static_cast<size_t>(up)].parent) {
      path = absl::StrCat(flow.steps[static_cast<size_t>(up)].id, "/", path);
    }
    paths.push_back(std::move(path));
  }
  return paths;
}

class CaseReader {
 public:
  CaseReader(Reader& reader, const Node& node)
      : reader_(reader), fields_(reader, node, "test", "a test case") {}

  void Read(const Node& node) {
    if (!fields_.valid()) return;
    test_.span = reader_.SpanOf(node);
    ReadName();
    ReadInputs(node);
    if (const Node* answers = fields_.Get("llm")) ReadAnswers(*answers);
    if (const Node* expect = fields_.Get("expect")) ReadExpect(*expect);
    reader_.flow.tests.push_back(std::move(test_));
  }

 private:
  void ReadName() {
    const Node* name = fields_.Require("name");
    fields_.Text("name", &test_.name);
    if (name == nullptr) return;
    test_.span = reader_.SpanOf(*name);
    for (const TestCase& other : reader_.flow.tests) {
      if (other.name != test_.name) continue;
      Mistake(*name, absl::StrCat("another case is called `", test_.name, "`"));
    }
  }

  // Whatever a run would be refused for.
  void ReadInputs(const Node& node) {
    const Node* inputs = fields_.Get("inputs");
    if (inputs != nullptr) test_.inputs = JsonOf(*inputs);
    const CheckedInputs checked = CheckInputs(reader_.flow, test_.inputs);
    for (const InputViolation& violation : checked.violations) {
      Mistake(inputs == nullptr ? node : *inputs,
              violation.name.empty()
                  ? violation.message
                  : absl::StrCat("input `", violation.name, "`: ", violation.message));
    }
  }

  void ReadAnswers(const Node& node) {
    if (node.is_string()) {
      test_.answers_file = node.text;
      if (!IsBundlePath(node.text)) {
        Mistake(node, "the file with answers lies beside the flow or below it").help =
            "as in `llm: answers.json`";
      }
      return;
    }
    if (!node.is_map()) return reader_.WrongType(node, "`llm`", "a map, or the name of a file");
    test_.answers = JsonOf(node);
    const bool others = std::any_of(reader_.flow.steps.begin(), reader_.flow.steps.end(),
                                    [](const Step& s) { return s.kind == StepKind::kFlow; });
    for (const auto& [path, answers] : node.entries) {
      if (!answers->is_list()) reader_.WrongType(*answers, "the answers of a step", "a list");
      const Step* step = FindStep(reader_.flow, path->text);
      if ((step != nullptr && step->kind == StepKind::kLlm) || others) continue;
      Mistake(*path, absl::StrCat("`", path->text, "` is no `llm` step"), /*llm_only=*/true);
    }
  }

  void ReadExpect(const Node& node) {
    Fields expect(reader_, node, "expect", "`expect`");
    if (!expect.valid()) return;
    constexpr const char* kWords[] = {"succeeded", "failed", "cancelled", "waiting"};
    test_.status =
        kWords[expect.Word("status", {"succeeded", "failed", "cancelled", "waiting"}, 0)];
    if (const Node* outputs = expect.Get("outputs")) ReadOutputs(*outputs);
    if (const Node* steps = expect.Get("steps")) {
      Fields words(reader_, *steps, "expect steps", "`steps`", /*open=*/true);
      for (const auto& [path, word] : steps->entries) {
        if (!KnownStep(*path)) continue;
        const int at = words.Word(
            path->text.c_str(),
            {"succeeded", "failed", "skipped", "cancelled", "parked", "pending", "waiting"}, -1);
        if (at >= 0) test_.statuses.emplace_back(path->text, word->text);
      }
    }
    if (const Node* outputs = expect.Get("step_outputs")) {
      Fields values(reader_, *outputs, "expect steps", "`step_outputs`", /*open=*/true);
      for (const auto& [path, value] : outputs->entries) {
        if (KnownStep(*path)) test_.step_outputs.emplace_back(path->text, JsonOf(*value));
      }
    }
  }

  void ReadOutputs(const Node& node) {
    Fields values(reader_, node, "expect steps", "`outputs`", /*open=*/true);
    std::vector<std::string> names;
    for (const auto& [name, value] : reader_.flow.outputs) names.push_back(name);
    for (const auto& [name, value] : node.entries) {
      if (std::find(names.begin(), names.end(), name->text) != names.end()) continue;
      Finding& finding = Mistake(*name, absl::StrCat("the flow has no output `", name->text, "`"));
      const std::string near = DidYouMean(name->text, names);
      if (!near.empty()) finding.help = absl::StrCat("did you mean `", near, "`?");
    }
    if (values.valid()) test_.outputs = JsonOf(node);
  }

  bool KnownStep(const Node& path) {
    if (FindStep(reader_.flow, path.text) != nullptr) return true;
    Mistake(path, absl::StrCat("the flow has no step `", path.text, "`"), /*llm_only=*/false);
    return false;
  }

  Finding& Mistake(const Node& node, std::string message) {
    return reader_.Error("BL0424", node, std::move(message));
  }
  // Of the path of a step.
  void Mistake(const Node& path, std::string message, bool llm_only) {
    Finding& finding = Mistake(path, std::move(message));
    const std::string near = DidYouMean(path.text, Paths(reader_.flow, llm_only));
    finding.help = near.empty() ? "a step below others is named by its path: `draft/write`"
                                : absl::StrCat("did you mean `", near, "`?");
  }

  Reader& reader_;
  Fields fields_;
  TestCase test_;
};

}  // namespace

void ReadTests(Reader& reader, const Node& tests) {
  if (!tests.is_list()) return reader.WrongType(tests, "`test`", "a list");
  if (tests.items.size() > kTestsMax) {
    reader.Error("BL0403", tests, absl::StrCat("a flow has at most ", kTestsMax, " test cases"));
    return;
  }
  for (const NodePtr& test : tests.items) CaseReader(reader, *test).Read(*test);
}

}  // namespace beamline::flowspec
