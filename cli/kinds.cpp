#include "cli/kinds.h"

#include "actors/access/access.h"
#include "actors/audit_log/audit_log.h"
#include "actors/capacity/capacity.h"
#include "actors/organization/organization.h"
#include "actors/sandbox/sandbox.h"
#include "actors/session/session.h"
#include "actors/task/task.h"

namespace troupe::cli {

const std::vector<const kind*>& kinds_of_troupe() {
  static const std::vector<const kind*> all{&actors::access(),   &actors::capacity(), &actors::organization(),
                                            &actors::task(),     &actors::session(),  &actors::sandbox(),
                                            &actors::audit_log()};
  return all;
}

std::vector<std::string> names_of_kinds() {
  std::vector<std::string> names;
  for (const auto* k : kinds_of_troupe()) names.emplace_back(k->name);
  return names;
}

std::vector<std::string> backed_up_beside_actors() {
  return {"secrets"};
}

}  // namespace troupe::cli
