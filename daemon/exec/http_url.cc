// curl's parser reads URLs here too: what is checked is what is connected to.
#include "daemon/exec/http_url.h"

#include <curl/curl.h>

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace beamline::exec {
namespace {

constexpr size_t kUrlBytesMax = 64 << 10;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

// Empty if the part is missing.
std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  std::string result;
  if (curl_url_get(url, part, &text, flags) == CURLUE_OK && text != nullptr) result = text;
  curl_free(text);
  return result;
}

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("`", text.substr(0, text.find('?')).substr(0, 200), "` ", why));
}

absl::StatusOr<HttpUrl> TakeApart(CURLU* url, absl::string_view text) {
  HttpUrl result;
  result.scheme = Part(url, CURLUPART_SCHEME);
  if (result.scheme != "http" && result.scheme != "https") {
    return Bad(text, "is no URL for `http`: it begins with http:// or https://");
  }
  if (!Part(url, CURLUPART_USER).empty() || !Part(url, CURLUPART_PASSWORD).empty()) {
    return Bad(text.substr(0, text.find("://")),
               "URLs must not hold a user or password; use `auth`");
  }
  if (!Part(url, CURLUPART_ZONEID).empty()) return Bad(text, "names a network interface");
  curl_url_set(url, CURLUPART_FRAGMENT, nullptr, 0);
  const std::string ascii = Part(url, CURLUPART_HOST, CURLU_PUNYCODE);
  if (ascii.empty()) return Bad(text, "names no host");
  curl_url_set(url, CURLUPART_HOST, absl::AsciiStrToLower(ascii).c_str(), 0);
  result.host = Part(url, CURLUPART_HOST);
  if (result.host.front() == '[') result.host = result.host.substr(1, result.host.size() - 2);
  if (!absl::SimpleAtoi(Part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT), &result.port)) {
    return Bad(text, "has no valid port");
  }
  result.text = Part(url, CURLUPART_URL);
  return result;
}

}  // namespace

std::string HttpUrl::origin() const { return absl::StrCat(scheme, "://", host, ":", port); }

std::string HttpUrl::shown() const { return text.substr(0, text.find('?')); }

absl::StatusOr<HttpUrl> ParseHttpUrl(const std::string& text) {
  if (text.size() > kUrlBytesMax) return Bad(text, "is no URL: it has over 64 KiB");
  const Url url(curl_url());
  const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(),
                                      CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
  if (code == CURLUE_BAD_SCHEME) {
    return Bad(text, "is no URL for `http`: it begins with http:// or https://");
  }
  if (code != CURLUE_OK || text.find('\0') != text.npos) {
    return Bad(text, absl::StrCat("is no URL: ", curl_url_strerror(code)));
  }
  return TakeApart(url.get(), text);
}

absl::StatusOr<HttpUrl> ResolveHttpUrl(const HttpUrl& base, const std::string& location) {
  if (location.size() > kUrlBytesMax) return Bad(location, "is no URL: it has over 64 KiB");
  const Url url(curl_url());
  curl_url_set(url.get(), CURLUPART_URL, base.text.c_str(), 0);
  const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, location.c_str(),
                                      CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
  if (code != CURLUE_OK) return Bad(location, "is no URL");
  return TakeApart(url.get(), location);
}

absl::StatusOr<HttpUrl> AddHttpQuery(const HttpUrl& url, const std::string& pairs) {
  const size_t query = url.text.find('?');
  const bool empty = query == url.text.npos || query + 1 == url.text.size();
  const absl::string_view joint = query == url.text.npos ? "?" : empty ? "" : "&";
  return ParseHttpUrl(absl::StrCat(url.text, joint, pairs));
}

std::string UrlEscape(absl::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-._~";
  std::string out;
  for (const unsigned char c : text) {
    if (absl::ascii_isalnum(c) || kPlain.find(static_cast<char>(c)) != kPlain.npos) {
      out.push_back(static_cast<char>(c));
    } else {
      out.append({'%', kDigits[c >> 4], kDigits[c & 15]});
    }
  }
  return out;
}

}  // namespace beamline::exec
