// What a supervisor does once its sandbox runs: serve, pause, report, notice the end.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "sandboxd/isolation/cgroups.h"
#include "sandboxd/isolation/launch.h"
#include "sandboxd/isolation/record.h"
#include "sandboxd/isolation/supervise.h"

namespace troupe::sandboxd {

// One thread from construction to the end of run(). `inner` is absent in the tier none: then processes are
// our own.
class supervisor {
 public:
  supervisor(sandbox_spec spec, supervisor_record record, cgroups groups, std::optional<launched> inner);
  ~supervisor();

  // Serves until it is told to end. `ready` is called once: with nothing when the socket answers, else with
  // what failed. The program's exit code.
  int run(const make_service& service, std::function<void(const os_error*)> ready);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::sandboxd
