// A gateway over a host with three small kinds of actor, people that a test plays, and clients that speak the
// protocol.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <nlohmann/json.hpp>

#include "net/gateway/gateway.h"
#include "net/wire/client.h"
#include "runtime/host.h"

namespace troupe::gateway::testing {

using nlohmann::json;
namespace asio = wire::asio;

inline constexpr auto patience = std::chrono::seconds(30);

// "org": coordinator of notes and sandboxes. "note": a text, a stream `lines`.
const kind& org_kind();
const kind& note_kind();
// "sandbox": the state that it was made with, and the handle "local:one".
const kind& sandbox_kind();

class people final : public authenticator {
 public:
  void add(const std::string& token, principal who);
  void revoke(const std::string& token);  // and tells the gateway
  void set_role(const std::string& token, const std::string& org, const std::string& role);  // empty: none

  std::optional<identified> by_token(std::string_view token) const override;
  std::optional<identified> by_cookie(std::string_view cookie) const override { return by_token(cookie); }
  std::optional<principal> again(const std::string& handle) const override;
  void sign_in(std::string word, std::string label, on_signed_in) override;
  void sign_out(const std::string& handle, on_done) override;
  void list(const std::string& user, on_credentials) override;
  void on_change(std::function<void()> f) override;
  verdict judge(const std::string& user, const key&, std::string_view role) const;

 private:
  void changed();
  mutable std::mutex mutex_;
  std::map<std::string, principal, std::less<>> by_token_;
  std::vector<std::function<void()>> listeners_;
};

class served {
 public:
  explicit served(std::function<void(gateway_options&)> change = {});
  ~served();

  wire::response send(wire::request, const std::string& token = "ada-token");
  wire::response get(const std::string& target, const std::string& token = "ada-token");
  wire::response post(const std::string& target, const json& body, const std::string& token = "ada-token",
                      wire::headers more = {});
  // Has acme do that, and waits for the actor that it makes.
  void make(const std::string& command, const json& body, const std::string& made);
  void restart_of_org(const std::string& org);

  std::filesystem::path folder;
  people who;
  std::unique_ptr<secret_store> secrets;
  std::optional<host> actors;
  asio::io_context loop;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work;
  std::vector<std::thread> threads;
  std::optional<troupe::gateway::gateway> door;
  wire::endpoint at;
  std::vector<std::string> looks;
  std::mutex looks_mutex;
};

// A WebSocket client that blocks; what comes waits in order.
class talker {
 public:
  explicit talker(served& s, const std::string& token = "ada-token", bool read = true, bool deflate = false);
  ~talker();

  void say(const json& message);
  void say_text(std::string text);
  json hear();                           // the next frame
  json hear(const std::string& op);      // skips others
  json reply_to(const std::string& id);  // skips others
  json ask(const json& message);         // say, then its reply
  std::optional<wire::ws_close> closed_within(std::chrono::milliseconds limit);

 private:
  wire::blocking_client client_;
  struct state;
  std::shared_ptr<state> state_;
  std::thread thread_;
};

}  // namespace troupe::gateway::testing
