// YAML text from dice, parsed by the real parser.
#include "tests/run/random_flow.h"

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flowspec/check.h"
#include "flowspec/parse.h"

namespace beamline::run {
namespace {

class Writer {
 public:
  explicit Writer(Random& random) : random_(random) {}

  std::string Flow() {
    std::string yaml =
        "beamline: flow/v1\nname: random\ninputs: {go: {type: boolean, default: true}, list: "
        "{type: array, default: []}}\n";
    if (random_.Chance(20)) yaml += "timeout: 5m\n";
    asks_ = random_.Chance(60);
    yaml += "steps:\n" + List(1 + random_.Below(5), 1, true);
    if (random_.Chance(40)) yaml += "on_failure:\n" + List(1, 1, true);
    if (random_.Chance(50)) yaml += "finally:\n" + List(1 + random_.Below(2), 1, true);
    if (random_.Chance(30)) yaml += "outputs: {go: '${{ inputs.go }}'}\n";
    return yaml;
  }

 private:
  std::string List(uint64_t count, int depth, bool ordered) {
    std::string yaml;
    std::vector<std::string> before;
    for (uint64_t i = 0; i < count; ++i) {
      const std::string id = absl::StrCat("s", ++steps_);
      const bool ask = asks_ && ordered && !before.empty() && random_.Chance(50);
      yaml += ask ? Question(id, before.back(), depth) : Step(id, before, depth, ordered);
      before.push_back(id);
    }
    return yaml;
  }

  std::string Step(const std::string& id, const std::vector<std::string>& before, int depth,
                   bool ordered) {
    const std::string pad(static_cast<size_t>(depth * 2), ' ');
    std::string yaml = absl::StrCat(pad, "- id: ", id, "\n");
    const auto add = [&](const std::string& line) {
      absl::StrAppend(&yaml, pad, "  ", line, "\n");
    };
    if (ordered && random_.Chance(60)) add(Needs(before));
    if (random_.Chance(20)) add("if: inputs.go");
    if (random_.Chance(15)) add(random_.Chance(50) ? "on_error: continue" : "on_error: park");
    if (random_.Chance(25)) {
      add(absl::StrCat("foreach: {items: inputs.list, max_parallel: ", 1 + random_.Below(3),
                       ", tolerate: ", random_.Below(3), "}"));
    } else if (random_.Chance(15)) {
      add(absl::StrCat("loop: {until: inputs.go, max: ", 1 + random_.Below(4), "}"));
    }
    if (!asks_ && random_.Chance(20)) {  // what runs again must not have to be undone
      add(random_.Chance(70) ? "compensate: {run: ./undo}"
                             : "compensate: {do: [{id: u" + id + ", run: ./undo}]}");
    }
    const uint64_t kind = random_.Below(10);
    if (kind < 2 && depth < 4 && steps_ < 12) {
      if (random_.Chance(20)) add("timeout: 30s");
      add(kind == 0 ? "do:" : "parallel:");
      return yaml + List(1 + random_.Below(3), depth + 2, kind == 0);
    }
    if (kind == 4) {
      add(random_.Chance(50) ? "wait: {for: 20s}" : "wait: {signal: {name: go}}");
      if (random_.Chance(30)) add("timeout: 10s");
    } else if (kind == 2) {
      add("set: {x: 1}");
    } else if (kind == 3 && random_.Chance(50)) {
      add("fail: {code: dice, message: 'the dice say so'}");
    } else {
      add("run: 'true'");
      if (random_.Chance(40)) add("retry: {max: 3, initial: 2s}");
      if (random_.Chance(20)) add("effect: once");
      if (random_.Chance(20)) add("deadline: 20s");
    }
    return yaml;
  }

  // People are asked about the step before, which may have to run again.
  std::string Question(const std::string& id, const std::string& before, int depth) {
    const std::string pad(static_cast<size_t>(depth * 2), ' ');
    std::string yaml = absl::StrCat(pad, "- id: ", id, "\n");
    if (random_.Chance(20)) absl::StrAppend(&yaml, pad, "  on_error: continue\n");
    absl::StrAppend(&yaml, pad, "  approve: {title: ok, on_changes: {rerun: ", before, "}}\n");
    return yaml;
  }

  std::string Needs(const std::vector<std::string>& before) {
    static constexpr const char* kWhen[] = {"success", "failure", "done"};
    std::vector<std::string> needs;
    for (const std::string& id : before) {
      if (random_.Chance(40)) {
        needs.push_back(absl::StrCat("{step: ", id, ", when: ", kWhen[random_.Below(3)], "}"));
      }
    }
    return absl::StrCat("needs: [", absl::StrJoin(needs, ", "), "]");
  }

  Random& random_;
  int steps_ = 0;
  bool asks_ = false;
};

}  // namespace

std::shared_ptr<const Plan> RandomFlow(Random& random) {
  const std::string yaml = Writer(random).Flow();
  flowspec::ParseResult parsed =
      flowspec::ParseFlow(yaml, {.compile_expressions = false, .accepted_before = true});
  if (parsed.flow == nullptr) {
    for (const auto& f : parsed.findings) {
      std::fprintf(stderr, "%s %d: %s\n", f.code.c_str(), f.span.line, f.message.c_str());
    }
    std::fputs(yaml.c_str(), stderr);
  }
  CHECK(parsed.flow != nullptr);
  return MakePlan(parsed.flow);
}

}  // namespace beamline::run
