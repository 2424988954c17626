// JSON is read as slices of text, so that numbers arrive as they were written.
#include "daemon/exec/http_request.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/http_url.h"
#include "daemon/exec/secrets.h"
#include "daemon/exec/step_command.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"

namespace beamline::exec {
namespace {

constexpr char kFormType[] = "application/x-www-form-urlencoded";

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

// The member `key` of an object; empty if it is missing or null.
std::string_view Member(std::string_view object, std::string_view key) {
  for (const auto& [name, value] : flowspec::ObjectMembers(object)) {
    if (name.substr(1, name.size() - 2) == key) {
      return flowspec::JsonKind(value) == 'n' ? std::string_view() : value;
    }
  }
  return {};
}

// Text as it is, a number or a truth value as JSON has it.
absl::StatusOr<std::string> Plain(std::string_view value, absl::string_view where) {
  switch (flowspec::JsonKind(value)) {
    case '"':
      return flowspec::UnquoteJson(value);
    case '{':
    case '[':
      return Bad(absl::StrCat(where, " must be a text, a number or a truth value"));
    default:
      return std::string(value);
  }
}

struct Credential {
  std::string text;
  bool secret = false;
};

// Likewise; {"secret": name} becomes that secret's value.
absl::StatusOr<Credential> PlainOrSecret(const ports::Attempt& attempt, std::string_view value,
                                         absl::string_view where) {
  const auto members = flowspec::ObjectMembers(value);
  if (members.size() == 1 && members[0].first == "\"secret\"" &&
      flowspec::JsonKind(members[0].second) == '"') {
    const std::string name = flowspec::UnquoteJson(members[0].second);
    const std::string* json = FindSensitive(attempt, absl::StrCat(ports::kSecretPrefix, name));
    if (json == nullptr) return Bad(absl::StrCat(where, ": the secret `", name, "` is not known"));
    return Credential{flowspec::UnquoteJson(*json), true};
  }
  absl::StatusOr<std::string> plain = Plain(value, where);
  if (!plain.ok()) return plain.status();
  return Credential{*std::move(plain), false};
}

// "name=value" pairs, escaped, from a map whose values may be lists.
absl::StatusOr<std::string> Pairs(std::string_view map, absl::string_view where) {
  std::string pairs;
  const auto add = [&](const std::string& name, std::string_view value) -> absl::Status {
    if (flowspec::JsonKind(value) == 'n') return absl::OkStatus();
    const auto plain = Plain(value, absl::StrCat("`", name, "` of ", where));
    if (!plain.ok()) return plain.status();
    absl::StrAppend(&pairs, pairs.empty() ? "" : "&", UrlEscape(name), "=", UrlEscape(*plain));
    return absl::OkStatus();
  };
  for (const auto& [key, value] : flowspec::ObjectMembers(map)) {
    const std::string name = flowspec::UnquoteJson(key);
    if (flowspec::JsonKind(value) != '[') {
      if (absl::Status added = add(name, value); !added.ok()) return added;
      continue;
    }
    for (const std::string_view element : flowspec::ArrayElements(value)) {
      if (absl::Status added = add(name, element); !added.ok()) return added;
    }
  }
  return pairs;
}

bool IsToken(absl::string_view name) {  // RFC 9110, 5.6.2
  return !name.empty() && absl::c_all_of(name, [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("!#$%&'*+-.^_`|~", c);
  });
}

// Characters that would end the header, or that no server takes.
bool IsHeaderValue(absl::string_view value) {
  return absl::c_none_of(value,
                         [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

class Reader {
 public:
  Reader(const ports::Attempt& attempt, std::string user_agent)
      : attempt_(attempt), user_agent_(std::move(user_agent)) {}

  absl::StatusOr<HttpStep> Read() {
    if (absl::Status valid = flowspec::CheckJson(attempt_.input); !valid.ok()) return valid;
    for (const auto part : {&Reader::ReadMethod, &Reader::ReadUrl, &Reader::ReadHeaders,
                            &Reader::ReadAuth, &Reader::ReadBody, &Reader::ReadExpect}) {
      if (absl::Status read = (this->*part)(); !read.ok()) return read;
    }
    AddOwnHeaders();
    request().timeout = attempt_.timeout;
    request().repeatable = attempt_.effect != flowspec::Effect::kOnce;
    return std::move(step_);
  }

 private:
  HttpRequest& request() { return step_.request; }
  std::string_view Key(std::string_view key) const { return Member(attempt_.input, key); }

  bool Has(absl::string_view header) {
    return absl::c_any_of(request().headers, [&](const HttpHeader& known) {
      return absl::EqualsIgnoreCase(known.name, header);
    });
  }

  absl::Status ReadMethod() {
    const std::string_view value = Key("method");
    if (value.empty()) return absl::OkStatus();
    absl::StatusOr<std::string> method = Plain(value, "`method`");
    if (!method.ok()) return method.status();
    static constexpr absl::string_view kMethods[] = {"GET",  "HEAD",  "PUT",    "DELETE",
                                                     "POST", "PATCH", "OPTIONS"};
    if (!absl::c_linear_search(kMethods, *method)) {
      return Bad(absl::StrCat("`method` is `", method->substr(0, 20),
                              "`, but must be GET, HEAD, PUT, DELETE, POST, PATCH or OPTIONS"));
    }
    request().method = *std::move(method);
    return absl::OkStatus();
  }

  absl::Status ReadUrl() {
    const std::string_view value = Key("url");
    if (value.empty()) return Bad("`url` is missing");
    const absl::StatusOr<std::string> text = Plain(value, "`url`");
    if (!text.ok()) return text.status();
    absl::StatusOr<HttpUrl> url = ParseHttpUrl(*text);
    if (!url.ok()) return url.status();
    const absl::StatusOr<std::string> pairs = Pairs(Key("query"), "`query`");
    if (!pairs.ok()) return pairs.status();
    if (!pairs->empty()) url = AddHttpQuery(*url, *pairs);
    if (!url.ok()) return url.status();
    request().url = url->text;
    step_.shown_url = url->shown();
    return absl::OkStatus();
  }

  absl::Status AddHeader(const std::string& name, Credential value) {
    static constexpr absl::string_view kOwn[] = {
        "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"};
    const std::string lower = absl::AsciiStrToLower(name);
    if (!IsToken(name)) {
      return Bad(absl::StrCat("`", name.substr(0, 60), "` cannot be the name of a header"));
    }
    if (absl::c_linear_search(kOwn, lower)) {
      return Bad(absl::StrCat("the header `", name, "` is the daemon's to set; leave it out"));
    }
    if (!IsHeaderValue(value.text)) {
      return Bad(absl::StrCat("the value of the header `", name,
                              "` has a line break or another control character"));
    }
    const bool credential = value.secret || lower == "authorization" || lower == "cookie";
    request().headers.push_back({name, std::move(value.text), credential});
    return absl::OkStatus();
  }

  absl::Status ReadHeaders() {
    for (const auto& [key, value] : flowspec::ObjectMembers(Key("headers"))) {
      if (flowspec::JsonKind(value) == 'n') continue;
      const std::string name = flowspec::UnquoteJson(key);
      absl::StatusOr<Credential> text =
          PlainOrSecret(attempt_, value, absl::StrCat("the header `", name, "`"));
      if (!text.ok()) return text.status();
      if (absl::Status added = AddHeader(name, *std::move(text)); !added.ok()) return added;
    }
    return absl::OkStatus();
  }

  absl::Status ReadAuth() {
    const std::string_view auth = Key("auth");
    if (auth.empty()) return absl::OkStatus();
    if (Has("authorization")) return Bad("both `auth` and an Authorization header are given");
    if (const std::string_view bearer = Member(auth, "bearer"); !bearer.empty()) {
      absl::StatusOr<Credential> token = PlainOrSecret(attempt_, bearer, "`auth.bearer`");
      if (!token.ok()) return token.status();
      return AddHeader("Authorization", {absl::StrCat("Bearer ", token->text), true});
    }
    const std::string_view basic = Member(auth, "basic");
    absl::StatusOr<Credential> user =
        PlainOrSecret(attempt_, Or(Member(basic, "user"), "\"\""), "`auth.basic.user`");
    if (!user.ok()) return user.status();
    absl::StatusOr<Credential> password =
        PlainOrSecret(attempt_, Or(Member(basic, "password"), "\"\""), "`auth.basic.password`");
    if (!password.ok()) return password.status();
    if (absl::StrContains(user->text, ':')) return Bad("`auth.basic.user` must not hold a colon");
    return AddHeader(
        "Authorization",
        {absl::StrCat("Basic ", absl::Base64Escape(absl::StrCat(user->text, ":", password->text))),
         true});
  }

  static std::string_view Or(std::string_view value, std::string_view otherwise) {
    return value.empty() ? otherwise : value;
  }

  absl::Status ReadBody() {
    const std::string_view body = Key("body");
    if (body.empty()) return absl::OkStatus();
    if (request().method == "HEAD") return Bad("a HEAD request has no `body`");
    const auto type = absl::c_find_if(request().headers, [](const HttpHeader& header) {
      return absl::EqualsIgnoreCase(header.name, "content-type");
    });
    const bool typed = type != request().headers.end();
    const char kind = flowspec::JsonKind(body);
    if (kind == '"') {
      request().body = flowspec::UnquoteJson(body);
      if (!typed) request().headers.push_back({"Content-Type", "text/plain; charset=utf-8"});
      return absl::OkStatus();
    }
    if (typed && absl::StartsWithIgnoreCase(type->value, kFormType)) {
      if (kind != '{') return Bad("the `body` of a form is a map, or text that is escaped already");
      absl::StatusOr<std::string> form = Pairs(body, "the form");
      if (!form.ok()) return form.status();
      request().body = *std::move(form);
      return absl::OkStatus();
    }
    request().body = std::string(body);
    if (!typed) request().headers.push_back({"Content-Type", "application/json"});
    return absl::OkStatus();
  }

  absl::Status ReadExpect() {
    const std::string_view expect = Key("expect");
    if (expect.empty()) step_.expect = {"2xx"};
    for (const std::string_view status : flowspec::ArrayElements(expect)) {
      absl::StatusOr<std::string> text = Plain(status, "a status of `expect`");
      if (!text.ok()) return text.status();
      // Who waits for a redirect wants to see it.
      if (text->front() == '3') request().redirects_max = 0;
      step_.expect.push_back(*std::move(text));
    }
    return absl::OkStatus();
  }

  void AddOwnHeaders() {
    static constexpr absl::string_view kReading[] = {"GET", "HEAD", "OPTIONS"};
    if (!absl::c_linear_search(kReading, request().method)) {
      AddOwn("Idempotency-Key", HeaderText(attempt_.idempotency_key));
    }
    if (attempt_.trace_id.size() == 32) AddOwn("traceparent", TraceParent(attempt_));
    AddOwn("User-Agent", user_agent_);
  }

  void AddOwn(const char* name, const std::string& value) {
    if (!Has(name)) request().headers.push_back({name, value});
  }

  // Keys of items may be any text; what is not printable ASCII is escaped, so that different keys
  // stay different.
  static std::string HeaderText(const std::string& text) {
    std::string escaped;
    for (const char c : text) {
      const bool plain = absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '%';
      absl::StrAppend(&escaped, plain ? std::string(1, c) : UrlEscape({&c, 1}));
    }
    return escaped;
  }

  const ports::Attempt& attempt_;
  const std::string user_agent_;
  HttpStep step_;
};

}  // namespace

absl::StatusOr<HttpStep> ReadHttpStep(const ports::Attempt& attempt,
                                      const std::string& user_agent) {
  return Reader(attempt, user_agent).Read();
}

bool IsExpected(const std::vector<std::string>& expect, int status) {
  const std::string text = absl::StrCat(status);
  return absl::c_any_of(expect, [&](const std::string& pattern) {
    return pattern == text ||
           (pattern.size() == 3 && pattern[0] == text[0] && absl::EndsWith(pattern, "xx"));
  });
}

}  // namespace beamline::exec
