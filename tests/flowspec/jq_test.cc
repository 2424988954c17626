// libjq: the assembled program, what it refuses, and what it gives.
#include "flowspec/jq.h"

#include <doctest/doctest.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flowspec/builtins.h"
#include "flowspec/scan.h"

namespace beamline::flowspec {
namespace {

std::vector<Expression> Scanned(const std::vector<std::string>& sources) {
  std::vector<Expression> expressions;
  Findings findings;
  const Scanner scanner{{"row"}, &expressions, &findings};
  for (const std::string& source : sources) {
    scanner.ScanBare(source, [](size_t offset, size_t length) {
      return Span{1, static_cast<int>(offset) + 1, static_cast<int>(length)};
    });
  }
  REQUIRE(findings.empty());
  return expressions;
}

// "column+length message" per finding of compiling `sources`.
std::string Refused(const std::vector<std::string>& sources) {
  Findings findings;
  CompileExpressions(Scanned(sources), {"row"}, &findings);
  return absl::StrJoin(findings, "\n", [](std::string* out, const Finding& f) {
    absl::StrAppend(out, f.span.column, "+", f.span.length, " ", f.message);
  });
}

constexpr const char* kRoots =
    R"({"inputs":{"a":1,"f":false,"n":null,"s":"x"},"steps":{"t":{"items":[{"status":"ok","v":3},)"
    R"({"status":"bad","v":1}]}},"item":7,"index":2,"row":{"id":"r1"},"now":5,"env":{"A":"b"}})";

std::string Evaluate(const std::vector<std::string>& sources, const std::string& want) {
  absl::StatusOr<std::unique_ptr<JqProgram>> program =
      JqProgram::Compile(AssembleProgram(Scanned(sources), {"row"}));
  if (!program.ok()) return "compile: " + std::string(program.status().message());
  absl::StatusOr<std::string> result =
      (*program)->Run(absl::StrCat("{\"roots\":", kRoots, ",\"want\":", want, "}"));
  return result.ok() ? *result : "run: " + std::string(result.status().message());
}

TEST_CASE("the wanted expressions are evaluated, each with its own result") {
  const std::vector<std::string> sources = {"inputs.a + 1",
                                            "[steps.t.items[] | select(.status == \"ok\").v] | min",
                                            "row.id + \"!\"", "item * index"};
  CHECK(Evaluate(sources, "[0,1,2,3]") == R"([{"v":2},{"v":3},{"v":"r1!"},{"v":14}])");
  CHECK(Evaluate(sources, "[3,0]") == R"([{"v":14},{"v":2}])");
  CHECK(Evaluate(sources, "[]") == "[]");
}

TEST_CASE("an error stays with its expression") {
  CHECK(
      Evaluate({"inputs.s.x | length", "1 + 1", "error(\"own\")", "error({a: 1})"}, "[0,1,2,3]") ==
      R"([{"e":"Cannot index string with string \"x\""},{"v":2},{"e":"own"},{"e":"{\"a\":1}"}])");
}

TEST_CASE("exactly one result is wanted") {
  CHECK(Evaluate({"empty", "1, 2", "[range(3)]", "repeat(1)"}, "[0,1,2,3]") ==
        R"([{"e":"the expression has no result"},{"e":"the expression has more than one result"},)"
        R"({"v":[0,1,2]},{"e":"the expression has more than one result"}])");
}

TEST_CASE("default() replaces null and missing, not false") {
  CHECK(Evaluate({"inputs.n | default(\"d\")", "inputs.zz | default(1)", "inputs.f | default(1)",
                  "inputs.f // 1"},
                 "[0,1,2,3]") == R"([{"v":"d"},{"v":1},{"v":false},{"v":1}])");
}

TEST_CASE("roots stay readable behind a pipe, and the input of an expression is null") {
  CHECK(Evaluate({"[1] | map(. + inputs.a)", ".", "now + 1", "env | keys"}, "[0,1,2,3]") ==
        R"([{"v":[2]},{"v":null},{"v":6},{"v":["A"]}])");
}

TEST_CASE("equal expressions are compiled once") {
  const std::vector<std::string> sources = {"inputs.a + 1", "inputs.a + 2", "inputs.a + 1"};
  CHECK(Evaluate(sources, "[2,1,0]") == R"([{"v":2},{"v":3},{"v":2}])");
  const std::string program = AssembleProgram(Scanned(sources), {});
  CHECK(program.find("inputs.a + 1") == program.rfind("inputs.a + 1"));
}

TEST_CASE("many expressions are one program") {
  std::vector<std::string> sources;
  for (int i = 0; i < 1100; ++i) sources.push_back(absl::StrCat("inputs.a + ", i));
  sources.push_back("inputs.a + 5");
  CHECK(
      Evaluate(sources, "[0,511,512,1024,1099,1100,1101]") ==
      R"([{"v":1},{"v":512},{"v":513},{"v":1025},{"v":1100},{"v":6},{"e":"no such expression"}])");
}

TEST_CASE("expressions that scanning did not see still find nothing of the daemon") {
  const auto evaluate = [](std::string source) {
    Expression expr;
    expr.source = std::move(source);
    auto program = JqProgram::Compile(AssembleProgram({expr}, {}));
    REQUIRE(program.ok());
    return *(*program)->Run(R"({"roots":{"env":{}},"want":[0]})");
  };
  CHECK(evaluate("$ENV") == R"([{"v":{}}])");
  CHECK(evaluate("env") == R"([{"v":{}}])");
  for (const std::string name :
       {"halt", "input", "debug", "stderr", "input_filename", "input_line_number",
        "get_search_list", "modulemeta", "halt_error", "get_jq_origin"}) {
    CHECK(evaluate(name) == absl::StrCat("[{\"e\":\"`", name, "` is not available\"}]"));
  }
  CHECK(evaluate("halt_error(1)") == R"([{"e":"`halt_error` is not available"}])");
}

