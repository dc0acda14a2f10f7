// The contract as documents, made from the kinds and their schemas. Private to this folder. Pure.
#pragma once

#include <string>
#include <vector>

#include "runtime/kind.h"

namespace troupe::gateway {

std::string openapi_of(const std::vector<const kind*>&, const std::string& version);
std::string asyncapi_of(const std::vector<const kind*>&, const std::string& version);

}  // namespace troupe::gateway
