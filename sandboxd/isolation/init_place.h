// The place inside a sandbox, reached through its PID 1. Nothing of it runs with the supervisor's rights.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/wire/asio.h"
#include "sandboxd/isolation/spec.h"
#include "sandboxd/place.h"

namespace troupe::sandboxd {

class init_place : public place {
 public:
  using environment_list = std::vector<std::pair<std::string, std::string>>;

  // `control`: the supervisor's end. `ex` is run by one thread.
  init_place(wire::executor ex, descriptor control, environment_list environment);
  ~init_place() override;

  // The first call of all: limits and routes. Once.
  awaitable<outcome<done>> begin(const sandbox_spec& spec);
  // Called once when the sandbox has ended by itself (PID 1 is gone).
  void on_end(std::function<void()> f);
  bool ended() const;

  // SIGSTOP and SIGCONT of everything inside, by PID 1.
  awaitable<outcome<done>> stop_all();
  awaitable<outcome<done>> continue_all();
  // While paused every other call fails with EBUSY instead of waiting for a frozen answer.
  void set_paused(bool paused);
  awaitable<outcome<std::size_t>> count_processes();

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

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace troupe::sandboxd
