// Where the daemon's own requests may go.
#include "daemon/exec/http_guard.h"

#include <doctest/doctest.h>

#include "daemon/exec/http_url.h"

namespace beamline::exec {
namespace {

bool Reaches(const HttpGuard& guard, const std::string& host, const std::string& address,
             bool redirected = false) {
  return guard.Check({host, 80, redirected}, *IpAddress::Parse(address)).ok();
}

HttpGuard Guard(const std::string& allow, bool loopback_by_name = false) {
  return *HttpGuard::Parse(allow, loopback_by_name);
}

TEST_CASE("public addresses are reached, all others are not") {
  const HttpGuard guard;
  for (const char* address : {"93.184.216.34", "1.1.1.1", "172.32.0.1", "2606:4700::1111"}) {
    CAPTURE(address);
    CHECK(Reaches(guard, "example.org", address));
  }
  for (const char* address :
       {"127.0.0.1",       "127.8.9.1",       "10.1.2.3",        "172.16.0.1", "172.31.255.255",
        "192.168.1.1",     "169.254.169.254", "100.100.100.200", "0.0.0.0",    "224.0.0.1",
        "255.255.255.255", "192.0.2.1",       "198.18.0.1",      "::",         "::1",
        "fe80::1",         "fd00:ec2::254",   "fc00::1",         "ff02::1",    "2001:db8::1",
        "4000::1",         "2001:0:1::1"}) {
    CAPTURE(address);
    CHECK_FALSE(Reaches(guard, "example.org", address));
  }
}

TEST_CASE("an IPv4 address is the same however IPv6 carries it") {
  const HttpGuard guard;
  CHECK_FALSE(Reaches(guard, "h", "::ffff:127.0.0.1"));
  CHECK_FALSE(Reaches(guard, "h", "64:ff9b::169.254.169.254"));
  CHECK_FALSE(Reaches(guard, "h", "2002:a00:1::1"));  // 10.0.0.1
  CHECK(Reaches(guard, "h", "::ffff:1.1.1.1"));
  CHECK(Reaches(guard, "h", "64:ff9b::1.1.1.1"));
}

TEST_CASE("the configuration allows names, addresses and ranges, with a port or without") {
  const HttpGuard guard = Guard("Intranet.Example, 10.1.0.0/16,[fd00::1]:80, 192.168.1.5:443");
  CHECK(Reaches(guard, "intranet.example", "10.9.9.9"));
  CHECK_FALSE(Reaches(guard, "other.example", "10.9.9.9"));
  CHECK(Reaches(guard, "h", "10.1.2.3"));
  CHECK(Reaches(guard, "h", "::ffff:10.1.2.3"));
  CHECK(Reaches(guard, "h", "fd00::1"));
  CHECK_FALSE(Reaches(guard, "h", "fd00::2"));
  CHECK_FALSE(Reaches(guard, "h", "192.168.1.5"));  // another port
  CHECK(guard.Check({"h", 443}, *IpAddress::Parse("192.168.1.5")).ok());
}

TEST_CASE("what is no list of places is refused with the entry that is wrong") {
  for (const char* list : {"10.0.0.0/33", "a b:99999", "[10.0.0.1", "http://x", "fd00::/129"}) {
    CAPTURE(list);
    const auto guard = HttpGuard::Parse(list, false);
    CHECK(guard.status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(HttpGuard::Parse("ok.example, 10.0.0.0/33", false).status().message() ==
        "`10.0.0.0/33` is no name, address or range, as in intranet.example:8080, 10.0.0.0/8 or "
        "[fd00::1]:443");
}

TEST_CASE("loopback is for URLs that say so, not for names and redirects of strangers") {
  const HttpGuard guard = Guard("", /*loopback_by_name=*/true);
  CHECK(Reaches(guard, "localhost", "127.0.0.1"));
  CHECK(Reaches(guard, "localhost", "::1"));
  CHECK(Reaches(guard, "127.0.0.1", "127.0.0.1"));
  CHECK_FALSE(Reaches(guard, "rebound.example", "127.0.0.1"));
  CHECK_FALSE(Reaches(guard, "localhost", "127.0.0.1", /*redirected=*/true));
  CHECK_FALSE(Reaches(guard, "localhost", "10.0.0.1"));
  CHECK_FALSE(Reaches(Guard(""), "localhost", "127.0.0.1"));
}

TEST_CASE("a refusal says what was meant and what would allow it") {
  CHECK(HttpGuard().Check({"db.corp", 5432}, *IpAddress::Parse("10.0.0.7")).message() ==
        "db.corp (10.0.0.7) is a private address, which http steps do not reach; `http_allow: "
        "db.corp:5432` in the daemon's configuration allows it");
}

TEST_CASE("URLs are normalised before anybody looks at them") {
  const auto host = [](const char* url) { return ParseHttpUrl(url)->host; };
  CHECK(host("http://EXAMPLE.org/x#y") == "example.org");
  CHECK(host("http://0x7f.1/") == "127.0.0.1");
  CHECK(host("http://2130706433/") == "127.0.0.1");
  CHECK(host("http://[::FFFF:127.0.0.1]/") == "::ffff:127.0.0.1");
  CHECK(ParseHttpUrl("https://example.org")->port == 443);
  CHECK(ParseHttpUrl("http://example.org:8080/a?key=1#part")->shown() ==
        "http://example.org:8080/a");
}

TEST_CASE("what is no URL for http is refused") {
  for (const char* url : {"", "example.org", "ftp://example.org", "file:///etc/passwd", "http://",
                          "http://a@b/", "http://user:pw@example.org/", "gopher://x",
                          "http://example.org:99999/", "http://[fe80::1%25eth0]/"}) {
    CAPTURE(std::string(url));
    CHECK(ParseHttpUrl(url).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(ParseHttpUrl("http://user:hush@h/").status().message().find("hush") == std::string::npos);
}

TEST_CASE("a query is added to what is there") {
  const auto with = [](const char* url) { return AddHttpQuery(*ParseHttpUrl(url), "a=1")->text; };
  CHECK(with("http://h/p") == "http://h/p?a=1");
  CHECK(with("http://h/p?") == "http://h/p?a=1");
  CHECK(with("http://h/p?b=2") == "http://h/p?b=2&a=1");
}

}  // namespace
}  // namespace beamline::exec
