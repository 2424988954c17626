// Finding expressions in scalars, what they read, and what is wrong with them.
#include "flowspec/scan.h"

#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"

namespace beamline::flowspec {
namespace {

struct Scan {
  std::vector<std::string> extra_roots;
  std::vector<Expression> expressions;
  Findings findings;
  Template result;
  ExprIndex bare = -1;

  Scanner scanner() { return {extra_roots, &expressions, &findings}; }
  // "CODE@column+length message" per finding.
  std::string Found() const {
    std::string text;
    for (const Finding& f : findings) {
      absl::StrAppend(&text, text.empty() ? "" : "\n", f.code, "@", f.span.column, "+",
                      f.span.length, " ", f.message);
    }
    return text;
  }
};

// The scalar stands on line 1 from column 1 on.
Span Here(size_t offset, size_t length) {
  return {1, static_cast<int>(offset) + 1, static_cast<int>(length)};
}

Scan Scalar(std::string_view text) {
  Scan scan;
  scan.extra_roots = {"row"};
  scan.result = scan.scanner().ScanScalar(text, Here);
  return scan;
}

Scan Bare(std::string_view text) {
  Scan scan;
  scan.extra_roots = {"row"};
  scan.bare = scan.scanner().ScanBare(text, Here);
  return scan;
}

// The template's pieces: text as it is, holes as <value:source> or <text:source>.
std::string Pieces(const Scan& scan) {
  std::string text;
  for (const Piece& piece : scan.result.pieces) {
    if (piece.kind == Piece::Kind::kText) {
      text += piece.text;
    } else {
      absl::StrAppend(&text, piece.kind == Piece::Kind::kValue ? "<value:" : "<text:",
                      scan.expressions[piece.expr].source, ">");
    }
  }
  return text;
}

// "root.name.field" per reference, "?" behind it if it is defaulted.
std::string Reads(std::string_view jq) {
  const Scan scan = Bare(jq);
  if (!scan.findings.empty()) return scan.Found();
  std::string text;
  for (const Reference& ref : scan.expressions.at(0).references) {
    absl::StrAppend(&text, text.empty() ? "" : " ", ref.root, ref.name.empty() ? "" : ".", ref.name,
                    ref.field.empty() ? "" : ".", ref.field, ref.defaulted ? "?" : "");
  }
  return text;
}

// The keys of the plain path, "-" if jq is needed.
std::string Plain(std::string_view jq) {
  const Scan scan = Bare(jq);
  if (!scan.findings.empty()) return scan.Found();
  if (!scan.expressions.at(0).plain) return "-";
  std::string text = scan.expressions[0].plain->root;
  for (const PathKey& key : scan.expressions[0].plain->keys) {
    absl::StrAppend(&text, "/", key.index >= 0 ? absl::StrCat("#", key.index) : key.key);
  }
  return text;
}

TEST_CASE("text without expressions is a constant JSON string") {
  CHECK(Pieces(Scalar("plain \"text\"\n")) == R"("plain \"text\"\n")");
  CHECK(Pieces(Scalar("")) == "\"\"");
  CHECK(Scalar("$x {{ y }} ${z}").result.constant());
}

TEST_CASE("a scalar that is nothing but an expression keeps its type") {
  CHECK(Pieces(Scalar("${{ inputs.n }}")) == "<value:inputs.n>");
  CHECK(Pieces(Scalar("${{inputs.n}}")) == "<value:inputs.n>");
}

TEST_CASE("expressions within text are interpolated") {
  CHECK(Pieces(Scalar("a ${{ inputs.x }}${{ vars.y }} \"b\"")) ==
        R"("a <text:inputs.x><text:vars.y> \"b\"")");
  CHECK(Pieces(Scalar("${{ inputs.x }}\n")) == R"("<text:inputs.x>\n")");
  CHECK(Pieces(Scalar("${{ inputs.x }}${{ inputs.y }}")) == R"("<text:inputs.x><text:inputs.y>")");
}

TEST_CASE("$${{ is a literal ${{") {
  CHECK(Pieces(Scalar("a $${{ b }} ${{ inputs.x }}")) == R"("a ${{ b }} <text:inputs.x>")");
  CHECK(Pieces(Scalar("$$${{ b }}")) == R"("$${{ b }}")");
}

TEST_CASE("braces, strings and comments of jq do not end an expression") {
  CHECK(Pieces(Scalar("${{ {a:{b:1}} }}")) == "<value:{a:{b:1}}>");
  CHECK(Pieces(Scalar("${{ {a:{b:1}}}}")) == "<value:{a:{b:1}}>");
  CHECK(Pieces(Scalar(R"(${{ "}}" }}!)")) == R"("<text:"}}">!")");
  CHECK(Pieces(Scalar(R"(${{ "\({a:1}.a)}}" }}!)")) == R"("<text:"\({a:1}.a)}}">!")");
  CHECK(Pieces(Scalar("${{ 1 # }}\n}}")) == "<value:1>");
}