TEST_CASE("sound expressions compile without a finding") {
  CHECK(
      Refused({"1", "inputs.a | if . then 1 else 2 end", "[.[]? as [$a, {b: $c}] | $a + $c]",
               "def f($x; g): $x + g; f(1; 2)", "label $out | 1, break $out",
               "reduce (1, 2) as $x (0; . + $x)", "@base64 \"x\\(inputs.a)\"", "try error catch .",
               "{a: 1, \"b c\": 2, (inputs.s): 3, @text \"k\": 4}", "inputs.a as $x | {$x}",
               "[limit(3; range(10))] | .[1:]", "inputs.s | test(\"x\"; \"i\")"}) == "");
}

TEST_CASE("every broken expression is a finding at the word where it breaks") {
  CHECK(Refused({"1 +", "inputs.a", "1 2", "if 1 then 2", "inputs.a == = 2", "inputs.a | | 1",
                 "{\"a\" 1}", "1 / 0", "1; 2", "def f: 1;"}) ==
        "1+3 the expression ends too early\n"
        "3+1 syntax error: unexpected `2`\n"
        "1+11 the expression ends too early\n"
        "13+1 syntax error: unexpected `=`\n"
        "12+1 syntax error: unexpected `|`\n"
        "6+1 syntax error: unexpected `1`\n"
        "1+5 jq: Division by zero\n"
        "2+1 syntax error: unexpected `;`\n"
        "1+9 the expression ends too early");
}

TEST_CASE("variables, labels and local functions are bound") {
  CHECK(Refused({"inputs.a as $x | $y + $x", "(1 as $x | $x) + $x", "break $out", "def f(g): g; f",
                 "1 + 1", "(def h: 1; h) | h"}) ==
        "1+24 `$y` is not defined here\n"
        "1+19 `$x` is not defined here\n"
        "1+10 `break $out` is not inside `label $out`\n"
        "1+14 `f/0` is not defined here\n"
        "1+17 `h/0` is not defined here");
}

TEST_CASE("the builtins that scanning allows are those of libjq") {
  Expression expr;
  expr.source = "[builtins | .[] | select(startswith(\"_\") | not)] | sort";
  auto program = JqProgram::Compile(AssembleProgram({expr}, {}));
  REQUIRE(program.ok());
  const std::string listed = *(*program)->Run(R"({"roots":{},"want":[0]})");
  for (const std::string& name : BuiltinNames()) {
    for (int arity : BuiltinArities(name)) {
      const std::string entry = absl::StrCat("\"", name, "/", arity, "\"");
      CAPTURE(entry);
      CHECK(listed.find(entry) != std::string::npos);
    }
  }
}

TEST_CASE("500 expressions are checked within the time of validate") {
  std::vector<std::string> sources;
  for (int i = 0; i < 500; ++i) {
    sources.push_back(absl::StrCat("[steps.t.items[] | select(.status == \"s", i, "\").v] | min"));
    if (i % 20 == 0) sources.back() = absl::StrCat("inputs.a as $x | $x + ", i);
  }
  const std::vector<Expression> expressions = Scanned(sources);
  const auto start = std::chrono::steady_clock::now();
  Findings findings;
  CompileExpressions(expressions, {}, &findings);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  CHECK(findings.empty());
  CHECK(took.count() < 1000);  // about 25 ms; the rest is for slow and busy machines
  MESSAGE("500 expressions checked in " << took.count() << " ms");
}

TEST_CASE("the costliest expressions that scanning lets through are refused or checked in time") {
  const auto chain = [](std::string first, const std::string& more, int n) {
    for (int i = 0; i < n; ++i) first += more;
    return first;
  };
  for (const std::string& source :
       {chain(".", "+.", 500), chain(".", "?", 1000), chain("", "1 as $x|", 200) + "$x",
        chain("1", ",1", 500), chain("", "-", 1000) + "1", chain("", "try ", 1000) + "1"}) {
    CHECK(Refused({source}) == "");
  }
  std::vector<Expression> many(400);
  for (size_t i = 0; i < many.size(); ++i) {
    many[i].source = absl::StrCat("\"", i, std::string(1000, 'x'), "\"");
  }
  Findings findings;
  CompileExpressions(many, {}, &findings);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].code == "BL0308");
}

TEST_CASE("a program refuses input that would crash libjq") {
  auto program = JqProgram::Compile(".");
  REQUIRE(program.ok());
  CHECK(*(*program)->Run(" [1, 2.50] ") == "[1,2.5]");
  for (const std::string& bad :
       {std::string("{"), std::string("nan"), std::string("1 2"), std::string(100'000, '[')}) {
    CHECK((*program)->Run(bad).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(*(*program)->Run("3") == "3");  // usable after errors
}

TEST_CASE("a program that does not compile says why") {
  CHECK(JqProgram::Compile("1 +").status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(JqProgram::Compile("nosuch").status().message().find("nosuch/0 is not defined") !=
        absl::string_view::npos);
}

}  // namespace
}  // namespace beamline::flowspec
