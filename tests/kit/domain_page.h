// Holds docs/domain.md against the code: one call per kind.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "actors/transition.h"
#include "runtime/kind.h"

namespace troupe::testing {

/// The table under the heading "### States of <thing>".
struct page_states {
  std::string_view thing;
  std::span<const actors::transition> table;
};

/// CHECKs that the section "## `<kind>`" lists exactly the kind's commands (name, from, members of the body,
/// audit kind), queries (name, role, members of the body), streams (name, role, kept) and states.
void check_domain_page(const kind&, std::initializer_list<page_states>);

/// CHECKs that each client's command and each query has schemas, and each schema file a row that it belongs
/// to.
void check_schemas(const kind&);

}  // namespace troupe::testing
