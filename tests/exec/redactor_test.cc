// Secrets do not show, whatever form they take and however the text is cut.
#include "daemon/exec/redactor.h"

#include <doctest/doctest.h>

namespace beamline::exec {
namespace {

// `text` fed in pieces of `step` bytes.
std::string InPieces(const Redactor& redactor, const std::string& text, size_t step) {
  std::string out;
  Redactor::Stream stream(redactor);
  for (size_t at = 0; at < text.size(); at += step) stream.Append(text.substr(at, step), &out);
  stream.Finish(&out);
  return out;
}

TEST_CASE("every form of a secret is hidden") {
  const Redactor redactor({"p\"w/1 2"});
  CHECK(redactor.Redact("plain p\"w/1 2.") == "plain ***.");
  CHECK(redactor.Redact(R"(json "p\"w/1 2".)") == "json \"***\".");
  CHECK(redactor.Redact("url p%22w%2F1%202 lower p%22w%2f1%202 form p%22w%2F1+2") ==
        "url *** lower *** form ***");
  CHECK(redactor.Redact("base64 cCJ3LzEgMg==") == "base64 ***==");
}

TEST_CASE("base64 is found in the middle of a longer encoded text") {
  const Redactor redactor({"correct horse"});
  // "user:correct horse" and "ab:correct horse!": all three alignments occur with "correct horse".
  CHECK(redactor.Redact("Basic dXNlcjpjb3JyZWN0IGhvcnNl") == "Basic dXNlcjp***");
  CHECK(redactor.Redact("YWI6Y29ycmVjdCBob3JzZSE=") == "YWI6***SE=");
  CHECK(redactor.Redact("YTpjb3JyZWN0IGhvcnNlIQ==") == "YTp***IQ==");
}

TEST_CASE("base64url differs in two characters, and is hidden too") {
  const Redactor redactor({"\xfb\xff\xfe?>?>"});
  CHECK(redactor.Redact("-__-Pz4_Pg") == "***");
  CHECK(redactor.Redact("+//+Pz4/Pg") == "***");
}

TEST_CASE("a secret that is split between reads is hidden, wherever the cut is") {
  const Redactor redactor({"abcabd", "secret"});
  const std::string text = "ababcabcabd sesecretsecre abcab";
  const std::string whole = redactor.Redact(text);
  CHECK(whole == "ababc*** se***secre abcab");
  for (size_t step = 1; step <= text.size(); ++step) {
    CAPTURE(step);
    CHECK(InPieces(redactor, text, step) == whole);
  }
}

TEST_CASE("overlapping secrets leave nothing of either") {
  const Redactor redactor({"abcdef", "defghi"});
  for (size_t step : {1, 2, 3, 5, 100}) {
    CAPTURE(step);
    CHECK(InPieces(redactor, "<abcdefghi>", step) == "<***>");
  }
}

TEST_CASE("the longer of two secrets with the same beginning wins") {
  const Redactor redactor({"token", "token-with-more"});
  CHECK(InPieces(redactor, "token-with-more token-with-mo", 1) == "*** ***-with-mo");
}

TEST_CASE("short secrets would blot out ordinary text, and are not hidden") {
  const Redactor redactor({"abc", ""});
  CHECK(redactor.empty());
  CHECK(redactor.Redact("abc") == "abc");
}

TEST_CASE("held-back text is bounded and comes out in the end") {
  const Redactor redactor({"secret"});
  std::string out;
  Redactor::Stream stream(redactor);
  stream.Append("the sec", &out);
  CHECK(out == "the ");
  stream.Append("ond", &out);
  CHECK(out == "the second");
  stream.Append("secre", &out);
  stream.Finish(&out);
  CHECK(out == "the secondsecre");
}

TEST_CASE("an adversary's text takes linear time") {
  const std::string secret = std::string(4000, 'a') + "b";
  const Redactor redactor({secret});
  const std::string text(8 << 20, 'a');  // quadratic: 32 G steps
  CHECK(redactor.Redact(text) == text);
}

}  // namespace
}  // namespace beamline::exec
