// What may be reached, and what becomes of requirements: pure functions.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "drivers/sandbox/driver.h"
#include "drivers/sandbox/egress_rule.h"
#include "drivers/sandbox/sandbox_items.h"

using namespace troupe;
using namespace troupe::drivers;
using boost::asio::ip::make_address;

namespace {

nlohmann::json probes(const char* memory) {
  return {{"tier", "namespaces"},
          {"probes",
           {{{"probe", "memory_limit"},
             {"result", "failed"},
             {"error", "EACCES"},
             {"detail", "no group"},
             {"remedy", "run as root"}}}},
          {"items",
           {{"memory", {{"state", memory}, {"by", "x"}, {"probe", "memory_limit"}}},
            {"cpu", {{"state", "enforced"}, {"by", "x"}, {"probe", ""}}},
            {"pids", {{"state", "enforced"}, {"by", "x"}, {"probe", ""}}},
            {"disk", {{"state", "best_effort"}, {"by", "x"}, {"probe", ""}}},
            {"private_files", {{"state", "enforced"}, {"by", "x"}, {"probe", ""}}},
            {"pause", {{"state", "enforced"}, {"by", "x"}, {"probe", ""}}},
            {"network_none", {{"state", "enforced"}, {"by", "x"}, {"probe", ""}}},
            {"network_proxy", {{"state", "enforced"}, {"by", "x"}, {"probe", ""}}}}}};
}

}  // namespace

TEST_CASE("loopback, private, link-local, metadata and disguised addresses are not public") {
  for (const char* text : {"127.0.0.1",
                           "127.9.9.9",
                           "0.0.0.0",
                           "10.1.2.3",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.168.1.1",
                           "169.254.169.254",
                           "100.64.0.1",
                           "198.18.0.1",
                           "192.0.2.1",
                           "224.0.0.1",
                           "255.255.255.255",
                           "240.0.0.1",
                           "::1",
                           "::",
                           "fe80::1",
                           "fd00::1",
                           "fd00:ec2::254",
                           "ff02::1",
                           "::ffff:127.0.0.1",
                           "::ffff:10.0.0.1",
                           "64:ff9b::7f00:1",
                           "2002:7f00:1::",
                           "2001:db8::1",
                           "2001::1",
                           "::7f00:1"}) {
    CAPTURE(text);
    CHECK_FALSE(is_public(make_address(text)));
  }
  for (const char* text : {"8.8.8.8", "1.1.1.1", "172.32.0.1", "192.169.0.1", "100.128.0.1",
                           "2606:4700::1111", "::ffff:8.8.8.8", "2001:4860:4860::8888"}) {
    CAPTURE(text);
    CHECK(is_public(make_address(text)));
  }
}

TEST_CASE("a name that resolves into the server's network is refused whatever the rule") {
  egress_rule open{egress_rule::kind::public_addresses, {}};
  egress_rule listed{egress_rule::kind::allow_list, {"evil.example:80"}};
  for (const auto* rule : {&open, &listed}) {
    CHECK(rule->refuses("evil.example", 80) == "");
    CHECK(rule->refuses("evil.example", 80, make_address("127.0.0.1"), {}) != "");
    CHECK(rule->refuses("evil.example", 80, make_address("169.254.169.254"), {}) != "");
    CHECK(rule->refuses("evil.example", 80, make_address("8.8.8.8"), {}) == "");
    CHECK(rule->refuses("evil.example", 80, make_address("8.8.8.8"), {make_address("8.8.8.8")}) != "");
  }
}

TEST_CASE("an allow list means the hosts and ports that it names and no others") {
  egress_rule rule{egress_rule::kind::allow_list,
                   {"a.example", "b.example:443", "*.c.example", "127.0.0.1:9"}};
  CHECK(rule.refuses("a.example", 1) == "");
  CHECK(rule.refuses("b.example", 443) == "");
  CHECK(rule.refuses("b.example", 80) != "");
  CHECK(rule.refuses("x.c.example", 80) == "");
  CHECK(rule.refuses("c.example", 80) != "");
  CHECK(rule.refuses("xc.example", 80) != "");
  CHECK(rule.refuses("127.0.0.1", 9) == "");
  CHECK(rule.refuses("127.0.0.1", 9, make_address("127.0.0.1"), {}) == "");
  CHECK(rule.refuses("127.0.0.1", 10) != "");
  CHECK(egress_rule{}.refuses("a.example", 80) != "");
}

TEST_CASE("hosts and ports are read as they are written, or not at all") {
  CHECK(parse_host_port("Example.ORG.:80")->host == "example.org");
  CHECK(parse_host_port("[::1]:80")->host == "::1");
  CHECK(parse_host_port("[::1]", std::uint16_t{443})->port == 443);
  for (const char* text :
       {"", ":80", "a:", "a:0", "a:65536", "a:8x", "a b:80", "[::1", "a\r\n:80", "a/b:80", "a@b:80"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_host_port(text));
  }
  CHECK_FALSE(parse_host_port("a"));
}

TEST_CASE("a stated requirement that cannot be enforced names itself, the probe, its errno and the remedy") {
  sandbox_requirements wanted;
  wanted.network.value.what = egress_rule::kind::public_addresses;
  wanted.memory_mb = requirement<std::uint64_t>{2048, false};
  auto out = settle(wanted, {}, probes("best_effort"), false);
  REQUIRE_FALSE(out);
  CHECK(out.error().why.code == "unsupported");
  for (const char* word : {"memory", "memory_limit", "EACCES", "run as root"})
    CHECK(out.error().why.detail.find(word) != std::string::npos);
  wanted.memory_mb->best_effort = true;
  out = settle(wanted, {}, probes("best_effort"), false);
  REQUIRE(out);
  CHECK(out->items.at("memory").state == "best_effort");
}

TEST_CASE(
    "a stated requirement outside of the limits is refused, a best-effort one is brought inside and says "
    "so") {
  sandbox_requirements wanted;
  wanted.memory_mb = requirement<std::uint64_t>{100'000, false};
  CHECK_FALSE(settle(wanted, {}, probes("enforced"), false));
  wanted.memory_mb->best_effort = true;
  auto out = settle(wanted, {}, probes("enforced"), false);
  REQUIRE(out);
  CHECK(out->limits.memory_mb == 8192);
  CHECK(out->items.at("memory").effective == "8192 MB");
  CHECK(out->items.at("memory").wanted == "100000 MB");
}

TEST_CASE("a secret that is not there fails by its name and a body that does not fit is a problem") {
  const nlohmann::json body = {
      {"sandbox", "org/a/sandbox/b"}, {"nonce", "n"}, {"environment", {{"KEY", {{"secret", "token"}}}}}};
  auto missing = sandbox::request_from(body, nullptr, "a");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().why.detail.find("token") != std::string::npos);
  auto found = sandbox::request_from(
      body, [](auto, auto) { return std::optional<std::string>("s"); }, "a");
  REQUIRE(found);
  CHECK(found->environment.at(0).second == "s");
  CHECK(found->requirements.network.value.what == egress_rule::kind::public_addresses);
  auto odd = body;
  odd["requirements"] = {{"memory_mb", "much"}};
  CHECK_FALSE(sandbox::request_from(
      odd, [](auto, auto) { return std::optional<std::string>("s"); }, "a"));
}
