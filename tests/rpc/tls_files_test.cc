#include "daemon/rpc/tls_files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/certificates.h"

namespace beamline::rpc {
namespace {

using rpc_testing::Authority;
using rpc_testing::TemporaryDirectory;
using rpc_testing::WriteFile;

// A directory with a CA and a server's files that are in order.
struct Place {
  TemporaryDirectory directory;
  absl::Time now = absl::Now();
  Authority ca{directory.path(), "ca"};
  TlsFiles files{At("server.crt"), At("server.key"), At("ca.crt")};

  Place() { ca.Server("server", now); }
  std::string At(const std::string& name) const { return directory.path() + "/" + name; }
  std::string Problem() const { return std::string(ReadTls(files, now).status().message()); }
};

TEST_CASE("files that fit together are taken") {
  const Place place;
  const auto material = ReadTls(place.files, place.now);
  REQUIRE(material.ok());
  CHECK(material->expires > place.now + absl::Hours(24 * 396));
  CHECK(absl::StrContains(material->key, "PRIVATE KEY"));
}

TEST_CASE("every way in which files do not fit is told with the file") {
  Place place;
  SUBCASE("missing") {
    std::filesystem::remove(place.files.key);
    CHECK(place.Problem() ==
          "cannot read " + place.files.key + " (--tls-key): No such file or directory");
  }
  SUBCASE("not named") {
    place.files.ca.clear();
    CHECK(absl::StrContains(place.Problem(), "--tls-ca is missing"));
  }
  SUBCASE("empty, or a directory") {
    WriteFile(place.files.cert, "");
    CHECK(place.Problem() == place.files.cert + " is empty, or no file");
    place.files.cert = place.directory.path();
    CHECK(absl::StrContains(place.Problem(), "is empty, or no file"));
  }
  SUBCASE("no PEM") {
    WriteFile(place.files.cert, "hello");
    CHECK(place.Problem() == place.files.cert + " holds no certificate in PEM form");
    WriteFile(place.files.cert, std::string("-----BEGIN\0", 11));
    CHECK(place.Problem() == place.files.cert + " is not in PEM form");
    WriteFile(place.files.cert, std::string(2 << 20, 'x'));
    CHECK(absl::StrContains(place.Problem(), "over 1 MiB"));
  }
  SUBCASE("a key that is none, or encrypted") {
    WriteFile(place.files.key, place.ca.pair().cert);
    CHECK(place.Problem() == place.files.key + " holds no private key in PEM form");
  }
  SUBCASE("the key of another certificate") {
    place.ca.Client("other", "other", place.now);
    place.files.key = place.At("other.key");
    CHECK(place.Problem() ==
          place.files.key + " is not the key of the certificate " + place.files.cert);
  }
  SUBCASE("expired, or not valid yet") {
    place.ca.Server("server", place.now - absl::Hours(24 * 400));
    CHECK(absl::StrContains(place.Problem(), place.files.cert + " has expired on "));
    place.ca.Server("server", place.now + absl::Hours(24));
    CHECK(absl::StrContains(place.Problem(), "is not valid before "));
  }
  SUBCASE("a CA that is cut off") {
    WriteFile(place.files.ca, place.ca.pair().cert.substr(0, 200));
    CHECK(place.Problem() == place.files.ca + " holds no certificates in PEM form");
    // One that is whole does not make up for one that is not: it may still be written.
    WriteFile(place.files.ca, place.ca.pair().cert + place.ca.pair().cert.substr(0, 200));
    CHECK(place.Problem() == place.files.ca + " holds no certificates in PEM form");
  }
}

TEST_CASE("a pair that is swapped file by file changes nothing until it is whole") {
  const Place place;
  auto source = TlsSource::Open(place.files, place.now);
  REQUIRE(source.ok());
  const auto before = (*source)->current();
  CHECK_FALSE((*source)->Refresh(place.now));

  place.ca.Server("next", place.now);
  std::filesystem::rename(place.At("next.key"), place.files.key);
  auto news = (*source)->Refresh(place.now);
  REQUIRE(news);
  CHECK_FALSE(news->fresh);
  CHECK(news->text == place.files.key + " is not the key of the certificate " + place.files.cert +
                          "; the certificate before it stays in use");
  CHECK((*source)->current() == before);
  CHECK(absl::StrContains((*source)->problem(place.now), "the certificate on disk is not used"));
  CHECK_FALSE((*source)->Refresh(place.now));  // said once

  std::filesystem::rename(place.At("next.crt"), place.files.cert);
  news = (*source)->Refresh(place.now);
  REQUIRE(news);
  CHECK(news->fresh);
  CHECK((*source)->current() != before);
  CHECK((*source)->problem(place.now).empty());
}

TEST_CASE("files that are touched and say the same are no news; an expired one is a problem") {
  const Place place;
  auto source = TlsSource::Open(place.files, place.now);
  REQUIRE(source.ok());
  const auto before = (*source)->current();
  WriteFile(place.files.ca, place.ca.pair().cert);
  CHECK_FALSE((*source)->Refresh(place.now));
  CHECK((*source)->current() == before);
  CHECK(absl::StrContains((*source)->problem(place.now + absl::Hours(24 * 398)), "has expired"));
}

}  // namespace
}  // namespace beamline::rpc
