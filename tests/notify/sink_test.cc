// A sink follows the log: nothing is lost, whatever fails, and others are not held back.
#include "daemon/notify/sink.h"

#include <doctest/doctest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/notify/notifier.h"
#include "daemon/store/memory_store.h"

namespace beamline::notify {
namespace {

constexpr int64_t kStart_s = 1'764'000'000;

class Clock : public ports::Clock {
 public:
  absl::Time Now() override { return now; }
  std::array<uint8_t, 10> Entropy() override { return {}; }
  absl::Time now = absl::FromUnixSeconds(kStart_s);
};

run::RunId MakeId(uint8_t n) {
  return run::RunId::Make(absl::FromUnixSeconds(kStart_s), {0, 0, 0, 0, 0, 0, 0, 0, 0, n});
}

// What was told, and what the next answers are; Ok when there are no more.
struct Receiver {
  std::vector<std::string> told;  // "run_failed 2"
  std::deque<Delivery> answers;
};

class FakeCourier : public Courier {
 public:
  explicit FakeCourier(Receiver& receiver) : receiver_(receiver) {}
  void Send(const Occasion& occasion, std::function<void(Delivery)> done) override {
    receiver_.told.push_back(absl::StrCat(KindName(occasion.kind), " ", occasion.run.bytes.back(),
                                          occasion.title.empty() ? "" : " " + occasion.title));
    Delivery delivery{.delivered = true};
    if (!receiver_.answers.empty()) {
      delivery = receiver_.answers.front();
      receiver_.answers.pop_front();
    }
    done(delivery);
  }
  void Cancel() override {}

 private:
  Receiver& receiver_;
};

struct World {
  Clock clock;
  store::MemoryStore store;
  std::vector<Trouble> troubles;
  Hands hands{store,
              store,
              store,
              clock,
              [](const std::function<void()>& work) { work(); },
              [this](const Trouble& trouble) { troubles.push_back(trouble); },
              [](const std::string&, const absl::Status& status) { FAIL(status.message()); },
              [](const absl::Status& status) { FAIL(status.message()); }};

  void Start(uint8_t n, const std::string& flow = "build", bool child = false) {
    ports::RunEvents events{.id = MakeId(n)};
    run::RunStarted started{.run = events.id, .tenant = "local", .flow_name = flow};
    if (child) started.parent.emplace();
    events.events = {{1, clock.now, "uid:1", started}};
    events.row = ports::RunRow{.tenant = "local", .flow_name = flow, .started_at = clock.now};
    REQUIRE(store.Append({&events, 1}).ok());
  }
  void Add(uint8_t n, run::Fact fact, std::vector<run::DeadLetterChange> letters = {}) {
    ports::RunEvents events{.id = MakeId(n), .expected_seq = store.GetRun(MakeId(n))->last_seq};
    events.events = {{events.expected_seq + 1, clock.now, "uid:1", std::move(fact)}};
    events.dead_letters = std::move(letters);
    REQUIRE(store.Append({&events, 1}).ok());
  }
  void Fail(uint8_t n) { Add(n, run::RunFinished{.status = run::Status::kFailed}); }

