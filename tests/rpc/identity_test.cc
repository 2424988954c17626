#include "daemon/rpc/identity.h"

#include <doctest/doctest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/rpc/flow_files.h"
#include "daemon/rpc/listener.h"

namespace beamline::rpc {
namespace {

TEST_CASE("a certificate's strongest name is its bearer's") {
  CHECK(*ActorOf({{"spiffe://acme/ci"}, {"ci.acme"}, {"ci@acme"}, {"ci"}}) ==
        "cert:spiffe://acme/ci");
  CHECK(*ActorOf({{}, {"ci.acme"}, {"ci@acme"}, {"ci"}}) == "cert:ci.acme");
  CHECK(*ActorOf({{}, {}, {"ci@acme"}, {"ci"}}) == "cert:ci@acme");
  CHECK(*ActorOf({{}, {}, {}, {"Ana B"}}) == "cert:Ana B");
}

TEST_CASE("a name that cannot be shown is no name, and no weaker one takes its place") {
  for (const std::string& name :
       {std::string("ci\nactor: root"), std::string("\x1b[2J"), std::string(257, 'a'),
        std::string(), std::string("ci\0x", 4), std::string("\xc3\xa9")}) {
    CAPTURE(name);
    CHECK(absl::IsPermissionDenied(ActorOf({{}, {}, {name}, {"ci"}}).status()));
  }
  CHECK(absl::StrContains(ActorOf({}).status().message(), "names nobody"));
}

TEST_CASE("addresses to listen on") {
  const auto bound = Listener::BindTcp("127.0.0.1:0", /*loopback_only=*/true);
  REQUIRE(bound.ok());
  CHECK(absl::StartsWith((*bound)->where(), "127.0.0.1:"));
  CHECK_FALSE(absl::EndsWith((*bound)->where(), ":0"));
  CHECK(absl::IsAlreadyExists(Listener::BindTcp((*bound)->where(), true).status()));
  for (const char* address :
       {"", "7443", "127.0.0.1:", "127.0.0.1:70000", "::1:7443", "127.0.0.1:x", "no such host:1"}) {
    CAPTURE(address);
    CHECK(absl::IsInvalidArgument(Listener::BindTcp(address, true).status()));
  }
  for (const char* address : {"0.0.0.0:0", ":0", "[::]:0"}) {
    CAPTURE(address);
    CHECK(absl::StrContains(Listener::BindTcp(address, true).status().message(),
                            "without TLS only this machine may be served"));
  }
}

using Files = google::protobuf::RepeatedPtrField<v1::FlowFile>;

void Add(const std::string& path, const std::string& source, Files* files) {
  v1::FlowFile* file = files->Add();
  file->set_path(path);
  file->set_source(source);
}

TEST_CASE("the files of a bundle are few, small, and have one name each") {
  Files files;
  Add("a.flow.yaml", "flow: a", &files);
  Add("lib/b.flow.yaml", "flow: b", &files);
  CHECK(CheckFlowFiles(files).ok());
  SUBCASE("twice") {
    Add("a.flow.yaml", "flow: other", &files);
    CHECK(CheckFlowFiles(files).message() == "files.path: names a.flow.yaml twice");
  }
  SUBCASE("leading out") {
    for (const char* path : {"/etc/passwd", "../a", "a/../../b", "./a", "", "a//b"}) {
      CAPTURE(path);
      Files bad = files;
      Add(path, "", &bad);
      CHECK(absl::IsInvalidArgument(CheckFlowFiles(bad)));
    }
  }
  SUBCASE("too many") {
    for (int i = 0; i < 63; ++i) Add(absl::StrCat("f", i, ".flow.yaml"), "", &files);
    CHECK(absl::StrContains(CheckFlowFiles(files).message(), "at most 64"));
  }
  SUBCASE("too large, one or all") {
    Files large = files;
    Add("c.flow.yaml", std::string((1 << 20) + 1, ' '), &large);
    CHECK(absl::IsResourceExhausted(CheckFlowFiles(large)));
    for (int i = 0; i < 4; ++i) Add(absl::StrCat(i), std::string(1 << 20, ' '), &files);
    CHECK(absl::IsResourceExhausted(CheckFlowFiles(files)));
  }
}

}  // namespace
}  // namespace beamline::rpc
