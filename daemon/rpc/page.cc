// The number in a token is the version of what stands behind it.
#include "daemon/rpc/page.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "daemon/rpc/refusal.h"

namespace beamline::rpc {
namespace {

constexpr int kPageSizeDefault = 50, kPageSizeMax = 1000;
constexpr char kTokenPrefix[] = "1.";

}  // namespace

absl::StatusOr<int> PageSize(int32_t wanted) {
  if (wanted < 0) return InvalidField("page_size", "must not be negative");
  return wanted == 0 ? kPageSizeDefault : std::min(wanted, kPageSizeMax);
}

std::string PageToken(absl::string_view cursor) { return absl::StrCat(kTokenPrefix, cursor); }

absl::StatusOr<std::string> Cursor(const std::string& token) {
  absl::string_view cursor = token;
  if (cursor.empty()) return std::string();
  if (!absl::ConsumePrefix(&cursor, kTokenPrefix) || cursor.empty()) return InvalidPageToken();
  return std::string(cursor);
}

absl::Status InvalidPageToken() {
  return InvalidField("page_token", "is not one that a list has given");
}

}  // namespace beamline::rpc