  std::unique_ptr<Sink> MakeSink(Receiver& receiver, const Rule& rule) {
    const auto cursors = *store.Cursors();
    const auto cursor = cursors.find(Sink::CursorName(rule));
    return std::make_unique<Sink>(rule, std::make_unique<FakeCourier>(receiver),
                                  cursor == cursors.end() ? 0 : cursor->second, hands);
  }
  uint64_t cursor() { return store.Cursors()->at("notify/chat"); }
};

void Turns(Sink& sink, int count = 20) {
  for (int i = 0; i < count; ++i) sink.Step(absl::ZeroDuration());
}

Rule Chat(std::vector<Kind> kinds = {Kind::kRunFailed}) {
  return {.name = "chat", .kinds = std::move(kinds), .url = "http://chat.example/"};
}

using Told = std::vector<std::string>;

TEST_CASE("what concerns the sink is told, in order; the cursor follows") {
  World world;
  Receiver receiver;
  for (const uint8_t n : {1, 2, 3}) world.Start(n);
  world.Fail(2);
  world.Add(1, run::RunFinished{.status = run::Status::kSucceeded});
  world.Fail(3);
  auto sink = world.MakeSink(receiver, Chat());
  Turns(*sink);
  CHECK(receiver.told == Told{"run_failed 2", "run_failed 3"});
  CHECK(sink->status().delivered == 2);
  world.clock.now += absl::Seconds(11);
  Turns(*sink);
  CHECK(world.cursor() == *world.store.LogEnd());
  // The next one goes on from there.
  world.Start(4);
  world.Fail(4);
  receiver.told.clear();
  sink = world.MakeSink(receiver, Chat());
  Turns(*sink);
  CHECK(receiver.told == Told{"run_failed 4"});
}

TEST_CASE("what was delivered and not recorded is delivered again") {
  World world;
  Receiver receiver;
  world.Start(1);
  world.Fail(1);
  {
    Receiver unreachable;
    unreachable.answers = {{.error = "no answer"}};
    auto killed = world.MakeSink(unreachable, Chat());
    Turns(*killed);
    CHECK(unreachable.told == Told{"run_failed 1"});
  }
  CHECK(world.store.Cursors()->empty());
  auto sink = world.MakeSink(receiver, Chat());
  Turns(*sink);
  CHECK(receiver.told == Told{"run_failed 1"});
}

TEST_CASE("what fails is tried again, later and later; the receiver may ask for more time") {
  World world;
  Receiver receiver;
  world.Start(1);
  world.Fail(1);
  receiver.answers = {{.error = "503"}, {.error = "503", .retry_after = absl::Seconds(40)}};
  auto sink = world.MakeSink(receiver, Chat());
  Turns(*sink);
  CHECK(receiver.told.size() == 1);
  CHECK(sink->status().tries == 1);
  CHECK(sink->status().last_error == "503");
  CHECK(sink->status().next_try_at == world.clock.now + absl::Seconds(1));
  world.clock.now += absl::Seconds(1);
  Turns(*sink);
  CHECK(receiver.told.size() == 2);
  world.clock.now += absl::Seconds(39);
  Turns(*sink);
  CHECK(receiver.told.size() == 2);
  world.clock.now += absl::Seconds(1);
  Turns(*sink);
  CHECK(receiver.told.size() == 3);
  CHECK(sink->status().tries == 0);
  CHECK(sink->status().delivered == 1);
  CHECK(world.troubles.size() == 2);

  CHECK(RetryDelay(1, absl::ZeroDuration()) == absl::Seconds(1));
  CHECK(RetryDelay(4, absl::ZeroDuration()) == absl::Seconds(8));
  CHECK(RetryDelay(1'000'000, absl::ZeroDuration()) == absl::Minutes(5));
  CHECK(RetryDelay(1, absl::Hours(24)) == absl::Hours(1));
}

TEST_CASE("a clock that is put back by a day holds up nobody") {
  World world;
  Receiver receiver;
  world.Start(1);
  world.Fail(1);
  receiver.answers = {{.error = "503"}};
  auto sink = world.MakeSink(receiver, Chat());
  Turns(*sink);
  world.clock.now -= absl::Hours(24);
  Turns(*sink);
  CHECK(receiver.told.size() == 2);
}

TEST_CASE("what cannot be delivered for too long is given up, and what comes behind it is told") {
  World world;
  Receiver receiver;
  Rule rule = Chat();
  rule.give_up_after = absl::Minutes(10);
  world.Start(1);
  world.Start(2);
  world.Fail(1);
  world.clock.now += absl::Minutes(9);
  world.Fail(2);
  receiver.answers = {{.error = "down"}, {.error = "down"}};
  auto sink = world.MakeSink(receiver, rule);
  Turns(*sink);
  CHECK(sink->status().given_up == 0);
  world.clock.now += absl::Minutes(2);
  Turns(*sink);
  CHECK(receiver.told == Told{"run_failed 1", "run_failed 1", "run_failed 2"});
  CHECK(sink->status().given_up == 1);
  CHECK(sink->status().delivered == 1);
  REQUIRE(world.troubles.size() == 2);
  CHECK(world.troubles.back().given_up);
  CHECK(world.troubles.back().tries == 2);
}

TEST_CASE("what the receiver has read and refused is not sent again") {
  World world;
  Receiver receiver;
  world.Start(1);
  world.Fail(1);
  receiver.answers = {{.refused = true, .error = "422"}};
  auto sink = world.MakeSink(receiver, Chat());
  Turns(*sink);
  CHECK(receiver.told.size() == 1);
  CHECK(sink->status().given_up == 1);
}

TEST_CASE("the ends of sub-flows are told by the runs that they belong to") {
  World world;
  Receiver receiver;
  world.Start(1);
  world.Start(2, "part", /*child=*/true);
  world.Fail(2);
  world.Fail(1);
  auto sink = world.MakeSink(receiver, Chat());
  Turns(*sink);
  CHECK(receiver.told == Told{"run_failed 1"});
}

TEST_CASE("a task that escalates or expires is told with its title") {
  World world;
  Receiver receiver;
  world.Start(1);
  world.Add(1, run::TaskOpened{.path = "review", .task = 3, .title = "Publish?"});
  world.Add(1, run::TaskEscalated{.path = "review", .task = 3, .until = world.clock.now});
  world.Add(1, run::TaskClosed{.path = "review", .task = 3, .outcome = run::TaskOutcome::kExpired});
  auto sink = world.MakeSink(
      receiver, Chat({Kind::kApprovalRequested, Kind::kApprovalEscalated, Kind::kApprovalExpired}));
  Turns(*sink);
  CHECK(receiver.told == Told{"approval_requested 1 Publish?", "approval_escalated 1 Publish?",
                              "approval_expired 1 Publish?"});
}

TEST_CASE("dead letters are told as the list has them; what was seen to since is not") {
  World world;
  Receiver receiver;
  const auto letter = [](const std::string& path, bool parked) {
    return run::DeadLetterChange{path, run::DeadLetter{.path = path, .parked = parked}};
  };
  for (const uint8_t n : {1, 2, 3}) world.Start(n);
  world.Add(1, run::StepParked{.path = "pay"}, {letter("pay", true)});
  world.Add(2, run::RunFinished{.status = run::Status::kFailed},
            {letter("a", false), letter("b", false)});
  world.Add(3, run::StepParked{.path = "pay"}, {letter("pay", true)});
  world.Add(3, run::StepRequeued{.path = "pay"}, {{"pay", std::nullopt}});
  auto sink = world.MakeSink(receiver, Chat({Kind::kDeadLetter}));
  Turns(*sink);
  CHECK(receiver.told == Told{"dead_letter 1", "dead_letter 2", "dead_letter 2"});
}

TEST_CASE("a new sink begins at the end; one that is not configured any more is forgotten") {
  World world;
  world.Start(1);
  world.Fail(1);
  const uint64_t end = *world.store.LogEnd();
  REQUIRE(world.store.MoveCursor("notify/mail", 1).ok());
  REQUIRE(world.store.MoveCursor("notify/old", 1).ok());
  REQUIRE(world.store.MoveCursor("another", 1).ok());
  Receiver receiver;
  Notifier notifier(world.hands);
  Rule mail = Chat();
  mail.name = "mail";
  REQUIRE(notifier
              .Load({Chat(), mail},
                    [&](const Rule&) { return std::make_unique<FakeCourier>(receiver); })
              .ok());
  CHECK(*world.store.Cursors() ==
        std::map<std::string, uint64_t>{{"another", 1}, {"notify/chat", end}, {"notify/mail", 1}});
  const auto status = notifier.status();
  CHECK(status[0].entries_behind == 0);
  CHECK(status[1].entries_behind == 1);
}

TEST_CASE("on threads: what is appended is told soon, and one that hangs holds back no other") {
  World world;
  Receiver chat, mail;
  chat.answers = {{.error = "down"}};
  Rule other = Chat();
  other.name = "mail";
  Notifier notifier(world.hands);
  REQUIRE(notifier
              .Load({Chat(), other},
                    [&](const Rule& rule) {
                      return std::make_unique<FakeCourier>(rule.name == "chat" ? chat : mail);
                    })
              .ok());
  notifier.Start();
  for (uint8_t n = 1; n <= 50; ++n) {
    world.Start(n);
    world.Fail(n);
    notifier.Appended();
  }
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (notifier.status()[1].sink.delivered < 50 && absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  CHECK(notifier.status()[1].sink.delivered == 50);
  while (!notifier.busy() && absl::Now() < until) absl::SleepFor(absl::Milliseconds(1));
  CHECK(notifier.status()[0].sink.tries == 1);
  notifier.Stop();
  CHECK(world.store.Cursors()->at("notify/mail") == *world.store.LogEnd());
}

}  // namespace
}  // namespace beamline::notify
