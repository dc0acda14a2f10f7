#include "cli/agent_check.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <thread>
#include <variant>

#include <boost/asio/executor_work_guard.hpp>
#include <fmt/format.h>

#include "cli/failure.h"
#include "cli/programs.h"
#include "drivers/acp/driver.h"
#include "drivers/sandbox/driver.h"
#include "drivers/sandbox/local_provider.h"
#include "net/wire/client.h"

namespace troupe::cli {

namespace fs = std::filesystem;
namespace asio = wire::asio;

namespace {

constexpr auto look_again = std::chrono::milliseconds(50);
constexpr auto step_limit = std::chrono::minutes(2);
constexpr const char* sandbox_key = "org/check/sandbox/check";
constexpr const char* nonce = "check";
// Below the uids that servers give to the sandboxes of tasks.
constexpr unsigned first_uid = 900'000'000;

using outcome = std::variant<json, problem>;

std::atomic<bool> check_interrupted = false;

/// One effect outside of a host: its outcome is awaited by whoever started it.
class lone_effect final : public effect_run {
 public:
  explicit lone_effect(std::string name, json body) : id_(std::move(name)), body_(std::move(body)) {}
  ~lone_effect() override {
    give(problem{.status = 500, .code = "dropped", .detail = id_ + " was given up"});
  }

  const key& actor() const override { return actor_; }
  const std::string& id() const override { return id_; }
  int attempt() const override { return 1; }
  bool resumed() const override { return false; }
  const json& body() const override { return body_; }
  const std::string& principal() const override { return principal_; }
  std::chrono::steady_clock::time_point deadline() const override { return deadline_; }
  void on_cancel(std::function<void()>) override {}
  void succeed(json result) override { give(std::move(result)); }
  void fail(problem why, bool) override { give(std::move(why)); }

  std::future<outcome> result() { return given_.get_future(); }

 private:
  void give(outcome what) {
    if (!over_.exchange(true)) given_.set_value(std::move(what));
  }

  const key actor_{sandbox_key};
  const std::string id_, principal_ = "check";
  const json body_;
  const std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::now() + step_limit;
  std::atomic<bool> over_ = false;
  std::promise<outcome> given_;
};

/// A folder that goes with it.
struct temporary_folder {
  fs::path path;
  temporary_folder() {
    auto name = (fs::temp_directory_path() / "troupe-check-XXXXXX").string();
    if (!::mkdtemp(name.data()))
      throw failure(fmt::format("cannot make a folder {}: {}", name, std::strerror(errno)));
    path = name;
  }
  ~temporary_folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

/// Drivers on a thread of their own.
class stage {
 public:
  explicit stage(const fs::path& tools) {
    drivers::local_options local;
    local.data = box_.path;
    local.sandboxd = find_sandboxd().string();
    local.programs = {{find_scripted_agent().string(), "scripted-agent"}};
    local.tools = tools;
    auto made = drivers::local_provider::make(io_.get_executor(), http_, std::move(local));
    if (!made) throw failure(made.error().why.detail, "troupe doctor says what is missing");
    provider_ = std::move(*made);
    for (auto more : {drivers::sandbox::effects(io_.get_executor(), provider_, daemons_, {}),
                      drivers::acp::effects(io_.get_executor(), daemons_, {})})
      effects_.insert(effects_.end(), more.begin(), more.end());
    thread_ = std::thread([this] { io_.run(); });
  }

  ~stage() {
    if (!made_.is_null()) perform("sandbox.destroy", made_, true);
    http_.close();
    work_.reset();
    io_.stop();
    thread_.join();
  }

  const std::string& tier() const { return provider_->tier(); }

  /// Throws failure at a signal, unless it goes on `to_the_end`.
  outcome perform(const std::string& name, json body, bool to_the_end = false) {
    const auto kind = std::ranges::find(effects_, name, &effect_kind::name);
    if (name == "sandbox.create") made_ = body;
    auto run = std::make_shared<lone_effect>(name, std::move(body));
    auto result = run->result();
    kind->start(std::move(run));
    while (result.wait_for(look_again) != std::future_status::ready)
      if (check_interrupted && !to_the_end) throw failure("interrupted; the sandbox is gone");
    return result.get();
  }

 private:
  temporary_folder box_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  wire::client http_{io_.get_executor()};
  std::shared_ptr<drivers::local_provider> provider_;
  drivers::daemon_client daemons_{http_, [this](const std::string& handle) {
                                    return provider_ ? provider_->find(handle) : std::nullopt;
                                  }};
  std::vector<effect_kind> effects_;
  std::thread thread_;
  json made_;  // the body of sandbox.create, from when it was asked for
};

}  // namespace

start_check try_start(const std::string& agent, const json& environment, const fs::path& tools) {
  for (const int one : {SIGINT, SIGTERM}) ::signal(one, [](int) { check_interrupted = true; });
  stage world(tools);
  start_check out;
  out.tier = world.tier();
  json wanted{{"sandbox", sandbox_key}, {"nonce", nonce}};
  wanted.update({{"uid", first_uid + static_cast<unsigned>(::getpid())},
                 {"provider", "local"},
                 {"requirements", {{"network", {{"rule", "public"}}}}},
                 {"environment", json::object()},
                 {"mounts", json::array()},
                 {"forwards", json::array()}});
  auto made = world.perform("sandbox.create", std::move(wanted));
  if (const auto* why = std::get_if<problem>(&made))
    throw failure("no sandbox to start it in: " + why->detail, "troupe doctor says what is missing");
  const auto handle = std::get<json>(made).at("handle");
  const auto began = std::chrono::steady_clock::now();
  auto started = world.perform("agent.start", {{"handle", handle},
                                               {"connection", "check"},
                                               {"agent", agent},
                                               {"cwd", "/workspace"},
                                               {"environment", environment},
                                               {"mcp_servers", json::array()},
                                               {"request_id", "check"}});
  out.ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
  if (const auto* why = std::get_if<problem>(&started))
    out.error = why->detail;
  else
    out.said = std::get<json>(std::move(started));
  return out;
}

}  // namespace troupe::cli
