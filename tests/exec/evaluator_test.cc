// Evaluation in children: what they answer, and that nothing an expression does reaches the pool.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/exec/evaluator_pool.h"
#include "daemon/exec/evaluator_wire.h"

namespace beamline::exec {
namespace {

// A sanitizer's own runtime ends a child that runs out of memory, each in its own way; what the
// pool says of such children is tested where the runtime is the daemon's.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

using Clock = std::chrono::steady_clock;
using Code = absl::StatusCode;

// As in the daemon, but with time enough for the sound expressions of a busy machine.
EvaluatorPool::Options OfTest() {
  EvaluatorPool::Options options;
  options.command = {EVALUATOR_TEST_CHILD};
  options.evaluation_max = absl::Seconds(10);
  options.compilation_max = absl::Seconds(20);
  return options;
}

EvaluatorPool::Options OfDaemon() {
  EvaluatorPool::Options options;
  options.command = {EVALUATOR_TEST_CHILD};
  return options;
}

std::future<absl::StatusOr<std::string>> Start(EvaluatorPool& pool, const std::string& program,
                                               std::string input, std::string tenant = "local") {
  auto promise = std::make_shared<std::promise<absl::StatusOr<std::string>>>();
  pool.Evaluate(
      {program, std::make_shared<const std::string>(program), std::move(input), std::move(tenant)},
      [promise](absl::StatusOr<std::string> result) { promise->set_value(std::move(result)); });
  return promise->get_future();
}

absl::StatusOr<std::string> Run(EvaluatorPool& pool, const std::string& program,
                                const std::string& input = "null",
                                const std::string& tenant = "local") {
  auto future = Start(pool, program, input, tenant);
  REQUIRE(future.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  return future.get();
}

// The result, or the code and message of the error.
std::string Text(const absl::StatusOr<std::string>& result) {
  return result.ok() ? *result : std::string(result.status().ToString());
}

TEST_CASE("a program is compiled once and evaluated on every input") {
  EvaluatorPool pool(OfTest());
  CHECK(Text(Run(pool, ".a + 1", R"({"a": 1})")) == "2");
  CHECK(Text(Run(pool, ".a + 1", R"({"a": 41})")) == "42");
  CHECK(Text(Run(pool, ".b", R"({"b": "é\n"})")) == R"("é\n")");
  CHECK(pool.Children().size() == 1);
}

TEST_CASE("what jq says is wrong comes back as InvalidArgument") {
  EvaluatorPool pool(OfTest());
  CHECK(Text(Run(pool, "error(\"own\")")) == "INVALID_ARGUMENT: own");
  CHECK(Run(pool, "1 +").status().code() == Code::kInvalidArgument);
  CHECK(Run(pool, ".", "{").status().code() == Code::kInvalidArgument);
  CHECK(Run(pool, ".", std::string(100'000, '[')).status().code() == Code::kInvalidArgument);
  CHECK(Text(Run(pool, "1")) == "1");
}

TEST_CASE("an expression that hangs is killed at the limit" * doctest::skip(kSanitized)) {
  EvaluatorPool pool(OfDaemon());
  for (const char* bomb : {"def f: f; f", "[repeat(1)]", "last(range(1e12))",
                           "def f: (., .) | f; [f]", "until(false; .)"}) {
    CAPTURE(bomb);
    const auto start = Clock::now();
    const absl::StatusCode code = Run(pool, bomb).status().code();
    CHECK(Clock::now() - start < std::chrono::seconds(5));
    CHECK((code == Code::kDeadlineExceeded || code == Code::kResourceExhausted));
  }
  CHECK(Text(Run(pool, "def f: f; f")) ==
        "DEADLINE_EXCEEDED: the expressions took longer than 250ms");
  CHECK(Text(Run(pool, ".", "7")) == "7");
}

TEST_CASE("an expression that grows runs out of its own memory" * doctest::skip(kSanitized)) {
  EvaluatorPool pool(OfTest());
  for (const char* bomb : {"\"x\" * 1e9", "[range(1e7)]", "reduce range(40) as $i (\"xx\"; . + .)",
                           "[limit(100000000; repeat(\"abc\"))]", "[range(1e6)] | tojson * 100"}) {
    CAPTURE(bomb);
    CHECK(Text(Run(pool, bomb)) ==
          "RESOURCE_EXHAUSTED: the expressions took more than 64 MiB of memory");
  }
  CHECK(Text(Run(pool, "[range(1000)] | length")) == "1000");
}

TEST_CASE("a value that nests deeper than the stack ends only its child" *
          doctest::skip(kSanitized)) {
  EvaluatorPool pool(OfTest());
  CHECK(Run(pool, "reduce range(300000) as $i (0; [.])").status().code() ==
        Code::kResourceExhausted);
  CHECK(Text(Run(pool, "1")) == "1");
}

TEST_CASE("results and inputs are bounded") {
  EvaluatorPool pool(OfTest());
  CHECK(Text(Run(pool, "\"x\" * 1048577")) ==
        "RESOURCE_EXHAUSTED: the result is larger than 1 MiB");
  CHECK(Run(pool, "\"x\" * 1048000")->size() == 1048002);
  CHECK(Run(pool, "length", "\"" + std::string(5 << 20, 'x') + "\"").status().code() ==
        Code::kResourceExhausted);
  CHECK(Text(Run(pool, "length", "\"" + std::string(3 << 20, 'x') + "\"")) == "3145728");
}

TEST_CASE("a child sees nothing of the daemon") {
  setenv("EVALUATOR_TEST_SECRET", "hunter2", 1);
  EvaluatorPool pool(OfTest());
  CHECK(Text(Run(pool, "$ENV")) == "{}");
  CHECK(Text(Run(pool, "env")) == "{}");
  CHECK_FALSE(Run(pool, "import \"/etc/passwd\" as $x; $x").ok());
  CHECK(Text(Run(pool, "now | type")) == "\"number\"");  // works behind the filter
  CHECK(Text(Run(pool, "0 | localtime | mktime")) == "0");
}

TEST_CASE("an evaluation whose child is killed from outside is repeated once") {
  EvaluatorPool::Options options = OfTest();
  options.children_max = 1;
  EvaluatorPool pool(options);
  REQUIRE(Run(pool, "1").ok());
  const auto kill_child = [&] {
    REQUIRE(pool.Children().size() == 1);
    kill(pool.Children()[0], SIGKILL);
  };
  kill_child();  // while it is idle
  CHECK(Text(Run(pool, "2")) == "2");

  // One that runs for ever, killed twice.
  auto endless = Start(pool, "def f: f; f", "null");
  const pid_t first = pool.Children()[0];
  while (endless.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
    for (pid_t pid : pool.Children()) kill(pid, SIGKILL);
  }
  CHECK(endless.get().status().code() == Code::kInternal);
  CHECK(Text(Run(pool, "3")) == "3");
  CHECK(pool.Children()[0] != first);
}

TEST_CASE("tenants do not share a child") {
  EvaluatorPool::Options options = OfTest();
  options.children_max = 1;
  EvaluatorPool pool(options);
  CHECK(Text(Run(pool, "1", "null", "a")) == "1");
  const std::vector<pid_t> of_a = pool.Children();
  CHECK(Text(Run(pool, "1", "null", "a")) == "1");
  CHECK(pool.Children() == of_a);
  CHECK(Text(Run(pool, "1", "null", "b")) == "1");
  CHECK(pool.Children().size() == 1);
  CHECK(pool.Children() != of_a);
}

TEST_CASE("a busy child holds nobody up while another can start") {
  EvaluatorPool::Options options = OfTest();
  options.evaluation_max = absl::Seconds(2);
  EvaluatorPool pool(options);
  auto slow = Start(pool, "def f: f; f", "null");
  CHECK(Text(Run(pool, "1")) == "1");
  CHECK(slow.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  CHECK(slow.get().status().code() == Code::kDeadlineExceeded);
}

TEST_CASE("idle children are ended") {
  EvaluatorPool::Options options = OfTest();
  options.idle_max = absl::Milliseconds(50);
  EvaluatorPool pool(options);
  CHECK(pool.Children().empty());
  CHECK(Text(Run(pool, "1")) == "1");
  const auto start = Clock::now();
  while (!pool.Children().empty() && Clock::now() - start < std::chrono::seconds(5)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(pool.Children().empty());
  CHECK(Text(Run(pool, "1")) == "1");
}

TEST_CASE("a child forgets programs and is told them again") {
  EvaluatorPool::Options options = OfTest();
  options.children_max = 1;
  EvaluatorPool pool(options);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i) {
      CHECK(Text(Run(pool, absl::StrCat(". + ", i), "1")) == absl::StrCat(i + 1));
    }
  }
}

TEST_CASE("a pool whose child cannot start says so") {
  EvaluatorPool::Options options = OfTest();
  options.command = {"/nonexistent/evaluator"};
  EvaluatorPool missing(options);
  CHECK(Run(missing, "1").status().code() == Code::kInternal);
  options.command = {"/bin/false"};
  EvaluatorPool dying(options);
  CHECK(Text(Run(dying, "1")) == "INTERNAL: the evaluator was ended from outside twice");
}

TEST_CASE("destroying the pool cancels what is not done") {
  auto pool = std::make_unique<EvaluatorPool>(OfTest());
  std::vector<std::future<absl::StatusOr<std::string>>> all;
  for (int i = 0; i < 5; ++i) all.push_back(Start(*pool, "def f: f; f", "null"));
  pool.reset();
  for (auto& future : all) CHECK(future.get().status().code() == Code::kCancelled);
}

TEST_CASE("evaluations per second") {
  EvaluatorPool pool(OfTest());
  const std::string program = "[.want[] | {v: (. + 1)}]";
  const std::string input = R"({"roots":{"steps":{"draft":{"output":{"title":")" +
                            std::string(130, 't') + R"("}}}},"want":[0,1,2]})";
  REQUIRE(Run(pool, program, input).ok());
  constexpr int kCount = 2000;
  auto start = Clock::now();
  for (int i = 0; i < kCount; ++i) REQUIRE(Run(pool, program, input).ok());
  const std::chrono::duration<double> alone = Clock::now() - start;

