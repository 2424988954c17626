// What a person did to a run, and kill -9: a verb that was answered is in force afterwards; one
// that was not, and is sent again with its request id, has one effect. Decisions:
// approvals_test.cc.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

constexpr char kPark[] =
    "beamline: flow/v1\nname: park\nsteps:\n"
    "  - {id: pay, on_error: park, run: [/bin/false]}\n  - {id: mail, set: {a: 1}}\n";
constexpr char kFail[] =
    "beamline: flow/v1\nname: fail\nsteps:\n"
    "  - {id: good, set: {a: 1}}\n  - {id: pay, run: [/bin/false]}\n";
constexpr char kWait[] =
    "beamline: flow/v1\nname: wait\nsteps: [{id: paid, wait: {signal: {name: paid}}}]\n";

// Who operates the runs of a daemon that is killed.
class Desk {
 public:
  Desk() { Start(); }
  void Start() {
    daemon_.emplace(directory_.path());
    REQUIRE(daemon_->AwaitSocket());
    client_ = std::make_unique<Client>(daemon_->socket());
  }
  void Kill() {
    daemon_->Signal(SIGKILL);
    CHECK(daemon_->AwaitExit() == 128 + SIGKILL);
    daemon_.reset();
  }
  Client& client() { return *client_; }

  // A run of `flow` that has ended or goes on only if somebody does something.
  std::string Start(const char* flow) {
    const auto run = client_->StartFlow(flow);
    REQUIRE_MESSAGE(run.ok(), run.status().message());
    v1::WaitRunRequest wait;
    wait.set_run_id(*run);
    wait.set_or_waiting(true);
    REQUIRE(client_->Wait(wait).ok());
    return *run;
  }
  bool Becomes(const std::string& run, const std::function<bool(const v1::Run&)>& holds) {
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (absl::Now() < until) {
      const auto shown = client_->Get(run);
      if (shown.ok() && holds(shown->run())) return true;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return false;
  }
  bool Becomes(const std::string& run, v1::Status status) {
    return Becomes(run, [status](const v1::Run& shown) { return shown.status() == status; });
  }
  // The step `pay` was tried again (once more, if the kill cut that off) and came to the same end.
  bool RanAgain(const std::string& run, v1::Status status) {
    return Becomes(run, [status](const v1::Run& shown) {
      for (const v1::Step& step : shown.steps()) {
        if (step.id() == "pay") return step.attempts_size() >= 2 && shown.status() == status;
      }
      return false;
    });
  }
  // How often this request was carried out on the run; one of a list has an id that begins so.
  int Effects(const std::string& run, const std::string& request_id) {
    int count = 0;
    v1::StreamExecutionEventsRequest request;
    request.set_run_id(run);
    CHECK(client_
              ->Events(request,
                       [&](const v1::ExecutionEvent& event) {
                         count += event.has_intervened() &&
                                  absl::StartsWith(event.intervened().request_id(), request_id);
                         return true;
                       })
              .ok());
    return count;
  }
  int Replays(const std::string& run) {
    v1::ListRunsRequest request;
    request.set_page_size(500);
    const auto runs = client_->List(request);
    REQUIRE(runs.ok());
    int count = 0;
    for (const v1::RunSummary& row : runs->runs()) {
      const auto shown = client_->Get(row.id());
      count += shown.ok() && shown->run().replay_of().run_id() == run ? 1 : 0;
    }
    return count;
  }

 private:
  TemporaryDirectory directory_;
  std::optional<Beamlined> daemon_;
  std::unique_ptr<Client> client_;
};

template <typename Request>
Request RequestFor(const std::string& run, const std::string& request_id) {
  Request request;
  request.set_run_id(run);
  request.set_request_id(request_id);
  return request;
}

template <typename Request>
Request LettersOf(const std::string& run, const std::string& request_id) {
  Request request;
  request.set_request_id(request_id);
  v1::DeadLetterRef* letter = request.add_letters();
  letter->set_run_id(run);
  letter->set_step("pay");
  return request;
}

template <typename Response>
absl::Status Each(const absl::StatusOr<Response>& response) {
  if (!response.ok()) return response.status();
  const auto& result = response->results(0);
  return result.code() == 0 ? absl::OkStatus() : absl::UnknownError(result.message());
}

struct Verb {
  const char* name;
  std::function<std::string(Desk&)> prepare;  // the run
  std::function<absl::Status(Client&, const std::string& run, const std::string& id)> ask;
  std::function<bool(Desk&, const std::string& run)> in_force;
  std::function<int(Desk&, const std::string& run, const std::string& id)> effects =
      [](Desk& desk, const std::string& run, const std::string& id) {
        return desk.Effects(run, id);
      };
};

std::vector<Verb> Verbs() {
  using Run = const std::string&;
  const auto start = [](const char* flow) {
    return [flow](Desk& desk) { return desk.Start(flow); };
  };
  const auto becomes = [](v1::Status status) {
    return [status](Desk& desk, Run run) { return desk.Becomes(run, status); };
  };
  const auto again = [](v1::Status status) {
    return [status](Desk& desk, Run run) { return desk.RanAgain(run, status); };
  };
  std::vector<Verb> verbs;
  verbs.push_back({"skip", start(kPark),
                   [](Client& client, Run run, Run id) {
                     auto request = RequestFor<v1::SkipStepRequest>(run, id);
                     request.set_step("pay");
                     return client.Skip(request).status();
                   },
                   becomes(v1::STATUS_SUCCEEDED)});
  verbs.push_back({"dlq drop", start(kPark),
                   [](Client& client, Run run, Run id) {
                     return Each(
                         client.DropLetters(LettersOf<v1::DropDeadLettersRequest>(run, id)));
                   },
                   becomes(v1::STATUS_FAILED)});
  verbs.push_back({"dlq retry", start(kPark),
                   [](Client& client, Run run, Run id) {
                     return Each(
                         client.RetryLetters(LettersOf<v1::RetryDeadLettersRequest>(run, id)));
                   },
                   again(v1::STATUS_WAITING)});
  verbs.push_back({"retry", start(kFail),
                   [](Client& client, Run run, Run id) {
                     return client.Retry(RequestFor<v1::RetryRunRequest>(run, id)).status();
                   },
                   again(v1::STATUS_FAILED)});
  verbs.push_back({"pause", start(kWait),
                   [](Client& client, Run run, Run id) {
                     return client.Pause(RequestFor<v1::PauseRunRequest>(run, id)).status();
                   },
                   becomes(v1::STATUS_PAUSED)});
  verbs.push_back({"resume",
                   [](Desk& desk) {
                     const std::string run = desk.Start(kWait);
                     REQUIRE(
                         desk.client().Pause(RequestFor<v1::PauseRunRequest>(run, "before")).ok());
                     return run;
                   },
                   [](Client& client, Run run, Run id) {
                     return client.Resume(RequestFor<v1::ResumeRunRequest>(run, id)).status();
                   },
                   becomes(v1::STATUS_WAITING)});
  verbs.push_back({"replay", start(kFail),
                   [](Client& client, Run run, Run id) {
                     return client.Replay(RequestFor<v1::ReplayRunRequest>(run, id)).status();
                   },
                   [](Desk& desk, Run run) { return desk.Replays(run) == 1; },
                   [](Desk& desk, Run run, Run) { return desk.Replays(run); }});
  return verbs;
}

TEST_CASE("verbs that were answered survive a kill; those that were not have one effect") {
  constexpr int kRounds = 5;
  Desk desk;
  const std::vector<Verb> verbs = Verbs();
  size_t answered_count = 0, cut_off_count = 0;
  for (int round = 0; round < kRounds; ++round) {
    struct Wish {
      const Verb* verb;
      std::string run, id;
      bool answered = false;
    };
    std::vector<Wish> wishes;
    for (const Verb& verb : verbs) {
      // Each verb is the one under way at some time.
      const size_t place = wishes.empty() ? 0 : (wishes.size() * static_cast<size_t>(round)) % 7;
      Wish wish{&verb, verb.prepare(desk), absl::StrCat("wish-", round, "-", verb.name)};
      wishes.insert(wishes.begin() + static_cast<long>(std::min(place, wishes.size())), wish);
    }
    std::thread operating([&] {
      for (Wish& wish : wishes) {
        wish.answered = wish.verb->ask(desk.client(), wish.run, wish.id).ok();
      }
    });
    absl::SleepFor(absl::Milliseconds(1 + 3 * round));
    desk.Kill();
    operating.join();
    desk.Start();
    for (const Wish& wish : wishes) {
      INFO(absl::StrCat(wish.id, wish.answered ? " was answered" : " was cut off"));
      answered_count += wish.answered ? 1 : 0;
      cut_off_count += wish.answered ? 0 : 1;
      if (wish.answered) CHECK(wish.verb->in_force(desk, wish.run));
      const absl::Status repeated = wish.verb->ask(desk.client(), wish.run, wish.id);
      CHECK_MESSAGE(repeated.ok(), repeated.message());
      CHECK(wish.verb->in_force(desk, wish.run));
      CHECK(wish.verb->effects(desk, wish.run, wish.id) == 1);
    }
  }
  CHECK(answered_count > 0);  // else this showed nothing
  CHECK(cut_off_count > 0);
}

}  // namespace
}  // namespace beamline::rpc_testing
