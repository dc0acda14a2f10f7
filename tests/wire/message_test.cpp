#include "net/wire/message.h"

#include <doctest/doctest.h>

#include "net/wire/client.h"

using namespace troupe::wire;

TEST_CASE("header names compare without case and lists have tokens") {
  headers h{{"Connection", "keep-alive, Upgrade"}, {"X", "1"}, {"x", "2"}};
  CHECK(h.find("x") == "1");
  CHECK(h.has_token("connection", "upgrade"));
  CHECK(!h.has_token("connection", "grade"));
  h.set("X", "3");
  CHECK(h.size() == 2);
  CHECK(h.find("X") == "3");
}

TEST_CASE("query parameters are decoded and typed") {
  auto q = query::parse("a=1&b=x%20y+z&flag&neg=-5&big=99999999999999999999&=e&&c=%e2%82%ac");
  REQUIRE(q);
  CHECK(q->text("b") == "x y z");
  CHECK(q->text("c") == "€");
  CHECK(q->text("nothing", "otherwise") == "otherwise");
  CHECK(q->integer("a").value == 1);
  CHECK(q->integer("neg").value == -5);
  CHECK(!q->integer("neg", 0, 10).error.empty());
  CHECK(!q->integer("big").error.empty());
  CHECK(!q->integer("b").error.empty());
  auto absent = q->integer("nothing");
  CHECK((absent && !absent.value && absent.value_or(7) == 7));
  CHECK(q->boolean("flag").value == true);
  CHECK(!q->boolean("b").error.empty());
  CHECK(!query::parse("a=%2"));
  CHECK(!query::parse("a=%00"));
  CHECK(query::parse(q->encode())->all() == q->all());
}

TEST_CASE("percent encoding and decoding undo each other for all bytes but NUL") {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  CHECK(percent_decode(percent_encode(all)) == all);
  CHECK(percent_decode(percent_encode(all, true)) == all);
  CHECK(percent_encode("a/b", true) == "a/b");
}

TEST_CASE("a problem is JSON whatever its words hold") {
  problem p;
  p.status = 409;
  p.code = "conflict";
  p.detail = "a \"quoted\" line\nwith \x01 and \xff bytes";
  p.instance = "org/acme";
  p.extensions = {{"violations", R"([{"pointer":"/a"}])"}};
  CHECK(
      p.to_json() ==
      R"({"type":"about:blank","title":"Conflict","status":409,"code":"conflict","detail":"a \"quoted\" line\nwith \u0001 and )"
      "\xEF\xBF\xBD"
      R"( bytes","instance":"org/acme","violations":[{"pointer":"/a"}]})");
}

TEST_CASE("secrets compare equal only when they are") {
  CHECK(equal_in_constant_time("secret", "secret"));
  CHECK(!equal_in_constant_time("secret", "secreT"));
  CHECK(!equal_in_constant_time("secre", "secret"));
  CHECK(!equal_in_constant_time("secretsecret", "secret"));
  CHECK(!equal_in_constant_time("", ""));
}

TEST_CASE("the host's name is without port and case") {
  request r;
  r.headers.set("Host", "LocalHost:7741");
  CHECK(r.host_name() == "localhost");
  r.headers.set("Host", "[::1]:80");
  CHECK(r.host_name() == "[::1]");
}

TEST_CASE("addresses of servers are read, and what is none is refused in words") {
  auto e = endpoint::parse("http://127.0.0.1:7741/");
  REQUIRE(e);
  CHECK(*e == endpoint::tcp("127.0.0.1", 7741));
  CHECK(*endpoint::parse("https://[::1]") == endpoint::tls("::1"));
  CHECK(*endpoint::parse("unix:/run/x.sock") == endpoint::unix_file("/run/x.sock"));
  std::string prefix;
  CHECK(endpoint::parse("wss://h/base/", &prefix)->port == 443);
  CHECK(prefix == "/base");
  for (auto bad : {"", "h", "ftp://h", "http://", "http://h:0", "http://h:70000", "http://h/x", "http://u@h",
                   "http://h?x", "http://[::1", "unix:x", "http://h:1x"})
    CHECK(!endpoint::parse(bad));
}
