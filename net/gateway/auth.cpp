#include "net/gateway/auth.h"

namespace troupe::gateway {

int rank_of(std::string_view role) {
  return role == "viewer" ? 1 : role == "member" ? 2 : role == "admin" ? 3 : role == "owner" ? 4 : 0;
}

bool principal::may(std::string_view organization, std::string_view role) const {
  if (everything) return true;
  auto found = roles.find(organization);
  return found != roles.end() && rank_of(role) > 0 && rank_of(found->second) >= rank_of(role);
}

namespace {

class nobody_asks final : public authenticator {
 public:
  explicit nobody_asks(std::string user) : user_(std::move(user)) {}

  std::optional<identified> by_token(std::string_view) const override { return anonymous(); }
  std::optional<identified> by_cookie(std::string_view) const override { return anonymous(); }
  std::optional<identified> anonymous() const override { return identified{who(), "local"}; }
  std::optional<principal> again(const std::string&) const override { return who(); }
  void sign_in(std::string, std::string, on_signed_in done) override {
    done(conflict("no_auth", "this server runs without authentication: there is nothing to sign in to"));
  }
  void sign_out(const std::string&, on_done done) override { done(std::nullopt); }
  void list(const std::string&, on_credentials done) override { done(credentials()); }
  void on_change(std::function<void()>) override {}

 private:
  principal who() const {
    principal p;
    p.user = user_;
    p.admin = p.everything = true;
    return p;
  }

  std::string user_;
};

}  // namespace

std::unique_ptr<authenticator> no_authentication(std::string user) {
  return std::make_unique<nobody_asks>(std::move(user));
}

}  // namespace troupe::gateway
