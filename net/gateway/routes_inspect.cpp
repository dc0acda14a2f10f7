// The inspector's data. Blocking reads run on the context's small pool.
#include "net/gateway/answers.h"
#include "net/gateway/context.h"
#include "net/wire/text.h"

namespace troupe::gateway {

namespace {

constexpr std::int64_t max_rows = 1000;
constexpr std::int64_t greatest_after = std::int64_t{1} << 53;

using looked = inspector::result;

// Runs `look` where blocking is allowed.
template <class Look>
asio::awaitable<looked> blocking(context& c, Look& look) {
  auto work = [&look]() -> asio::awaitable<looked> { co_return look(); };
  co_return co_await asio::co_spawn(c.blocking.get_executor(), work, asio::use_awaitable);
}

asio::awaitable<void> give(context& c, wire::exchange& ex, const looked& found, std::string instance) {
  if (auto* why = std::get_if<problem>(&found)) {
    co_await c.refuse(ex, *why, std::move(instance));
  } else {
    auto answer = json_answer(200, std::get<json>(found));
    co_await c.reply(ex, std::move(answer));
  }
}

// Administrators of the instance see everything, those of an organization what is below it.
bool may_look(const principal& who, const key& k) {
  if (who.admin || who.everything) return true;
  auto org = k.id_of("org");
  return !org.empty() && who.may(org, "admin");
}

bool member_of(const principal& who, const key& k) {
  auto org = k.id_of("org");
  return who.admin || (!org.empty() && who.may(org, "viewer"));
}

// The actor of the address, if the caller may look into it. Hidden from who is not in its organization.
std::variant<key, problem> looked_at(const wire::exchange& ex, const caller& by) {
  auto parsed = key_of(ex.param("key"));
  if (auto* k = std::get_if<key>(&parsed); k && !may_look(by.who, *k)) {
    if (member_of(by.who, *k))
      return forbidden("looking into actors needs the role admin of the organization");
    return hidden(*k);
  }
  return parsed;
}

problem instance_admins_only() {
  return forbidden("this needs an administrator of the instance");
}

asio::awaitable<void> actors(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  const auto& q = ex.request().query;
  auto limit = q.integer("limit", 1, max_rows);
  auto awake = q.boolean("awake");
  if (!limit || !awake) {
    auto why = bad_request("bad_parameter", limit ? awake.error : limit.error);
    co_await c->refuse(ex, why, ex.request().path);
    co_return;
  }
  inspector::filter f;
  f.prefix = q.text("prefix");
  f.kind = q.text("kind");
  f.awake = awake.value;
  f.limit = static_cast<std::size_t>(limit.value_or(100));
  f.after = q.text("after");
  if (!by.who.admin && !by.who.everything) {
    // Below one organization: the prefix must reach into it, and not into one whose name begins the same.
    auto parts = std::string_view(f.prefix);
    auto name = parts.starts_with("org/") ? parts.substr(4, parts.find('/', 4) - 4) : std::string_view();
    if (name.empty() || !by.who.may(name, "admin")) {
      auto why = instance_admins_only();
      co_await c->refuse(ex, why, ex.request().path);
      co_return;
    }
    auto root = "org/" + std::string(name);
    if (f.prefix == root) f.prefix += '/';
  }
  auto look = [&] { return c->looking.actors(f); };
  auto found = co_await blocking(*c, look);
  co_await give(*c, ex, found, ex.request().path);
}

asio::awaitable<void> actor(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto at = looked_at(ex, by);
  if (auto* why = std::get_if<problem>(&at)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& k = std::get<key>(at);
  auto look = [&] { return c->looking.actor(k); };
  auto found = co_await blocking(*c, look);
  co_await give(*c, ex, found, k.str());
}

asio::awaitable<void> history(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto at = looked_at(ex, by);
  auto after = ex.request().query.integer("after", 0, greatest_after);
  auto limit = ex.request().query.integer("limit", 1, max_rows);
  if (!after || !limit) at = bad_request("bad_parameter", after ? limit.error : after.error);
  if (auto* why = std::get_if<problem>(&at)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& k = std::get<key>(at);
  if (c->options.audit_look) c->options.audit_look(by.who.user, k, "history");
  auto look = [&] {
    return c->looking.history(k, static_cast<std::uint64_t>(after.value_or(0)),
                              static_cast<std::size_t>(limit.value_or(100)));
  };
  auto found = co_await blocking(*c, look);
  co_await give(*c, ex, found, k.str());
}

asio::awaitable<void> sql(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto at = looked_at(ex, by);
  std::string statement;
  if (ex.request().method == "GET") {
    statement = ex.request().query.text("sql");
  } else {
    auto body = body_of(ex.request());
    if (auto* why = std::get_if<problem>(&body)) {
      at = *why;
    } else if (const auto& given = std::get<json>(body);
               given.is_object() && given.contains("sql") && given["sql"].is_string()) {
      statement = given["sql"].get<std::string>();
    }
  }
  if (at.index() == 0 && statement.empty())
    at = unprocessable("invalid_body", "one SQL statement is needed: {\"sql\": \"select …\"}, or ?sql=");
  if (auto* why = std::get_if<problem>(&at)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& k = std::get<key>(at);
  if (c->options.audit_look) c->options.audit_look(by.who.user, k, "query: " + statement);
  auto look = [&] { return c->looking.query(k, statement); };
  auto found = co_await blocking(*c, look);
  co_await give(*c, ex, found, k.str());
}

asio::awaitable<void> retry(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto at = looked_at(ex, by);
  if (auto* k = std::get_if<key>(&at); k && !c->actors.exists(*k)) at = hidden(*k);
  if (auto* why = std::get_if<problem>(&at)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& k = std::get<key>(at);
  if (c->options.audit_look) c->options.audit_look(by.who.user, k, "released from quarantine");
  auto release = [&]() -> looked { return json{{"released", c->actors.retry_quarantined(k)}}; };
  auto done = co_await blocking(*c, release);
  co_await give(*c, ex, done, k.str());
}

asio::awaitable<void> host_state(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  if (!by.who.admin && !by.who.everything) {
    auto why = instance_admins_only();
    co_await c->refuse(ex, why, ex.request().path);
    co_return;
  }
  auto look = [&]() -> looked { return c->looking.host_state(); };
  auto found = co_await blocking(*c, look);
  if (auto* state = std::get_if<json>(&found); state && state->is_object())
    (*state)["version"] = c->options.version;
  co_await give(*c, ex, found, ex.request().path);
}

// For people who are administrators, and for a scraper with its own token.
asio::awaitable<void> metrics_page(std::shared_ptr<context> c, wire::exchange& ex) {
  const auto& r = ex.request();
  auto field = r.headers.find("Authorization");
  bool scraper = field && !c->options.metrics_token.empty() && field->starts_with("Bearer ") &&
                 wire::equal_in_constant_time(wire::trim(field->substr(7)), c->options.metrics_token);
  if (!scraper) {
    auto by = c->identify(r);
    if (!by || (!by->who.admin && !by->who.everything)) {
      auto why = by ? instance_admins_only() : unauthorized();
      co_await c->refuse(ex, why, r.path);
      co_return;
    }
  }
  auto answer =
      wire::response::of(200, "text/plain; version=0.0.4; charset=utf-8", c->counted.text(c->actors));
  co_await c->reply(ex, std::move(answer));
}

}  // namespace

void add_inspect_routes(wire::router& r, const std::shared_ptr<context>& c) {
  auto people = [&](asio::awaitable<void> (*f)(std::shared_ptr<context>, wire::exchange&, const caller&)) {
    return c->for_people(
        [c = c.get(), f](wire::exchange& ex, const caller& by) { return f(c->shared_from_this(), ex, by); });
  };
  r.on("GET", "/v1/inspect/host", people(host_state));
  r.on("GET", "/v1/inspect/actors", people(actors));
  r.on("GET", "/v1/inspect/actors/{key...}/history", people(history));
  r.on("GET", "/v1/inspect/actors/{key...}/query", people(sql));
  r.on("POST", "/v1/inspect/actors/{key...}/query", people(sql));
  r.on("POST", "/v1/inspect/actors/{key...}/retry", people(retry));
  r.on("GET", "/v1/inspect/actors/{key...}", people(actor));
  r.on("GET", "/metrics", [c](wire::exchange& ex) { return metrics_page(c, ex); });
}

}  // namespace troupe::gateway
