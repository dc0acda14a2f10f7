// Health, signing in and out.
#include "net/gateway/answers.h"
#include "net/gateway/callback.h"
#include "net/gateway/context.h"

namespace troupe::gateway {

namespace {

constexpr auto sign_in_limit = std::chrono::seconds(10);
constexpr std::size_t max_word_bytes = 256;
constexpr std::size_t max_label_bytes = 200;

json shown_principal(const principal& who) {
  auto roles = json::object();
  for (const auto& [org, role] : who.roles) roles[org] = role;
  json out{{"user", who.user}, {"roles", std::move(roles)}};
  if (who.admin) out["admin"] = true;
  return out;
}

std::string cookie(const context& c, const wire::request& r, const std::string& value, int max_age) {
  auto text =
      "troupe_session=" + value + "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(max_age);
  if (c.options.secure_cookies || r.peer.secure) text += "; Secure";
  return text;
}

asio::awaitable<void> health(std::shared_ptr<context> c, wire::exchange& ex) {
  auto s = c->actors.stats();
  json body{{"status", ex.stopping() ? "stopping" : "ok"},
            {"name", "troupe"},
            {"version", c->options.version},
            {"uptime_ms", s.uptime.count()}};
  auto status = ex.stopping() ? 503 : 200;
  auto answer = json_answer(status, body);
  co_await c->reply(ex, std::move(answer));
}

asio::awaitable<void> whoami(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto answer = json_answer(200, shown_principal(by.who));
  co_await c->reply(ex, std::move(answer));
}

asio::awaitable<void> sign_in(std::shared_ptr<context> c, wire::exchange& ex) {
  auto body = body_of(ex.request());
  std::optional<problem> why;
  std::string word;
  if (auto* bad = std::get_if<problem>(&body)) {
    why = *bad;
  } else {
    const auto& given = std::get<json>(body);
    if (given.is_object() && given.contains("word") && given["word"].is_string()) word = given["word"];
    if (word.empty() || word.size() > max_word_bytes)
      why =
          unprocessable("invalid_body", "the body must be {\"word\": \"…\"} with the word of a sign-in link");
  }
  if (why) {
    co_await c->refuse(ex, *why, ex.request().path);
    co_return;
  }
  const auto address = throttle::counted_as(ex.request().peer.address);
  if (auto left = c->guesses.wait(address)) {
    auto slower = too_many_attempts(*left);
    co_await c->refuse(ex, slower, ex.request().path);
    co_return;
  }
  std::string label(ex.request().headers.find("User-Agent").value_or("a browser").substr(0, max_label_bytes));
  auto start = [&](auto done) { c->people.sign_in(word, label, std::move(done)); };
  using outcome_type = std::variant<signed_in, problem>;
  auto outcome = co_await called_back<outcome_type>(start, wire::clock::now() + sign_in_limit);
  if (!outcome) outcome = problem{504, "timed_out", "signing in took too long: try again"};
  if (auto* bad = std::get_if<problem>(&*outcome)) {
    if (bad->status < 500 && bad->status != 429) c->guesses.wrong(address);
    co_await c->refuse(ex, *bad, ex.request().path);
    co_return;
  }
  const auto& session = std::get<signed_in>(*outcome);
  auto answer = wire::response::empty(204);
  answer.headers.add("Set-Cookie", cookie(*c, ex.request(), session.cookie, session.max_age_seconds));
  answer.headers.add("Cache-Control", "no-store");
  co_await c->reply(ex, std::move(answer));
}

asio::awaitable<void> sign_out(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto start = [&](auto done) { c->people.sign_out(by.handle, std::move(done)); };
  auto why = co_await called_back<std::optional<problem>>(start, wire::clock::now() + sign_in_limit);
  if (!why) why.emplace(problem{504, "timed_out", "signing out took too long: try again"});
  if (*why) {
    co_await c->refuse(ex, **why, ex.request().path);
    co_return;
  }
  auto answer = wire::response::empty(204);
  answer.headers.add("Set-Cookie", cookie(*c, ex.request(), "", 0));
  co_await c->reply(ex, std::move(answer));
}

json shown_credentials(const std::vector<credential>& all) {
  auto list = json::array();
  for (const auto& one : all) {
    json row{{"id", one.id}, {"label", one.label}, {"created_at", one.created_at}};
    if (one.expires_at) row["expires_at"] = one.expires_at;
    list.push_back(std::move(row));
  }
  return list;
}

asio::awaitable<void> sessions(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto start = [&](auto done) { c->people.list(by.who.user, std::move(done)); };
  using outcome_type = std::variant<credentials, problem>;
  auto outcome = co_await called_back<outcome_type>(start, wire::clock::now() + sign_in_limit);
  if (!outcome) outcome = problem{504, "timed_out", "the list of sessions took too long: try again"};
  if (auto* bad = std::get_if<problem>(&*outcome)) {
    co_await c->refuse(ex, *bad, ex.request().path);
    co_return;
  }
  const auto& found = std::get<credentials>(*outcome);
  json body{{"sessions", shown_credentials(found.sessions)}, {"tokens", shown_credentials(found.tokens)}};
  auto answer = json_answer(200, body);
  answer.headers.add("Cache-Control", "no-store");
  co_await c->reply(ex, std::move(answer));
}

}  // namespace

void add_session_routes(wire::router& r, const std::shared_ptr<context>& c) {
  auto people = [&](asio::awaitable<void> (*f)(std::shared_ptr<context>, wire::exchange&, const caller&)) {
    return c->for_people(
        [c = c.get(), f](wire::exchange& ex, const caller& by) { return f(c->shared_from_this(), ex, by); });
  };
  r.on("GET", "/v1/health", [c](wire::exchange& ex) { return health(c, ex); });
  r.on("GET", "/v1/session", people(whoami));
  r.on("POST", "/v1/session", [c](wire::exchange& ex) { return sign_in(c, ex); });
  r.on("DELETE", "/v1/session", people(sign_out));
  r.on("GET", "/v1/sessions", people(sessions));
}

}  // namespace troupe::gateway
