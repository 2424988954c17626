#include "daemon/rpc/reasons.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "daemon/rpc/refusal.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace beamline::rpc {
namespace {

TEST_CASE("every reason has its place, a unique UPPER_SNAKE name, an error code and a sentence") {
  std::set<std::string> names;
  int place = 0;
  for (const ReasonEntry& entry : Reasons()) {
    CAPTURE(entry.name);
    CHECK(static_cast<int>(entry.reason) == place++);
    CHECK(names.insert(entry.name).second);
    CHECK(std::string(entry.name).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") ==
          std::string::npos);
    CHECK(entry.code != absl::StatusCode::kOk);
    CHECK(std::string(entry.meaning).back() == '.');
  }
  CHECK(place == static_cast<int>(Reason::kInternal) + 1);
}

TEST_CASE("every reason travels as ErrorInfo of the domain beamline") {
  for (const ReasonEntry& entry : Reasons()) {
    CAPTURE(entry.name);
    const absl::Status status = Refusal(entry.reason, "no").With("key", "value");
    CHECK(status.code() == entry.code);
    google::rpc::Status details;
    REQUIRE(details.ParseFromString(DetailsOf(status)));
    CHECK(details.code() == static_cast<int>(entry.code));
    CHECK(details.message() == "no");
    google::rpc::ErrorInfo info;
    REQUIRE(details.details_size() == 1);
    REQUIRE(details.details(0).UnpackTo(&info));
    CHECK(info.reason() == entry.name);
    CHECK(info.domain() == "beamline");
    CHECK(info.metadata().at("key") == "value");
  }
}

TEST_CASE("what the rooms below say is given a reason, and what they never say is INTERNAL") {
  const auto reason = [](const absl::Status& status) {
    google::rpc::Status details;
    google::rpc::ErrorInfo info;
    details.ParseFromString(DetailsOf(Explain(status)));
    if (details.details_size() > 0) details.details(0).UnpackTo(&info);
    return info.reason();
  };
  CHECK(reason(absl::UnavailableError("draining")) == "DRAINING");
  CHECK(reason(absl::ResourceExhaustedError("disk full")) == "STORAGE_FULL");
  CHECK(reason(absl::DataLossError("a gap")) == "DATA_DAMAGED");
  CHECK(reason(absl::UnknownError("what?")) == "INTERNAL");
  CHECK(reason(absl::OkStatus()) == "");
  CHECK(reason(RunNotFound("x")) == "RUN_NOT_FOUND");  // as it is
}

}  // namespace
}  // namespace beamline::rpc
