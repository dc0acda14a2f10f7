// The inspector's data. Blocking reads run on the context's small pool.
#include "net/gateway/answers.h"
#include "net/gateway/callback.h"
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

// What somebody may look at who is administrator of one organization alone lies below it: why not, otherwise.
// `below` becomes a prefix that no organization whose name begins the same shares.
std::optional<problem> may_look_below(const caller& by, std::string& below) {
  if (by.who.admin || by.who.everything) return std::nullopt;
  auto parts = std::string_view(below);
  auto name = parts.starts_with("org/") ? parts.substr(4, parts.find('/', 4) - 4) : std::string_view();
  if (name.empty() || !by.who.may(name, "admin")) return instance_admins_only();
  if (below == "org/" + std::string(name)) below += '/';
  return std::nullopt;
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
  if (auto why = may_look_below(by, f.prefix)) {
    co_await c->refuse(ex, *why, ex.request().path);
    co_return;
  }
  auto look = [&] { return c->looking.actors(f); };
  auto found = co_await blocking(*c, look);
  co_await give(*c, ex, found, ex.request().path);
}

// A look at one actor, by what the address asks; a problem when that makes no sense.
using keyed_look = looked (*)(const inspector&, const key&, const wire::query&);
// A look at whatever lies below a key.
using broad_look = looked (*)(const inspector&, const std::string& below);

struct numbers {
  std::optional<problem> why = {};
  std::uint64_t of(const wire::query& q, std::string_view name, std::int64_t otherwise,
                   std::int64_t max = greatest_after) {
    auto found = q.integer(name, 0, max);
    if (!found && !why) why = bad_request("bad_parameter", found.error);
    return static_cast<std::uint64_t>(found ? found.value_or(otherwise) : otherwise);
  }
};

looked look_at_actor(const inspector& i, const key& k, const wire::query&) {
  return i.actor(k);
}
looked look_at_queue(const inspector& i, const key& k, const wire::query&) {
  return i.queue(k);
}

looked look_at_history(const inspector& i, const key& k, const wire::query& q) {
  numbers n;
  auto after = n.of(q, "after", 0), limit = n.of(q, "limit", 100, max_rows);
  auto newest = q.boolean("newest");
  if (!newest && !n.why) n.why = bad_request("bad_parameter", newest.error);
  if (n.why) return *n.why;
  return i.history(k, after, static_cast<std::size_t>(limit), newest.value_or(false));
}

looked look_at_turn(const inspector& i, const key& k, const wire::query& q) {
  numbers n;
  auto turn = n.of(q, "turn", -1);
  if (q.text("turn").empty()) n.why = bad_request("bad_parameter", "turn: which one is needed");
  if (n.why) return *n.why;
  return i.at(k, turn, q.text("table"));
}

looked look_at_difference(const inspector& i, const key& k, const wire::query& q) {
  numbers n;
  auto from = n.of(q, "from", 0), to = n.of(q, "to", 0);
  if (q.text("from").empty() || q.text("to").empty())
    n.why = bad_request("bad_parameter", "from and to: two turns are needed");
  if (n.why) return *n.why;
  return i.diff(k, from, to);
}

looked look_at_reason(const inspector& i, const key& k, const wire::query& q) {
  numbers n;
  auto limit = n.of(q, "limit", 10, max_rows);
  if (q.text("table").empty() || q.text("row").empty())
    n.why = bad_request("bad_parameter", "table and row: the table and the row's key are needed");
  if (n.why) return *n.why;
  return i.why(k, q.text("table"), q.text("row"), static_cast<std::size_t>(limit));
}

