// Who is who, for the gateway, as the access actor knows it.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "actors/access/directory.h"
#include "net/gateway/auth.h"
#include "runtime/host.h"

namespace troupe::cli {

/// Answers from the directory in memory; what changes something is a command to the access actor. Both
/// outlive it. Thread-safe.
class access_authenticator final : public gateway::authenticator {
 public:
  access_authenticator(host& h, actors::directory& known);

  std::optional<gateway::identified> by_token(std::string_view token) const override;
  std::optional<gateway::identified> by_cookie(std::string_view cookie) const override;
  std::optional<gateway::principal> again(const std::string& handle) const override;
  void sign_in(std::string word, std::string label, on_signed_in) override;
  void sign_out(const std::string& handle, on_done) override;
  void list(const std::string& user, on_credentials) override;
  void on_change(std::function<void()>) override;

 private:
  /// Sessions that the access actor has made and the directory has not read yet. Whoever signs in is answered
  /// when the directory knows them: the very next request comes with the new cookie.
  struct arrivals {
    struct one {
      std::string hash;
      std::function<void()> answer;
    };
    std::mutex mutex;
    std::deque<one> waiting;
  };

  host& host_;
  actors::directory& known_;
  std::shared_ptr<arrivals> arrivals_ = std::make_shared<arrivals>();
};

}  // namespace troupe::cli
