// The place that is this machine: what `sandboxd serve` offers.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/wire/asio.h"
#include "sandboxd/place.h"

namespace troupe::sandboxd {

struct direct_place_options {
  // Files are confined below it. "/" confines nothing.
  std::string root = "/";

  // What `~` means; empty: HOME of the environment. When it is not below the root, the root takes its place.
  std::string home;

  // Of spawned processes, all of it; nothing is inherited beside it.
  std::vector<std::pair<std::string, std::string>> environment;

  // Where processes start that name no folder; empty: the daemon's own, or the root when that is not "/".
  std::string directory;
};

// Processes run as sandboxd's user and see what it sees: `root` confines files of the API, not processes.
// Becomes the subreaper of what it spawns and reaps every child of this program: nothing else here may fork.
// File operations run on one further thread that is started by the first of them.
class direct_place : public place {
 public:
  // `ex` must be run by one thread. Fails when the root is not a folder.
  static outcome<std::unique_ptr<direct_place>> make(wire::executor ex, direct_place_options options);
  ~direct_place() override;

  awaitable<outcome<spawned>> spawn(process_spec spec) override;
  awaitable<exit_status> wait(process_id id) override;
  awaitable<outcome<done>> signal(process_id id, int number, reach whom) override;
  awaitable<outcome<done>> end_commands(process_id id, unsigned long long since) override;
  void forget(process_id id) override;
  awaitable<outcome<std::string>> find_program(std::string name) override;
  std::optional<std::string> environment(const std::string& name) const override;
  std::string home() const override;

  awaitable<outcome<file_status>> status(std::string path) override;
  awaitable<outcome<std::vector<file_entry>>> list(std::string path) override;
  awaitable<outcome<descriptor>> open(std::string path, open_mode how, std::uint32_t mode) override;
  awaitable<outcome<done>> make_directory(std::string path) override;
  awaitable<outcome<done>> make_symlink(std::string target, std::string path) override;
  awaitable<outcome<done>> move(std::string from, std::string to, bool overwrite) override;
  awaitable<outcome<done>> remove(std::string path, bool recursive) override;

  // Ends every tree that it spawned. For the daemon's own end.
  void kill_everything();

  struct state;

 private:
  explicit direct_place(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

}  // namespace troupe::sandboxd
