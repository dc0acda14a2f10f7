// A provider without a world: for tests of what uses one. Delays and failures are scripted.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "drivers/sandbox/network_door.h"
#include "drivers/sandbox/provider.h"

namespace troupe::drivers {

// Thread-safe. Remembers states as a real one would, by handle, in memory.
class fake_provider : public provider {
 public:
  // Before the next calls of that name (create, pause, resume, kill, destroy, inspect), in order: wait, then
  // do it or fail.
  struct step {
    std::chrono::milliseconds delay{0};
    std::optional<failed> failure = {};
    bool after = false;  // the failure comes after the act: its answer was lost
  };
  void script(const std::string& call, step what);

  // Its sandbox ends by itself.
  void lose(const std::string& handle, const std::string& why);
  std::vector<std::string> calls() const;  // "create local…", in order
  std::size_t alive() const;

  std::string handle_of(const std::string& sandbox, const std::string& nonce) const override;
  later<sandbox_made> create(sandbox_request what) override;
  later<sandbox_paused> pause(std::string handle) override;
  later<sandbox_paused> resume(std::string handle) override;
  later<bool> kill(std::string handle) override;
  later<bool> destroy(std::string handle) override;
  later<sandbox_look> inspect(std::string handle) override;
  std::optional<daemon_address> find(const std::string& handle) const override;
  std::vector<std::pair<std::uint64_t, egress_record>> egress(const std::string&,
                                                              std::uint64_t) const override {
    return {};
  }

 private:
  struct one {
    std::string state;
    std::string why;
    std::uint32_t uid = 0;
  };
  // Takes the next step of `call`, waits for its delay, and gives its failure if it comes before the act.
  wire::asio::awaitable<step> next(std::string call, std::string handle);

  mutable std::mutex mutex_;
  std::map<std::string, std::deque<step>> scripted_;
  std::map<std::string, one> sandboxes_;
  std::vector<std::string> calls_;
};

}  // namespace troupe::drivers
