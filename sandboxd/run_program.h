// Running a process to its end and keeping what it said.
#pragma once

#include <chrono>

#include "sandboxd/place.h"

namespace troupe::sandboxd {

struct run_spec {
  process_spec process;
  std::chrono::milliseconds limit = std::chrono::seconds(30);
  std::size_t max_output_bytes = 1 << 20;  // of each stream; what is beyond is read and dropped
};

struct kept_output {
  std::string bytes;
  bool truncated = false;
};

struct run_result {
  exit_status how;  // neither when it timed out
  bool timed_out = false;
  kept_output output;
  kept_output error;
  std::chrono::milliseconds duration{};
};

// Its stdin is empty. At the limit its whole tree is killed. What it left running in the background stays,
// and what such descendants say later is not waited for. Runs to its end whoever stops waiting.
awaitable<outcome<run_result>> run_program(place& where, run_spec spec);

}  // namespace troupe::sandboxd