TEST_CASE("an expression becomes one line") {
  CHECK(Pieces(Scalar("${{ inputs.a\n  | length # count\n + 1 }}")) ==
        "<value:inputs.a   | length   + 1>");
  CHECK(Pieces(Scalar("${{ \"a\nb\tc # d\" }}")) == R"(<value:"a\nb\u0009c # d">)");
}

TEST_CASE("references are the roots and up to two keys below them") {
  CHECK(Reads("inputs.topic") == "inputs.topic");
  CHECK(Reads("steps.draft.output.title") == "steps.draft.output");
  CHECK(Reads(R"(steps["draft"].output)") == "steps.draft.output");
  CHECK(Reads(R"(steps."draft"["output"])") == "steps.draft.output");
  CHECK(Reads("inputs?.a?.b?") == "inputs.a.b");
  CHECK(Reads("steps[inputs.which].output") == "steps inputs.which");
  CHECK(Reads("item + index + row.id") == "item index row.id");
  CHECK(Reads(R"jq("\(inputs.a) and \("\(vars.b)")")jq") == "inputs.a vars.b");
  CHECK(Reads("steps.test.items[] | select(.status == \"x\") | .output.inputs") ==
        "steps.test.items");
  CHECK(Reads("[steps.a.output[] as {inputs: $i} | {steps: $i, env: vars.x}]") ==
        "steps.a.output vars.x");
  CHECK(Reads("error") == "error");
  CHECK(Reads("error(\"x\")") == "");
  CHECK(Reads("inputs.a | index(\"x\")") == "inputs.a");
}

TEST_CASE("a local definition hides a root") {
  CHECK(Reads("def item: 1; item + inputs.a") == "inputs.a");
  CHECK(Reads("def f(run; $env): run + env; f(1; 2)") == "");
}

TEST_CASE("a reference is defaulted by // or default() right behind it") {
  CHECK(Reads("steps.a.output.x | default(1)") == "steps.a.output?");
  CHECK(Reads("steps.a.output.x[0] // 1") == "steps.a.output?");
  CHECK(Reads("(steps.a.output) // steps.b.output") == "steps.a.output? steps.b.output");
  CHECK(Reads("[steps.a.output // 0, steps.b.output]") == "steps.a.output? steps.b.output");
  CHECK(Reads("steps.a.output | tostring | default(1)") == "steps.a.output");
  CHECK(Reads("map(steps.a.output) // 1") == "steps.a.output");
}

TEST_CASE("a reference points at the name in the file") {
  const Scan scan = Scalar("x ${{ steps.draft.output }}");
  CHECK(scan.expressions.at(0).span == Span{1, 7, 18});
  CHECK(scan.expressions[0].references.at(0).span == Span{1, 13, 5});
  CHECK(Bare(" item ").expressions.at(0).references.at(0).span == Span{1, 2, 4});
}

TEST_CASE("plain paths need no jq") {
  CHECK(Plain("inputs.who") == "inputs/who");
  CHECK(Plain("item") == "item");
  CHECK(Plain("steps.a.output.items[0].x") == "steps/a/output/items/#0/x");
  CHECK(Plain(R"(steps["a"]."b c")") == "steps/a/b c");
  for (const char* jq :
       {"inputs.a?", "inputs.a | length", "inputs.a[-1]", "inputs.a[]", "inputs.a[1:2]",
        "inputs.a + 1", "inputs[vars.x]", "-index", "1", "inputs.a.[0]", R"(inputs["\u0061"])"}) {
    CAPTURE(jq);
    CHECK(Plain(jq) == "-");
  }
}

TEST_CASE("an unknown name is a finding that knows the right one") {
  const Scan scan = Scalar("${{ input.x + imputs.y }}");
  REQUIRE(scan.findings.size() == 2);
  CHECK(scan.findings[0].code == "BL0304");  // jq's input
  CHECK(scan.findings[1].code == "BL0303");
  CHECK(scan.findings[1].message == "unknown name `imputs`");
  CHECK(scan.findings[1].label == "did you mean `inputs`?");
  REQUIRE(scan.findings[1].fix);
  CHECK(scan.findings[1].fix->text == "inputs");
  CHECK(scan.findings[1].fix->span == Span{1, 15, 6});
}

TEST_CASE("functions are known with their arity") {
  CHECK(Bare("inputs.a | map(.b) | lenght").Found() == "BL0303@22+6 unknown name `lenght`");
  CHECK(Bare("map").Found() == "BL0303@1+3 `map` takes 1 arguments, not 0");
  CHECK(Bare("limit(1; 2; 3)").Found() == "BL0303@1+5 `limit` takes 2 arguments, not 3");
  CHECK(Bare("inputs(1)").Found() == "BL0303@1+6 `inputs` takes 0 arguments, not 1");
  CHECK(Bare("inputs.a | default").Found() == "BL0303@12+7 `default` takes 1 arguments, not 0");
  CHECK(Bare("secrets.token").Found() == "BL0303@1+7 unknown name `secrets`");
  CHECK(Bare("a::b").Found() == "BL0303@1+4 unknown name `a::b`");
}

TEST_CASE("what would show or stop the daemon is forbidden") {
  for (const char* jq :
       {"$ENV", "$ENV.PATH", "$__loc__", "$__roots", "debug", "stderr", "halt", "halt_error",
        "halt_error(1)", "input", "[limit(3; input)]", "input_filename", "input_line_number",
        "get_search_list", "modulemeta", "import \"a\" as a; 1", "include \"a\"; 1", "$ ENV"}) {
    CAPTURE(jq);
    const Scan scan = Bare(jq);
    REQUIRE(scan.findings.size() >= 1);
    CHECK(scan.findings[0].code == "BL0304");
    CHECK_FALSE(scan.findings[0].help.empty());
  }
  CHECK(Reads("{debug: 1, input: 2, import: 3} | .halt, .import") == "");
}

TEST_CASE("brackets and strings are balanced within one expression") {
  CHECK(Bare("(1").Found() == "BL0302@1+1 `(` is never closed");
  CHECK(Bare("1)").Found() == "BL0302@2+1 `)` closes nothing");
  CHECK(Bare("1) , (2").Found() == "BL0302@2+1 `)` closes nothing");
  CHECK(Bare("[1}").Found() == "BL0302@3+1 `}` stands where `]` should close `[`");
  CHECK(Scalar("${{ [1 }} x").Found() == "BL0302@5+1 `[` is never closed");
  CHECK(Bare("\"abc").Found() == "BL0302@1+1 the string that starts here is never closed");
  CHECK(Bare("\"a\\(1\"").Found() == "BL0302@6+1 the string that starts here is never closed");
}

TEST_CASE("an expression that never ends is a finding at its start") {
  CHECK(Scalar("a ${{ inputs.x").Found() == "BL0306@3+3 `${{` is never closed by `}}`");
  CHECK(Scalar("${{ inputs.x # }}").Found() == "BL0306@1+3 `${{` is never closed by `}}`");
}

TEST_CASE("scanning goes on behind a broken expression") {
  CHECK(Scalar("${{ (1 }} ${{ }} ${{ foo }}").Found() ==
        "BL0302@5+1 `(` is never closed\n"
        "BL0307@14+1 the expression is empty\n"
        "BL0303@22+3 unknown name `foo`");
}

TEST_CASE("where an expression cannot be told from the text behind it, scanning stops") {
  CHECK(Scalar("${{ \"a }} ${{ foo }}").Found() ==
        "BL0302@5+1 the string that starts here is never closed");
  std::string comments;
  for (int i = 0; i < 100'000; ++i) comments += "${{ #}}";
  CHECK(Scalar(comments).findings.size() == 1);
}

TEST_CASE("an expression key is bare jq") {
  const Scan bare = Bare("inputs.ref == \"main\"");
  CHECK(bare.bare == 0);
  CHECK(bare.expressions.at(0).source == "inputs.ref == \"main\"");
  CHECK(Bare("  ").Found() == "BL0307@1+2 the expression is empty");

  const Scan wrapped = Bare(" ${{ inputs.ref }} ");
  CHECK(wrapped.bare == -1);
  REQUIRE(wrapped.findings.size() == 1);
  CHECK(wrapped.findings[0].code == "BL0305");
  REQUIRE(wrapped.findings[0].fix);
  CHECK(wrapped.findings[0].fix->text == "inputs.ref");
  CHECK(wrapped.findings[0].fix->span == Span{1, 2, 17});
  CHECK_FALSE(Bare("${{ inputs.a }} == 1").findings.at(0).fix);
}

TEST_CASE("nesting and length are bounded") {
  const auto nested = [](int n) { return std::string(n, '(') + "1" + std::string(n, ')'); };
  CHECK(Bare(nested(64)).findings.empty());
  CHECK(Bare(nested(65)).findings.at(0).code == "BL0308");
  CHECK(Bare(nested(100'000)).findings.at(0).code == "BL0308");
  CHECK(Bare("\"" + std::string(17'000, 'a') + "\"").findings.at(0).code == "BL0308");
  std::string chain = "1";
  for (int i = 0; i < 2000; ++i) chain += "+1";
  CHECK(Bare(chain).findings.at(0).code == "BL0308");
}

TEST_CASE("bytes that jq does not know are findings") {
  CHECK(Bare("inputs.a && inputs.b").findings.at(0).code == "BL0301");
  CHECK(Bare("'text'").findings.at(0).code == "BL0301");
  CHECK(Bare(std::string_view("1\0+1", 4)).findings.at(0).code == "BL0301");
  CHECK(Bare(R"("\x")").findings.at(0).code == "BL0301");
}

TEST_CASE("names that jq or BeamLine uses cannot become roots") {
  for (const char* name : {"inputs", "if", "length", "true", "__want", "halt", "add"}) {
    CAPTURE(name);
    CHECK(IsReservedName(name));
  }
  CHECK_FALSE(IsReservedName("row"));
  CHECK_FALSE(IsReservedName("map"));  // takes an argument
}

}  // namespace
}  // namespace beamline::flowspec
