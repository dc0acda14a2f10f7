#include "cli/world.h"

#include <chrono>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "cli/failure.h"
#include "cli/programs.h"
#include "drivers/acp/driver.h"
#include "drivers/daemon/daemon_client.h"
#include "drivers/daemon/redaction.h"
#include "drivers/git/credentials.h"
#include "drivers/git/driver.h"
#include "drivers/sandbox/driver.h"
#include "drivers/sandbox/local_provider.h"
#include "drivers/webhook/webhook.h"
#include "net/wire/client.h"

namespace troupe::cli {

namespace {

constexpr auto redaction_limit = std::chrono::milliseconds(200);

template <class T>
void append(std::vector<T>& to, std::vector<T> more) {
  for (auto& one : more) to.push_back(std::move(one));
}

/// Remembered for a moment: a secret is at work no sooner than that after it was stored.
drivers::find_redaction remembered(std::function<std::vector<std::string>(std::string_view)> values) {
  struct known {
    std::shared_ptr<const drivers::redaction> what;
    std::chrono::steady_clock::time_point until;
  };
  struct memory {
    std::mutex mutex;
    std::map<std::string, known, std::less<>> by_org;
  };
  return [values = std::move(values), kept = std::make_shared<memory>()](std::string_view org) {
    const auto now = std::chrono::steady_clock::now();
    std::lock_guard lock(kept->mutex);
    auto found = kept->by_org.find(org);
    if (found == kept->by_org.end() || found->second.until < now) {
      auto what =
          std::make_shared<const drivers::redaction>(values ? values(org) : std::vector<std::string>());
      found = kept->by_org.insert_or_assign(std::string(org), known{std::move(what), now + redaction_limit})
                  .first;
    }
    return found->second.what;
  };
}

class real_world final : public world {
 public:
  real_world(wire::executor ex, world_options o)
      : ex_(std::move(ex)),
        options_(std::move(o)),
        http_(ex_),
        daemons_(http_,
                 [this](const std::string& handle) { return local_ ? local_->find(handle) : std::nullopt; }) {
    drivers::local_options local;
    local.data = options_.data;
    local.sandboxd = find_sandboxd(options_.sandboxd).string();
    local.programs = {{find_scripted_agent(options_.scripted_agent).string(), "scripted-agent"}};
    // Made now, so that sandboxes of today see what is installed tomorrow.
    std::error_code error;
    std::filesystem::create_directories(options_.tools, error);
    if (error && options_.log)
      options_.log("agents", fmt::format("no agent can be installed: cannot make {}: {}",
                                         options_.tools.string(), error.message()));
    local.tools = options_.tools;
    local.forwards = options_.forwards;
    local.unsafe_no_isolation = options_.unsafe_no_isolation;
    local.log = options_.log;
    auto made = drivers::local_provider::make(ex_, http_, std::move(local));
    if (!made)
      throw failure(fmt::format("no sandbox can be made here: {}", made.error().why.detail),
                    "troupe doctor says what is missing");
    local_ = std::move(*made);
    if (local_->tier() == "none" && !options_.unsafe_no_isolation && options_.log) {
      options_.log("sandboxes",
                   "nothing here can isolate agents, so no sandbox will be made: troupe doctor says why");
    }
  }

  std::vector<effect_kind> effects() override {
    std::vector<effect_kind> all;
    // Whatever an organization's settings name: what a person shows to a remote enters no sandbox.
    const drivers::read_secret for_sandboxes = [all_of_them = options_.secrets](std::string_view org,
                                                                                std::string_view name) {
      const bool hidden = !all_of_them || drivers::git::is_personal_credential(name);
      return hidden ? std::nullopt : all_of_them(org, name);
    };
    append(all, drivers::sandbox::effects(ex_, local_, daemons_, for_sandboxes));
    append(all, drivers::git::effects({.ex = ex_,
                                       .daemons = daemons_,
                                       .threads = blocking_,
                                       .data = options_.data,
                                       .repository_roots = options_.repository_roots,
                                       .secrets = options_.secrets}));
    append(all, drivers::acp::effects(ex_, daemons_, for_sandboxes));
    append(all, drivers::webhook::effects(ex_, http_, for_sandboxes,
                                          {.allow_private = options_.allow_private_webhooks}));
    for (auto& kind : all) kind = drivers::redacted(std::move(kind), redactions_);
    return all;
  }

  std::vector<feed_kind> feeds() override {
    auto all = drivers::acp::feeds(ex_, daemons_, {}, redactions_);
    append(all, drivers::sandbox::feeds(ex_, local_, daemons_));
    for (auto& kind : all) kind = drivers::redacted(std::move(kind), redactions_);
    return all;
  }

  std::optional<drivers::daemon_address> find_daemon(const std::string& handle) const override {
    return local_->find(handle);
  }
  const std::string& tier() const override { return local_->tier(); }
  void stop() override { http_.close(); }

 private:
  wire::executor ex_;
  world_options options_;
  drivers::find_redaction redactions_ = remembered(options_.secret_values);
  wire::client http_;
  drivers::daemon_client daemons_;
  std::shared_ptr<drivers::local_provider> local_;
  drivers::git::pool blocking_;
};

}  // namespace

std::unique_ptr<world> make_world(wire::executor ex, world_options options) {
  return std::make_unique<real_world>(std::move(ex), std::move(options));
}

}  // namespace troupe::cli
