// The supervisor of one local sandbox: outside of its namespaces, parent of its bubblewrap, owner of its
// socket and spool.
//
// `sandboxd supervise --spec FILE` returns as soon as the sandbox answers (or cannot); what serves it goes on
// in a session of its own, and is a child of nobody that the server knows. It ends when it is told to, or
// killed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "net/wire/server.h"
#include "sandboxd/isolation/spec.h"
#include "sandboxd/place.h"

namespace troupe::sandboxd {

// The daemon's own API. Called once, before anything is served; what it captured lives as long as the
// program.
using make_service =
    std::function<wire::service(wire::executor, place&, const std::filesystem::path& state_folder)>;

struct supervise_options {
  std::filesystem::path spec_file;
  bool foreground = false;          // do not detach: for debugging
  bool allow_no_isolation = false;  // tier none is refused without it
  make_service service;             // absent: only the supervisor's own routes
};

// The program's exit code: 0 after one line of JSON {"ok":true,"pid",…}, 1 after {"ok":false,"errno","text"}.
//
// Its own routes, for the uid that it runs as (others get 403):
//   GET  /v1/sandbox          {nonce, state: running|paused|ended, why?, tier, use {memory_bytes?,
//   processes?, cpu_us?,
//                             out_of_memory, disk_free_bytes}}
//   POST /v1/sandbox/pause    {state, how: cgroup|signal}; 409 when it has ended
//   POST /v1/sandbox/resume   {state, how}
//   POST /v1/sandbox/end      202; everything ends, files stay
int run_supervise(const supervise_options& options);

}  // namespace troupe::sandboxd
