#include "runtime/key.h"

#include <doctest/doctest.h>

using troupe::key;

TEST_CASE("a key alternates kind and id, and a singleton stands last") {
  for (const char* good :
       {"org/acme", "access", "org/acme/audit-log", "org/acme/task/t1/session/s.1", "org/A_b-c"}) {
    CAPTURE(good);
    CHECK(key::parse(good).has_value());
  }
  for (const char* bad :
       {"", "/", "org/", "/org", "org//x", "org/.", "org/..", "Org/x", "org/a b", "org/x/snapshot",
        "org/commands", "org/a/b/c/d/e/f/g/h", "org/ä", "org/a%2f", "1org/x"}) {
    CAPTURE(bad);
    CHECK_FALSE(key::parse(bad).has_value());
  }
  CHECK_FALSE(key::parse("org/" + std::string(65, 'a')).has_value());
  CHECK(key::parse("org/" + std::string(64, 'a')).has_value());
}

TEST_CASE("a key knows its kind, id, parent and ancestors") {
  const key k("org/acme/task/t1/session/s1");
  CHECK(k.kind() == "session");
  CHECK(k.id() == "s1");
  CHECK(k.parent() == key("org/acme/task/t1"));
  CHECK(k.id_of("org") == "acme");
  CHECK(k.id_of("task") == "t1");
  CHECK(k.id_of("nothing").empty());
  CHECK(k.up_to("org") == key("org/acme"));
  CHECK(key("org/acme/audit-log").parent() == key("org/acme"));
  CHECK(key("org/acme/audit-log").kind() == "audit-log");
  CHECK_FALSE(key("access").parent());
  CHECK_FALSE(key("org/acme").parent());
  CHECK(key("org/acme").covers(k));
  CHECK_FALSE(key("org/ac").covers(k));
}
