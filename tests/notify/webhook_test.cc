// Occasions posted to a server of the test's own.
#include <doctest/doctest.h>

#include <cstdlib>
#include <future>

#include "daemon/notify/courier.h"
#include "tests/exec/http_server.h"

namespace beamline::notify {
namespace {

Delivery Send(Courier& courier, const Occasion& occasion) {
  std::promise<Delivery> promise;
  courier.Send(occasion, [&](Delivery delivery) { promise.set_value(std::move(delivery)); });
  return promise.get_future().get();
}

Occasion Failure() {
  Occasion occasion{.kind = Kind::kRunFailed,
                    .run = *run::RunId::Parse("01kayh2v5000000000000000aa")};
  occasion.seq = 7;
  occasion.flow = "ship";
  return occasion;
}

struct World {
  std::string answer;
  exec::HttpServer server{[this](const exec::SeenRequest&) { return exec::Reply{answer}; }};
  exec::HttpClient client{{}};  // its guard would refuse this machine
  Rule rule{.name = "chat", .kinds = {Kind::kRunFailed}, .url = server.Url("/hook?key=hush")};

  Delivery Deliver(const exec::Reply& reply) {
    answer = reply.bytes;
    return Send(*MakeWebhookCourier(rule, client, "test"), Failure());
  }
};

TEST_CASE("a post carries the occasion, an id that stays the same, and a signature over both") {
  setenv("NOTIFY_TEST_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1);
  setenv("NOTIFY_TEST_TOKEN", "Bearer hush-hush", 1);
  World world;
  world.rule.secret = Text{.env = "NOTIFY_TEST_SECRET"};
  world.rule.headers = {{"Authorization", {.env = "NOTIFY_TEST_TOKEN"}}, {"X-Room", {"ops"}}};
  CHECK(world.Deliver(exec::Answer(204, "")).delivered);
  const exec::SeenRequest seen = world.server.seen().front();
  const std::string id = IdOf(Failure());
  CHECK(seen.method == "POST");
  CHECK(seen.body == JsonOf(Failure()));
  CHECK(seen.Header("Content-Type") == "application/json");
  CHECK(seen.Header("Authorization") == "Bearer hush-hush");
  CHECK(seen.Header("X-Room") == "ops");
  CHECK(seen.Header("Idempotency-Key") == id);
  CHECK(seen.Header("webhook-id") == id);
  CHECK(seen.Header("webhook-signature") ==
        Signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id,
                  std::atoll(seen.Header("webhook-timestamp").c_str()), seen.body));
}

TEST_CASE("any 2xx is yes; a few codes are no for good; the others are not yet") {
  World world;
  CHECK(
      world.Deliver(exec::Answer(200, "{no json", "Content-Type: application/json\r\n")).delivered);
  for (const int status : {400, 410, 413, 422}) {
    CHECK(world.Deliver(exec::Answer(status, "")).refused);
  }
  for (const int status : {302, 401, 404, 408, 429, 500, 503}) {
    const Delivery delivery = world.Deliver(exec::Answer(status, "", "Location: /hook\r\n"));
    CHECK_FALSE(delivery.delivered);
    CHECK_FALSE(delivery.refused);
  }
  CHECK(world.Deliver(exec::Answer(429, "", "Retry-After: 7\r\n")).retry_after == absl::Seconds(7));
}

TEST_CASE("errors quote the receiver, but neither secrets nor the query of the URL") {
  setenv("NOTIFY_TEST_TOKEN", "hush-hush", 1);
  World world;
  world.rule.headers = {{"Authorization", {.env = "NOTIFY_TEST_TOKEN"}}};
  const Delivery echoed = world.Deliver(exec::Answer(500, "no hush-hush here"));
  CHECK(echoed.error ==
        "POST " + world.server.Url("/hook") + " answered 500 Internal Server Error: no *** here");
  unsetenv("NOTIFY_TEST_TOKEN");
  CHECK(world.Deliver(exec::Answer(200, "")).error.rfind("$NOTIFY_TEST_TOKEN is not set", 0) == 0);
}

TEST_CASE("a receiver that hangs costs its time; a daemon that ends does not wait for it") {
  exec::HttpServer server([](const exec::SeenRequest&) {
    return exec::Reply{"", exec::Reply::Then::kHang};
  });
  exec::HttpClient client({});
  Rule rule{.name = "chat", .url = server.Url("/"), .timeout = absl::Milliseconds(100)};
  const auto slow = MakeWebhookCourier(rule, client, "test");
  CHECK(Send(*slow, Failure()).error.find("timed out") != std::string::npos);
  rule.timeout = absl::Hours(1);
  const auto ended = MakeWebhookCourier(rule, client, "test");
  std::promise<Delivery> promise;
  ended->Send(Failure(), [&](Delivery delivery) { promise.set_value(std::move(delivery)); });
  ended->Cancel();
  CHECK_FALSE(promise.get_future().get().delivered);
  CHECK(Send(*ended, Failure()).error == "the daemon ends");
}

}  // namespace
}  // namespace beamline::notify
