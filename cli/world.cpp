#include "cli/world.h"

#include "cli/programs.h"
#include "drivers/acp/driver.h"
#include "drivers/daemon/daemon_client.h"
#include "drivers/git/driver.h"
#include "net/wire/client.h"

namespace troupe::cli {

namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T> more) {
  for (auto& one : more) to.push_back(std::move(one));
}

class real_world final : public world {
 public:
  real_world(wire::executor ex, world_options o)
      : ex_(std::move(ex)),
        options_(std::move(o)),
        http_(ex_),
        daemons_(http_, [](const std::string&) { return std::nullopt; }) {}

  std::vector<effect_kind> effects() override {
    std::vector<effect_kind> all;
    append(all, drivers::git::effects({.ex = ex_,
                                       .daemons = daemons_,
                                       .threads = blocking_,
                                       .data = options_.data,
                                       .repository_roots = options_.repository_roots,
                                       .secrets = options_.secrets}));
    append(all, drivers::acp::effects(ex_, daemons_, options_.secrets));
    return all;
  }

  std::vector<feed_kind> feeds() override { return drivers::acp::feeds(ex_, daemons_); }

  const std::string& tier() const override { return tier_; }
  void stop() override { http_.close(); }

 private:
  wire::executor ex_;
  world_options options_;
  std::string tier_;
  wire::client http_;
  drivers::daemon_client daemons_;
  drivers::git::pool blocking_;
};

}  // namespace

std::unique_ptr<world> make_world(wire::executor ex, world_options options) {
  return std::make_unique<real_world>(std::move(ex), std::move(options));
}

}  // namespace troupe::cli
