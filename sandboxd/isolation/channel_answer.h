// What the other end of a control channel answers: a message and the descriptors that came with it.
#pragma once

#include <nlohmann/json.hpp>

#include "sandboxd/isolation/control_channel.h"

namespace troupe::sandboxd {

struct control_channel::answer {
  nlohmann::json body;
  std::vector<descriptor> fds;
};

}  // namespace troupe::sandboxd
