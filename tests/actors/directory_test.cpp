#include "actors/access/directory.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "actors/access/secret.h"
#include "actors/roles.h"
#include "tests/kit/actor_host.h"

using namespace troupe;
using namespace troupe::actors;
using troupe::testing::moved_clock;

namespace {

json credential(const std::string& secret, json expires_at = nullptr) {
  const auto hash = hash_of_secret(secret);
  return {{"hash", hash}, {"id", id_of_hash(hash)}, {"expires_at", std::move(expires_at)}};
}

json ada(const moved_clock& now) {
  return {{"user", "ada"},
          {"admin", false},
          {"active", true},
          {"organizations", {{"acme", "admin"}, {"zeta", "viewer"}}},
          {"tokens", {credential("trp_ada"), credential("trp_short", to_ms(now.now()) + 1000)}},
          {"sessions", {credential("cookie", to_ms(now.now()) + 1000)}}};
}

}  // namespace

TEST_CASE("before it has loaded a directory knows nobody") {
  const moved_clock now;
  const directory known(now);
  CHECK(!known.loaded());
  CHECK(!known.by_token("trp_ada"));
  CHECK(!known.by_user("ada"));
}

TEST_CASE("a directory knows people by token and cookie, each in its place") {
  const moved_clock now;
  directory known(now);
  known.replace(json::array({ada(now)}));
  CHECK(known.by_token("trp_ada")->user == "ada");
  CHECK(known.by_session("cookie")->user == "ada");
  CHECK(!known.by_token("cookie"));
  CHECK(!known.by_session("trp_ada"));
  CHECK(!known.by_token("trp_adb"));
  CHECK(known.by_token_hash(hash_of_secret("trp_ada"))->roles.at("acme") == "admin");
}

TEST_CASE("a token past its end is refused before anybody removed it") {
  moved_clock now;
  directory known(now);
  known.replace(json::array({ada(now)}));
  CHECK(known.by_token("trp_short"));
  now.advance(std::chrono::seconds(1));
  CHECK(!known.by_token("trp_short"));
  CHECK(!known.by_session("cookie"));
  CHECK(known.by_token("trp_ada"));
}

TEST_CASE("what is revoked is unknown as soon as the next list arrives, and listeners hear of it") {
  const moved_clock now;
  directory known(now);
  known.replace(json::array({ada(now)}));
  int told = 0;
  known.on_change([&] { ++told; });
  auto changed = ada(now);
  changed["tokens"] = json::array();
  known.replace(json::array({changed}));
  CHECK(told == 1);
  CHECK(!known.by_token("trp_ada"));
}

TEST_CASE("a disabled user is nobody") {
  const moved_clock now;
  directory known(now);
  auto changed = ada(now);
  changed["active"] = false;
  known.replace(json::array({changed}));
  CHECK(!known.by_token("trp_ada"));
  CHECK(!known.by_user("ada"));
  CHECK(!known.role_in("ada", "acme"));
}

TEST_CASE("a role allows what is asked of it and of lesser ones") {
  const moved_clock now;
  directory known(now);
  known.replace(json::array({ada(now)}));
  const auto may = make_authorizer(known);
  CHECK(may("ada", key("org/acme"), "viewer") == verdict::allow);
  CHECK(may("ada", key("org/acme/task/t1"), "admin") == verdict::allow);
  CHECK(may("ada", key("org/acme"), "owner") == verdict::forbidden);
  CHECK(may("ada", key("org/zeta"), "member") == verdict::forbidden);
}

TEST_CASE("a name that the kind does not know is told to members of the organization alone") {
  const moved_clock now;
  directory known(now);
  known.replace(json::array({ada(now)}));
  const auto may = make_authorizer(known);
  CHECK(may("ada", key("org/zeta"), "") == verdict::allow);
  CHECK(may("ada", key("org/other"), "") == verdict::hidden);
  CHECK(may("nobody", key("org/zeta"), "") == verdict::hidden);
}

TEST_CASE("an organization is hidden from who is no member, administrators of the instance too") {
  const moved_clock now;
  directory known(now);
  auto root = ada(now);
  root["user"] = "root";
  root["admin"] = true;
  root["organizations"] = json::object();
  known.replace(json::array({ada(now), root}));
  const auto may = make_authorizer(known);
  CHECK(may("ada", key("org/other"), "viewer") == verdict::hidden);
  CHECK(may("root", key("org/acme/task/t1"), "viewer") == verdict::hidden);
  CHECK(may("nobody", key("org/acme"), "viewer") == verdict::hidden);
}

TEST_CASE("outside organizations the administrator of the instance may what others may not") {
  const moved_clock now;
  directory known(now);
  auto root = ada(now);
  root["user"] = "root";
  root["admin"] = true;
  known.replace(json::array({ada(now), root}));
  const auto may = make_authorizer(known);
  CHECK(may("ada", key("access"), "user") == verdict::allow);
  CHECK(may("ada", key("access"), "admin") == verdict::forbidden);
  CHECK(may("ada", key("capacity"), "admin") == verdict::hidden);
  CHECK(may("root", key("access"), "admin") == verdict::allow);
  CHECK(may("root", key("capacity"), "admin") == verdict::allow);
  CHECK(may("nobody", key("access"), "user") == verdict::hidden);
}

TEST_CASE("what only the program may is hidden from everybody else") {
  const moved_clock now;
  directory known(now);
  auto root = ada(now);
  root["admin"] = true;
  root["organizations"]["acme"] = "owner";
  known.replace(json::array({root}));
  const auto may = make_authorizer(known);
  CHECK(may("ada", key("access"), "host") == verdict::hidden);
  CHECK(may("ada", key("org/acme"), "host") == verdict::hidden);
  CHECK(may(std::string(host_principal), key("access"), "host") == verdict::allow);
}

TEST_CASE("secrets are random, and their ids and hashes do not hold them") {
  const auto one = make_secret("trp"), other = make_secret("trp");
  CHECK(one != other);
  CHECK(one.size() == 68);
  CHECK(hash_of_secret(one).size() == 64);
  CHECK(one.find(id_of_hash(hash_of_secret(one))) == one.npos);
}
