#include "tests/kit/domain_page.h"

#include <doctest/doctest.h>

#include "actors/access/access.h"
#include "actors/audit_log/audit_log.h"
#include "actors/capacity/capacity.h"
#include "actors/organization/organization.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;

TEST_CASE("the page of the domain shows the tables of access as they are") {
  check_domain_page(access(), {{"a user", user_transitions()}});
}

TEST_CASE("the page of the domain shows the tables of capacity as they are") {
  check_domain_page(capacity(), {{"a slot", slot_transitions()}});
}

TEST_CASE("the page of the domain shows the tables of an organization as they are") {
  check_domain_page(organization(), {{"a repository", repository_transitions()},
                                     {"a task in the index", task_index_transitions()}});
}

TEST_CASE("the page of the domain shows the tables of an audit log as they are") {
  check_domain_page(audit_log(), {});
}

TEST_CASE("every command and query of a client has schemas, and every schema a row") {
  for (const auto* k : {&access(), &capacity(), &organization(), &audit_log()}) check_schemas(*k);
}
