// Refusals to protobuf.
#include "daemon/rpc/refusal.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace beamline::rpc {
namespace {

constexpr char kDetailsUrl[] = "type.googleapis.com/google.rpc.Status";
constexpr char kDomain[] = "beamline";
constexpr absl::Duration kDrainingRetry = absl::Seconds(1);

}  // namespace

Refusal& Refusal::With(std::string key, std::string value) {
  metadata_.push_back({std::move(key), std::move(value)});
  return *this;
}

Refusal& Refusal::Violation(std::string field, std::string description, std::string code) {
  violations_.push_back({std::move(field), std::move(description), std::move(code)});
  return *this;
}

Refusal& Refusal::Quota(std::string subject, std::string description) {
  quotas_.push_back({std::move(subject), std::move(description)});
  return *this;
}

Refusal& Refusal::Precondition(std::string type, std::string subject, std::string description) {
  preconditions_.push_back({std::move(type), std::move(subject), std::move(description)});
  return *this;
}

Refusal& Refusal::Resource(std::string type, std::string name) {
  resources_.push_back({std::move(type), std::move(name)});
  return *this;
}

Refusal& Refusal::RetryAfter(absl::Duration delay) {
  retry_after_ = delay;
  return *this;
}

Refusal::operator absl::Status() const {
  const ReasonEntry& entry = Describe(reason_);
  google::rpc::Status details;
  details.set_code(static_cast<int>(entry.code));
  details.set_message(message_);
  google::rpc::ErrorInfo info;
  info.set_reason(entry.name);
  info.set_domain(kDomain);
  for (const Item& item : metadata_) (*info.mutable_metadata())[item.a] = item.b;
  details.add_details()->PackFrom(info);
  if (!violations_.empty()) {
    google::rpc::BadRequest bad_request;
    for (const Item& item : violations_) {
      auto* violation = bad_request.add_field_violations();
      violation->set_field(item.a);
      violation->set_description(item.b);
      violation->set_reason(item.c);
    }
    details.add_details()->PackFrom(bad_request);
  }
  if (!quotas_.empty()) {
    google::rpc::QuotaFailure quota;
    for (const Item& item : quotas_) {
      auto* violation = quota.add_violations();
      violation->set_subject(item.a);
      violation->set_description(item.b);
    }
    details.add_details()->PackFrom(quota);
  }
  if (!preconditions_.empty()) {
    google::rpc::PreconditionFailure failure;
    for (const Item& item : preconditions_) {
      auto* violation = failure.add_violations();
      violation->set_type(item.a);
      violation->set_subject(item.b);
      violation->set_description(item.c);
    }
    details.add_details()->PackFrom(failure);
  }
  for (const Item& item : resources_) {
    google::rpc::ResourceInfo resource;
    resource.set_resource_type(item.a);
    resource.set_resource_name(item.b);
    details.add_details()->PackFrom(resource);
  }
  if (retry_after_ > absl::ZeroDuration()) {
    google::rpc::RetryInfo retry;
    absl::Duration rest;
    retry.mutable_retry_delay()->set_seconds(
        absl::IDivDuration(retry_after_, absl::Seconds(1), &rest));
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
    details.add_details()->PackFrom(retry);
  }
  absl::Status status(entry.code, message_);
  status.SetPayload(kDetailsUrl, absl::Cord(details.SerializeAsString()));
  return status;
}

std::string DetailsOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kDetailsUrl);
  return payload ? std::string(*payload) : "";
}

std::string ReasonOf(const absl::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(DetailsOf(status)) || details.details().empty()) return "";
  return details.details(0).UnpackTo(&info) ? info.reason() : "";
}

absl::Status Explain(const absl::Status& status) {
  if (status.ok() || status.GetPayload(kDetailsUrl)) return status;
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return Refusal(Reason::kDraining, message).RetryAfter(kDrainingRetry);
    case absl::StatusCode::kResourceExhausted:
      return Refusal(Reason::kStorageFull, message).Quota("data directory", message);
    case absl::StatusCode::kDataLoss:
      return Refusal(Reason::kDataDamaged, message);
    case absl::StatusCode::kCancelled:
      return Refusal(Reason::kCallCancelled, message);
    default:
      return Refusal(Reason::kInternal, absl::StrCat("unexpected: ", status.ToString()));
  }
}

absl::Status RunNotFound(std::string_view id) {
  std::string shown(id.substr(0, 64));
  return Refusal(Reason::kRunNotFound, absl::StrCat("no run has the id `", shown, "`"))
      .With("run_id", shown)
      .Resource("run", shown);
}

absl::Status TooLarge(const char* field, size_t bytes, size_t bytes_max) {
  const std::string message =
      absl::StrCat(field, " has ", bytes, " bytes; at most ", bytes_max, " are allowed");
  return Refusal(Reason::kRequestTooLarge, message)
      .With("field", field)
      .With("bytes_max", absl::StrCat(bytes_max))
      .Quota(field, message);
}

absl::Status InvalidField(const char* field, std::string description) {
  return Refusal(Reason::kArgumentInvalid, absl::StrCat(field, ": ", description))
      .Violation(field, std::move(description));
}

}  // namespace beamline::rpc
