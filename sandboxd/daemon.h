// What the routes share: the tables of connections and processes, the book of keys, the answers' common
// fields. Internal to the api; used on its one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "net/wire/router.h"
#include "sandboxd/api.h"
#include "sandboxd/connection.h"
#include "sandboxd/process.h"
#include "sandboxd/turnstile.h"

namespace troupe::sandboxd {

struct process_config {
  std::uint64_t max_concurrent = 64;
  std::uint64_t default_run_timeout_ms = 30'000;
  std::uint64_t max_run_timeout_ms = 300'000;
  std::uint64_t max_output_bytes = 1 << 20;
  std::uint64_t max_log_bytes = 10 << 20;
  std::uint64_t max_input_bytes = 64 << 10;
};

struct daemon {
  daemon(wire::executor e, place& p, std::string state, api_options o)
      : ex(e),
        where(p),
        folder(std::move(state)),
        options(std::move(o)),
        out(options.cors),
        agents(p, options.agents, options.tools),
        config_files(ex) {}

  // Opens the book of keys and takes over what an earlier daemon left.
  outcome<done> recover();

  std::shared_ptr<process> find_process(const std::string& id) const;
  // The oldest exited ones go when there are too many.
  void trim_processes();
  std::size_t running_processes() const;
  std::uint64_t next_process();
  std::string new_connection_folder();

  wire::executor ex;
  place& where;
  const std::string folder;
  const api_options options;
  const responder out;
  agent_registry agents;
  turnstile config_files;  // one change of them at a time
  process_config config;
  std::shared_ptr<key_ledger> keys;
  std::map<std::string, std::shared_ptr<connection>> connections;  // by the client's id
  std::map<std::uint64_t, std::shared_ptr<process>> processes;     // by the number in "proc_N"
  std::uint64_t next_process_number = 1;
  std::uint64_t next_connection_folder = 1;
  bool stopping = false;
  descriptor lock;  // held on the state folder
};

using daemon_ptr = std::shared_ptr<daemon>;

void add_agent_routes(wire::router& to, daemon_ptr d);
void add_connection_routes(wire::router& to, daemon_ptr d);
void add_process_routes(wire::router& to, daemon_ptr d);
void add_log_routes(wire::router& to, daemon_ptr d);
void add_terminal_routes(wire::router& to, daemon_ptr d);
void add_config_routes(wire::router& to, daemon_ptr d);
void add_file_routes(wire::router& to, daemon_ptr d);

}  // namespace troupe::sandboxd