// `noted` is what the audit log says; empty for what shows no content.
asio::awaitable<void> look_at_one(std::shared_ptr<context> c, wire::exchange& ex, const caller& by,
                                  std::string noted, keyed_look f) {
  auto at = looked_at(ex, by);
  if (auto* why = std::get_if<problem>(&at)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& k = std::get<key>(at);
  if (!noted.empty() && c->options.audit_look) c->options.audit_look(by.who.user, k, noted);
  auto look = [&] { return f(c->looking, k, ex.request().query); };
  auto found = co_await blocking(*c, look);
  co_await give(*c, ex, found, k.str());
}

asio::awaitable<void> look_below(std::shared_ptr<context> c, wire::exchange& ex, const caller& by,
                                 broad_look f) {
  auto below = ex.request().query.text("below");
  if (auto why = may_look_below(by, below)) {
    co_await c->refuse(ex, *why, ex.request().path);
    co_return;
  }
  auto look = [&] { return f(c->looking, below); };
  auto found = co_await blocking(*c, look);
  co_await give(*c, ex, found, ex.request().path);
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

// {"id","do":"retry"|"drop"}: a message of the dead list is sent again, or forgotten.
asio::awaitable<void> settle_dead(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto at = looked_at(ex, by);
  if (auto* k = std::get_if<key>(&at); k && !c->actors.exists(*k)) at = hidden(*k);
  std::int64_t id = 0;
  std::string what;
  if (auto body = body_of(ex.request()); auto* why = std::get_if<problem>(&body)) {
    at = *why;
  } else if (const auto& given = std::get<json>(body);
             given.is_object() && given.contains("id") && given["id"].is_number_integer()) {
    id = given["id"].get<std::int64_t>();
    what = given.contains("do") && given["do"].is_string() ? given["do"].get<std::string>() : "";
  }
  if (at.index() == 0 && what != "retry" && what != "drop")
    at = unprocessable(
        "invalid_body",
        "the message and what to do with it are needed: {\"id\": 1, \"do\": \"retry\"}, or drop");
  if (auto* why = std::get_if<problem>(&at)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& k = std::get<key>(at);
  if (c->options.audit_look)
    c->options.audit_look(by.who.user, k, "dead message " + std::to_string(id) + ": " + what);
  auto start = [&](auto done) {
    c->actors.settle_dead(k, id, what == "retry", by.who.user, std::move(done));
  };
  auto settled = co_await called_back<reply>(start, wire::clock::now() + c->options.limits.default_timeout);
  looked found =
      problem{504, "timed_out", "no answer in time from " + k.str() + "; look at its dead messages again"};
  if (settled && settled->ok())
    found = settled->result();
  else if (settled)
    found = settled->error();
  co_await give(*c, ex, found, k.str());
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
      auto why = by ? instance_admins_only() : c->not_known(r);
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
  r.on("GET", "/v1/inspect/actors/{key...}/query", people(sql));
  r.on("POST", "/v1/inspect/actors/{key...}/query", people(sql));
  r.on("POST", "/v1/inspect/actors/{key...}/retry", people(retry));
  r.on("POST", "/v1/inspect/actors/{key...}/dead", people(settle_dead));
  auto one = [&](const std::string& rest, std::string noted, keyed_look f) {
    r.on("GET", "/v1/inspect/actors/{key...}" + rest,
         c->for_people([c = c.get(), noted = std::move(noted), f](wire::exchange& ex, const caller& by) {
           return look_at_one(c->shared_from_this(), ex, by, noted, f);
         }));
  };
  one("/history", "history", look_at_history);
  one("/at", "rows of an earlier turn", look_at_turn);
  one("/diff", "rows that changed", look_at_difference);
  one("/why", "why a row is as it is", look_at_reason);
  one("/queue", "", look_at_queue);
  one("", "", look_at_actor);
  auto all = [&](const std::string& what, broad_look f) {
    r.on("GET", "/v1/inspect/" + what, c->for_people([c = c.get(), f](wire::exchange& ex, const caller& by) {
      return look_below(c->shared_from_this(), ex, by, f);
    }));
  };
  using waiting = inspector::waiting;
  all("outbox", [](const inspector& i, const std::string& below) { return i.list(waiting::outbox, below); });
  all("effects",
      [](const inspector& i, const std::string& below) { return i.list(waiting::effects, below); });
  all("feeds", [](const inspector& i, const std::string& below) { return i.list(waiting::feeds, below); });
  all("timers", [](const inspector& i, const std::string& below) { return i.list(waiting::timers, below); });
  all("dead", [](const inspector& i, const std::string& below) { return i.dead(below); });
  all("graph", [](const inspector& i, const std::string& below) { return i.graph(below); });
  r.on("GET", "/metrics", [c](wire::exchange& ex) { return metrics_page(c, ex); });
}

}  // namespace troupe::gateway
