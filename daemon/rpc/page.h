// Lists that are given in pages: how long a page is, and where the next one begins.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace beamline::rpc {

// Rows of a page for a request's `page_size`: 50 for 0, at most 1,000. InvalidField: it is
// negative.
absl::StatusOr<int> PageSize(int32_t wanted);

// A page token hides where the next page begins, a text without meaning to others.
std::string PageToken(absl::string_view cursor);
// Where that is; "" for no token. InvalidPageToken() if it is none of ours.
absl::StatusOr<std::string> Cursor(const std::string& token);
absl::Status InvalidPageToken();

}  // namespace beamline::rpc
