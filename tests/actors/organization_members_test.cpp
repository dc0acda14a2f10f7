#include "tests/actors/instance.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;

TEST_CASE("settings change alone, and the others stay") {
  acme i;
  REQUIRE(i.org("org.update_settings", {{"default_agent", "claude"}, {"default_model", "big"}}).ok());
  REQUIRE(i.org("org.update_settings", {{"display_name", "Acme Inc."}}).ok());
  auto s = i.h.snapshot("org/acme");
  CHECK(s["display_name"] == "Acme Inc.");
  CHECK(s["settings"]["default_agent"] == "claude");
  CHECK(s["settings"]["default_model"] == "big");
  REQUIRE(i.org("org.update_settings", {{"default_model", nullptr}}).ok());
  s = i.h.snapshot("org/acme");
  CHECK(s["settings"]["default_model"].is_null());
  CHECK(s["settings"]["default_agent"] == "claude");
}

TEST_CASE("a body without a change or with an unknown field changes nothing") {
  acme i;
  CHECK(code(i.org("org.update_settings", json::object())) == "invalid_body");
  CHECK(code(i.org("org.update_settings", {{"colour", "red"}})) == "invalid_body");
}

TEST_CASE("members are added, given another role and removed") {
  acme i;
  REQUIRE(i.org("org.add_member", {{"user", "bob"}, {"role", "viewer"}}).ok());
  CHECK(code(i.org("org.add_member", {{"user", "bob"}, {"role", "admin"}})) == "exists");
  REQUIRE(i.org("org.set_member_role", {{"user", "bob"}, {"role", "admin"}}).ok());
  CHECK(i.h.snapshot("org/acme")["members"][1]["role"] == "admin");
  REQUIRE(i.org("org.remove_member", {{"user", "bob"}}).ok());
  CHECK(i.h.snapshot("org/acme")["members"].size() == 1);
  CHECK(i.org("org.remove_member", {{"user", "bob"}}).error().status == 404);
}

TEST_CASE("only an owner gives or takes the role owner") {
  acme i;
  REQUIRE(i.org("org.add_member", {{"user", "bob"}, {"role", "admin"}}).ok());
  REQUIRE(i.org("org.add_member", {{"user", "eve"}, {"role", "member"}}).ok());
  CHECK(i.org("org.set_member_role", {{"user", "eve"}, {"role", "owner"}}, "bob").error().status == 403);
  CHECK(i.org("org.add_member", {{"user", "kim"}, {"role", "owner"}}, "bob").error().status == 403);
  CHECK(i.org("org.set_member_role", {{"user", "ada"}, {"role", "viewer"}}, "bob").error().status == 403);
  CHECK(i.org("org.remove_member", {{"user", "ada"}}, "bob").error().status == 403);
  CHECK(i.org("org.set_member_role", {{"user", "eve"}, {"role", "admin"}}, "bob").ok());
  CHECK(i.org("org.set_member_role", {{"user", "bob"}, {"role", "owner"}}).ok());
}

TEST_CASE("the last owner is neither demoted nor removed") {
  acme i;
  CHECK(code(i.org("org.set_member_role", {{"user", "ada"}, {"role", "admin"}})) == "last_owner");
  CHECK(code(i.org("org.remove_member", {{"user", "ada"}})) == "last_owner");
  REQUIRE(i.org("org.add_member", {{"user", "bob"}, {"role", "owner"}}).ok());
  CHECK(i.org("org.remove_member", {{"user", "ada"}}, "ada").ok());
}
