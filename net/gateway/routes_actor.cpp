// Commands, queries and snapshots over HTTP.
#include <sodium.h>

#include "net/gateway/answers.h"
#include "net/gateway/callback.h"
#include "net/gateway/context.h"

namespace troupe::gateway {

namespace {

constexpr std::size_t max_id_bytes = 128;

std::string random_id() {
  unsigned char bytes[16];
  randombytes_buf(bytes, sizeof bytes);
  char hex[33];
  sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
  return hex;
}

bool printable(std::string_view text) {
  for (char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  return true;
}

struct asked {
  key to;
  std::string name;
  json body;
  std::chrono::milliseconds timeout;
};

std::variant<asked, problem> read_request(const wire::exchange& ex, const gateway_limits& limits) {
  auto to = key_of(ex.param("key"));
  if (auto* why = std::get_if<problem>(&to)) return *why;
  auto body = body_of(ex.request());
  if (auto* why = std::get_if<problem>(&body)) return *why;
  auto timeout = ex.request().query.integer("timeout_ms", 1, limits.max_timeout.count());
  if (!timeout) return bad_request("bad_parameter", timeout.error);
  return asked{std::get<key>(to), ex.param("name"), std::move(std::get<json>(body)),
               std::chrono::milliseconds(timeout.value_or(limits.default_timeout.count()))};
}

// What the host answers, and once more after an actor that was only a row has come to be.
template <class Ask>
asio::awaitable<reply> answered(context& c, const key& to, const caller& by, Ask& ask) {
  auto first = co_await called_back<reply>(ask);
  if (first->ok() || first->error().status != 404) co_return std::move(*first);
  if (!co_await c.brought_about(to, by)) co_return std::move(*first);
  auto second = co_await called_back<reply>(ask);
  co_return std::move(*second);
}

asio::awaitable<void> give(context& c, wire::exchange& ex, const key& to, const reply& r) {
  if (!r.ok()) {
    co_await c.refuse(ex, r.error(), to.str());
    co_return;
  }
  auto answer = json_answer(200, r.result());
  answer.headers.add("ETag", etag_of(r.at));
  answer.headers.add("Troupe-Turn", std::to_string(r.turn));
  co_await c.reply(ex, std::move(answer));
}

asio::awaitable<void> command(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto read = read_request(ex, c->options.limits);
  if (auto* why = std::get_if<problem>(&read)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& what = std::get<asked>(read);
  auto given = ex.request().headers.find("Idempotency-Key");
  std::string id(given.value_or(std::string_view()));
  if (given && (id.empty() || id.size() > max_id_bytes || !printable(id))) {
    auto why = bad_request("bad_id", "Idempotency-Key must have 1 to 128 printable characters");
    co_await c->refuse(ex, why, what.to.str());
    co_return;
  }
  if (!given) id = random_id();
  auto ask = [&](auto done) {
    client_command cmd{what.to, id, what.name, what.body, by.who.user, what.timeout};
    c->actors.command(std::move(cmd), std::move(done));
  };
  auto r = co_await answered(*c, what.to, by, ask);
  co_await give(*c, ex, what.to, r);
}

asio::awaitable<void> query(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto read = read_request(ex, c->options.limits);
  if (auto* why = std::get_if<problem>(&read)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& what = std::get<asked>(read);
  auto ask = [&](auto done) {
    client_query q{what.to, what.name, what.body, by.who.user, what.timeout};
    c->actors.query(std::move(q), std::move(done));
  };
  auto r = co_await answered(*c, what.to, by, ask);
  co_await give(*c, ex, what.to, r);
}

using snapshot_answer = std::variant<snapshot_ptr, problem>;

asio::awaitable<void> snapshot(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto parsed = key_of(ex.param("key"));
  if (auto* why = std::get_if<problem>(&parsed)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& to = std::get<key>(parsed);
  auto ask = [&](auto done) { c->actors.snapshot(to, by.who.user, std::move(done)); };
  auto found = co_await called_back<snapshot_answer>(ask);
  auto* why = std::get_if<problem>(&*found);
  if (why && why->status == 404 && co_await c->brought_about(to, by)) {
    found = co_await called_back<snapshot_answer>(ask);
    why = std::get_if<problem>(&*found);
  }
  if (why) {
    co_await c->refuse(ex, *why, to.str());
    co_return;
  }
  auto& frame = std::get<snapshot_ptr>(*found);
  auto tag = etag_of(frame->at);
  bool same = ex.request().headers.has_token("If-None-Match", tag) ||
              ex.request().headers.has_token("If-None-Match", "W/" + tag);
  // The frame keeps its text alive; the answer shares it.
  auto answer =
      same ? wire::response::empty(304) : wire::response::json(200, wire::shared_bytes(frame, &frame->data));
  answer.headers.add("ETag", tag);
  answer.headers.add("Troupe-Turn", std::to_string(frame->turn));
  answer.headers.add("Cache-Control", "no-cache");
  co_await c->reply(ex, std::move(answer));
}

}  // namespace

void add_actor_routes(wire::router& r, const std::shared_ptr<context>& c) {
  auto people = [&](asio::awaitable<void> (*f)(std::shared_ptr<context>, wire::exchange&, const caller&)) {
    return c->for_people(
        [c = c.get(), f](wire::exchange& ex, const caller& by) { return f(c->shared_from_this(), ex, by); });
  };
  r.on("POST", "/v1/actors/{key...}/commands/{name}", people(command));
  r.on("POST", "/v1/actors/{key...}/queries/{name}", people(query));
  r.on("GET", "/v1/actors/{key...}/snapshot", people(snapshot));
}

}  // namespace troupe::gateway