  start = Clock::now();
  std::vector<std::future<absl::StatusOr<std::string>>> all;
  for (int i = 0; i < kCount; ++i) all.push_back(Start(pool, program, input));
  for (auto& future : all) CHECK(future.get().ok());
  const std::chrono::duration<double> together = Clock::now() - start;
  MESSAGE("one at a time " << alone.count() / kCount * 1e6 << " us each; "
                           << kCount / together.count() << "/s with all in flight");
  CHECK(together.count() < 20);
}

TEST_CASE("a stream that is no frames breaks its reader") {
  FrameReader reader(1000);
  const std::string frame = EncodeFrame(FrameKind::kResult, 7, "digest", "body");
  for (char byte : frame) {
    CHECK_FALSE(reader.Next());
    reader.Append({&byte, 1});
  }
  const std::optional<Frame> read = reader.Next();
  REQUIRE(read);
  CHECK(read->kind == FrameKind::kResult);
  CHECK(read->code == 7);
  CHECK(read->digest == "digest");
  CHECK(read->body == "body");

  reader.Append(EncodeFrame(FrameKind::kResult, 0, "", std::string(1001, 'x')));
  CHECK_FALSE(reader.Next());
  CHECK(reader.broken());
  FrameReader nonsense(1000);
  nonsense.Append("GET / HTTP/1.1\r\n\r\n");
  CHECK_FALSE(nonsense.Next());
  CHECK(nonsense.broken());
}

}  // namespace
}  // namespace beamline::exec
