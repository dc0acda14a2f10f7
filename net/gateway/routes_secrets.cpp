// Secrets: written and listed, never read back.
#include "net/gateway/answers.h"
#include "net/gateway/context.h"

namespace troupe::gateway {

namespace {

// git_HOST_USER: the credential that USER's tasks show to HOST. A host's name has no underscore.
bool is_own_credential(std::string_view secret, const caller& by) {
  if (!secret.starts_with("git_")) return false;
  const auto host = secret.substr(4), rest = host.substr(std::min(host.find('_'), host.size()));
  return rest.size() > 1 && rest.size() < host.size() && rest.substr(1) == by.who.user;
}

// Nothing when the caller is an admin of the organization, else why not. Strangers see no organization.
std::optional<problem> not_admin(const context& c, const wire::exchange& ex, const caller& by) {
  const auto& org = ex.param("org");
  if (!c.options.secrets) return not_found("this server keeps no secrets");
  auto k = key::parse("org/" + org);
  if (!k || !by.who.may(org, "viewer")) return not_found("there is no organization " + org);
  if (!c.actors.exists(*k)) return not_found("there is no organization " + org);
  if (!by.who.may(org, "admin")) return forbidden("secrets of an organization need the role admin");
  return std::nullopt;
}

// Nothing when the caller may write that secret: any if an admin, else one's own credential for git.
std::optional<problem> not_writer(const context& c, const wire::exchange& ex, const caller& by) {
  auto why = not_admin(c, ex, by);
  const bool own = is_own_credential(ex.param("name"), by) && by.who.may(ex.param("org"), "member");
  return why && why->status == 403 && own ? std::nullopt : why;
}

asio::awaitable<void> done(context& c, wire::exchange& ex, std::optional<problem> why) {
  if (why) {
    co_await c.refuse(ex, *why, ex.request().path);
  } else {
    auto answer = wire::response::empty(204);
    co_await c.reply(ex, std::move(answer));
  }
}

// The value is the body: as it is, or {"value": "…"} when it says that it is JSON.
std::variant<std::string, problem> value_of(const wire::request& r) {
  auto type = r.headers.find("Content-Type");
  if (!type || !type->starts_with("application/json")) return r.body;
  auto body = json::parse(r.body, nullptr, false);
  if (body.is_discarded()) return bad_request("not_json", "the body is not valid JSON");
  if (!body.is_object() || !body.contains("value") || !body["value"].is_string())
    return unprocessable("invalid_body",
                         "the body must be {\"value\": \"…\"}, or the value itself as text/plain");
  return body["value"].get<std::string>();
}

asio::awaitable<void> put(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto why = not_writer(*c, ex, by);
  if (!why) {
    auto value = value_of(ex.request());
    if (auto* bad = std::get_if<problem>(&value)) {
      why = *bad;
    } else {
      why = c->options.secrets->put(ex.param("org"), ex.param("name"), std::get<std::string>(value));
    }
    if (!why && c->options.audit_look)
      c->options.audit_look(by.who.user, key("org/" + ex.param("org")),
                            "secret written: " + ex.param("name"));
  }
  co_await done(*c, ex, why);
}

asio::awaitable<void> remove(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto why = not_writer(*c, ex, by);
  if (!why) {
    why = c->options.secrets->remove(ex.param("org"), ex.param("name"));
    if (!why && c->options.audit_look)
      c->options.audit_look(by.who.user, key("org/" + ex.param("org")),
                            "secret removed: " + ex.param("name"));
  }
  co_await done(*c, ex, why);
}

asio::awaitable<void> list(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto why = not_admin(*c, ex, by);
  if (!why) {
    auto found = c->options.secrets->list(ex.param("org"));
    if (auto* bad = std::get_if<problem>(&found)) {
      why = *bad;
    } else {
      auto names = json::array();
      for (const auto& one : std::get<std::vector<secret_name>>(found))
        names.push_back({{"name", one.name}, {"updated_at", one.updated_at}});
      json body{{"secrets", std::move(names)}};
      auto answer = json_answer(200, body);
      co_await c->reply(ex, std::move(answer));
      co_return;
    }
  }
  co_await done(*c, ex, why);
}

}  // namespace

void add_secret_routes(wire::router& r, const std::shared_ptr<context>& c) {
  auto people = [&](asio::awaitable<void> (*f)(std::shared_ptr<context>, wire::exchange&, const caller&)) {
    return c->for_people(
        [c = c.get(), f](wire::exchange& ex, const caller& by) { return f(c->shared_from_this(), ex, by); });
  };
  r.on("PUT", "/v1/secrets/{org}/{name}", people(put));
  r.on("DELETE", "/v1/secrets/{org}/{name}", people(remove));
  r.on("GET", "/v1/secrets/{org}", people(list));
}

}  // namespace troupe::gateway
