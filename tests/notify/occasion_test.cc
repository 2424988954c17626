// What is an occasion, and what is told of it.
#include "daemon/notify/occasion.h"

#include <doctest/doctest.h>

#include "absl/strings/str_join.h"
#include "daemon/notify/courier.h"

namespace beamline::notify {
namespace {

run::RunId Id() { return *run::RunId::Parse("01kayh2v5000000000000000aa"); }

std::vector<Occasion> Of(run::Fact fact) {
  return OccasionsOf(Id(), {7, absl::FromUnixMillis(1'764'000'000'123), "uid:1", std::move(fact)});
}

std::string Kinds(run::Fact fact) {
  return absl::StrJoin(Of(std::move(fact)), " ", [](std::string* out, const Occasion& occasion) {
    *out += KindName(occasion.kind);
  });
}

TEST_CASE("few events concern people") {
  CHECK(Kinds(run::TaskOpened{.path = "review", .task = 3}) == "approval_requested");
  CHECK(Kinds(run::TaskDelegated{.path = "review", .task = 3, .to = "user:eve"}) ==
        "approval_delegated");
  CHECK(Kinds(run::TaskEscalated{.path = "review", .task = 3}) == "approval_escalated");
  CHECK(Kinds(run::TaskClosed{.task = 3, .outcome = run::TaskOutcome::kExpired}) ==
        "approval_expired");
  CHECK(Kinds(run::TaskClosed{.task = 3, .outcome = run::TaskOutcome::kApproved}) == "");
  CHECK(Kinds(run::StepParked{.path = "pay"}) == "step_parked dead_letter");
  CHECK(Kinds(run::RunFinished{.status = run::Status::kFailed}) == "run_failed dead_letter");
  CHECK(Kinds(run::RunFinished{.status = run::Status::kSucceeded}) == "run_succeeded");
  CHECK(Kinds(run::RunFinished{.status = run::Status::kCancelled}) == "run_cancelled");
  CHECK(Kinds(run::AttemptFinished{.outcome = run::Outcome::kFailed}) == "");
}

TEST_CASE("kinds have names, and the names kinds") {
  for (const std::string& name : KindNames()) CHECK(KindName(*FindKind(name)) == name);
  CHECK(KindNames().size() == 9);
  CHECK_FALSE(FindKind("run_started"));
}

TEST_CASE("a request for an approval says who is asked for what, and what to do") {
  Occasion occasion = Of(run::TaskOpened{.path = "draft/review",
                                         .task = 31,
                                         .round = 2,
                                         .title = "Publish \"Tides\"?",
                                         .approvers = {"user:ada", "group:editors"},
                                         .until = absl::FromUnixSeconds(1'764'003'600)})
                          .front();
  occasion.flow = "article";
  occasion.labels = {{"team", "red"}};
  CHECK(JsonOf(occasion) ==
        R"({"id":"01kayh2v5000000000000000aa/7/approval_requested","kind":"approval_requested",)"
        R"("time":"2025-11-24T16:00:00.123Z","run":"01kayh2v5000000000000000aa",)"
        R"("flow":"article","labels":{"team":"red"},"step":"draft/review","task":"t31",)"
        R"("title":"Publish \"Tides\"?","round":2,"approvers":["user:ada","group:editors"],)"
        R"("until":"2025-11-24T17:00:00.000Z","next":"beamline review t31"})");
}

TEST_CASE("a failure says why; what strangers printed is bounded and cannot move a cursor") {
  Occasion occasion =
      Of(run::RunFinished{.status = run::Status::kFailed,
                          .error = {"exit", "\x1b[31mbad\x1b[0m\n" + std::string(9000, 'x'), 3}})
          .front();
  occasion.flow = "ship";
  const std::string json = JsonOf(occasion);
  CHECK(json.find(R"("error":{"kind":"exit","message":"badxxx)") != json.npos);
  CHECK(json.find(R"("exit_code":3})") != json.npos);
  CHECK(json.find(R"("next":"beamline runs show 01kayh2v5000000000000000aa")") != json.npos);
  CHECK(json.size() < 3000);
}

TEST_CASE("a dead letter is the same one however often its run fails") {
  Occasion letter = Of(run::StepParked{.path = "pay"}).back();
  letter.letter = 12;
  CHECK(IdOf(letter) == "01kayh2v5000000000000000aa/d12/dead_letter");
  letter.seq = 99;
  CHECK(IdOf(letter) == "01kayh2v5000000000000000aa/d12/dead_letter");
  CHECK(NextCommand(letter) == "beamline dlq show d12");
}

TEST_CASE("filters: all labels, one of the flows") {
  const Rule rule{.flows = {"a", "b"}, .labels = {{"team", "red"}}};
  CHECK(Follows(rule, "b", {{"n", "1"}, {"team", "red"}}));
  CHECK_FALSE(Follows(rule, "c", {{"team", "red"}}));
  CHECK_FALSE(Follows(rule, "a", {{"team", "blue"}}));
  CHECK(Follows(Rule(), "any", {}));
}

// The first is the example of https://www.standardwebhooks.com.
TEST_CASE("signatures are those of Standard Webhooks") {
  CHECK(Signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
                  1614265330,
                  R"({"test": 2432232314})") == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  CHECK(Signature("plain secret", "a/1/run_failed", 7, "{}") ==
        "v1,5smM+l09589HJugSsuoD8bcK/gu+mWElTzJikpcjAzc=");
}

}  // namespace
}  // namespace beamline::notify
