#include "drivers/git/credentials.h"

namespace troupe::drivers::git {
namespace {

constexpr std::string_view prefix = "git_";

}  // namespace

std::string personal_credential(std::string_view host, std::string_view user) {
  if (host.empty() || user.empty()) return {};
  auto name = std::string(prefix) + std::string(host) + "_" + std::string(user);
  return host.find('_') == std::string_view::npos && key::valid_id(name) ? name : std::string();
}

bool is_personal_credential(std::string_view secret) {
  return secret.starts_with(prefix);
}

attempt<credential> credential_of(const environment& world, const json& body, const repository_url& url) {
  const auto optional = [&](const char* name) {
    const auto at = body.find(name);
    return at == body.end() || at->is_null() ? std::string() : text_field(body, name);
  };
  const auto read = [&](const std::string& name) {
    return world.secrets && !name.empty() ? world.secrets(text_field(body, "org"), name) : std::nullopt;
  };
  const auto own = personal_credential(url.host, optional("owner"));
  if (auto secret = read(own))
    return credential{std::move(*secret), "the secret `" + own + "` of " + optional("owner")};
  const auto shared = optional("credential");
  if (shared.empty()) return credential{};
  // Otherwise an administrator could have a person's shown to another host.
  if (!is_personal_credential(shared)) {
    if (auto secret = read(shared)) return credential{std::move(*secret), "the secret `" + shared + "`"};
  }
  return invalid("the repository's credential is to be the secret `" + shared +
                 "`, and the organization has none of that name that a repository may use; store it with "
                 "`troupe secret set " +
                 shared + "`");
}

}  // namespace troupe::drivers::git
