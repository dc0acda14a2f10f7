// Streams over HTTP: pages, single entries and server-sent events.
#include "net/gateway/answers.h"
#include "net/gateway/callback.h"
#include "net/gateway/context.h"
#include "net/wire/sse.h"
#include "net/wire/text.h"

namespace troupe::gateway {

namespace {

constexpr std::int64_t max_sequence = std::int64_t{1} << 53;
constexpr std::int64_t page_entries = 256;
// A comment this often keeps proxies from ending a quiet stream.
constexpr auto keep_alive_every = std::chrono::seconds(15);

using page_answer = std::variant<page_ptr, problem>;

struct place {
  key of;
  std::string stream;
};

asio::awaitable<page_answer> page_of(context& c, const place& at, std::uint64_t after, std::size_t limit,
                                     const caller& by) {
  auto ask = [&](auto done) {
    c.actors.read_stream(at.of, at.stream, after, limit, by.who.user, std::move(done));
  };
  auto found = co_await called_back<page_answer>(ask);
  auto* why = std::get_if<problem>(&*found);
  if (why && why->status == 404 && co_await c.brought_about(at.of, by))
    found = co_await called_back<page_answer>(ask);
  co_return std::move(*found);
}

// Wakes an event stream when there is more to read, when the actor is gone or its reader's standing has
// changed.
class waker final : public subscriber, public open_connection {
 public:
  explicit waker(wire::executor strand) : woken(std::move(strand)) {}
  void on_entries(page_ptr) override { woken.raise(); }
  void on_gone(const key&, const std::string&) override {
    gone = true;
    woken.raise();
  }
  void recheck() override {
    check = true;
    woken.raise();
  }

  wire::signal woken;
  std::atomic<bool> gone{false};
  std::atomic<bool> check{false};
};

asio::awaitable<void> events(std::shared_ptr<context> c, wire::exchange& ex, place at, std::uint64_t after,
                             const caller& by) {
  auto seat = c->take_seat(by.who.user);
  if (!seat) {
    auto why =
        too_many("too_many_connections", "this principal has too many open connections: close one first");
    co_await c->refuse(ex, why, at.of.str());
    co_return;
  }
  auto wake = std::make_shared<waker>(ex.get_executor());
  c->join(wake);
  std::optional<subscription> live;
  auto ask = [&](auto done) {
    live = c->actors.subscribe_stream(at.of, at.stream, by.who.user, wake,
                                      [done](std::optional<problem> why) { done(std::move(why)); });
  };
  auto subscribed = co_await called_back<std::optional<problem>>(ask);
  if (*subscribed && (*subscribed)->status == 404 && co_await c->brought_about(at.of, by))
    subscribed = co_await called_back<std::optional<problem>>(ask);
  if (*subscribed) {
    co_await c->refuse(ex, **subscribed, at.of.str());
    co_return;
  }
  wire::headers fields{
      {"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  c->counted.request(200);
  if (!co_await ex.begin_stream(200, fields)) co_return;
  bool over = false;
  ex.on_gone([wake, &over] {
    over = true;
    wake->woken.raise();
  });
  while (!over) {
    if (wake->check.exchange(false) && !c->people.again(by.handle)) break;
    auto page = co_await page_of(*c, at, after, page_entries, by);
    if (auto* why = std::get_if<problem>(&page)) {
      auto text = wire::format_event(encode(shown(*why, at.of.str())), {}, "problem");
      co_await ex.write(std::move(text));
      break;
    }
    const auto& found = *std::get<page_ptr>(page);
    if (found.after != after) {
      auto text = wire::format_event("{\"first\":" + std::to_string(found.first) + "}", {}, "reset");
      if (!co_await ex.write(std::move(text))) co_return;
      after = found.after;
    }
    std::string text;
    for (const auto& one : found.entries) {
      auto data = "{\"seq\":" + std::to_string(one.seq) + ",\"time\":" + std::to_string(to_ms(one.time)) +
                  ",\"data\":" + *one.data + "}";
      text += wire::format_event(data, std::to_string(one.seq));
      after = one.seq;
    }
    if (!text.empty()) {
      if (!co_await ex.write(std::move(text))) co_return;
      continue;
    }
    if (wake->gone) break;
    if (!co_await wake->woken.wait(wire::clock::now() + keep_alive_every)) {
      if (!co_await ex.write(wire::format_comment())) co_return;
    }
  }
  co_await ex.finish();
}

bool wants_events(const wire::request& r) {
  for (const auto& [name, value] : r.headers) {
    if (!wire::equal_ignoring_case(name, "Accept")) continue;
    for (auto item : wire::split_list(value))
      if (wire::equal_ignoring_case(wire::trim(item.substr(0, item.find(';'))), "text/event-stream"))
        return true;
  }
  return false;
}

asio::awaitable<void> stream(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto parsed = key_of(ex.param("key"));
  if (auto* why = std::get_if<problem>(&parsed)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  place at{std::get<key>(parsed), ex.param("stream")};
  const auto& q = ex.request().query;
  auto after = q.integer("after", 0, max_sequence);
  auto limit = q.integer("limit", 1, page_entries);
  if (!after || !limit) {
    auto why = bad_request("bad_parameter", after ? limit.error : after.error);
    co_await c->refuse(ex, why, at.of.str());
    co_return;
  }
  if (wants_events(ex.request())) {
    std::optional<std::int64_t> from = after.value;
    if (auto last = ex.request().headers.find("Last-Event-ID")) {
      from = wire::parse_integer(*last);
      if (!from || *from < 0) {
        auto why = bad_request("bad_parameter", "Last-Event-ID must be a sequence number");
        co_await c->refuse(ex, why, at.of.str());
        co_return;
      }
    }
    auto first = static_cast<std::uint64_t>(from.value_or(0));
    co_await events(c, ex, at, first, by);
    co_return;
  }
  auto page = co_await page_of(*c, at, static_cast<std::uint64_t>(after.value_or(0)),
                               static_cast<std::size_t>(limit.value_or(page_entries)), by);
  if (auto* why = std::get_if<problem>(&page)) {
    co_await c->refuse(ex, *why, at.of.str());
    co_return;
  }
  auto answer = wire::response::json(200, "{" + page_members(*std::get<page_ptr>(page)) + "}");
  answer.headers.add("Cache-Control", "no-store");
  co_await c->reply(ex, std::move(answer));
}

// One entry whole: the address of what a page shows as a stub.
asio::awaitable<void> entry(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto parsed = key_of(ex.param("key"));
  auto seq = wire::parse_integer(ex.param("seq"));
  if (!seq || *seq < 1)
    parsed = bad_request("bad_parameter", "an entry's address ends with its sequence number");
  if (auto* why = std::get_if<problem>(&parsed)) {
    co_await c->refuse(ex, *why, ex.param("key"));
    co_return;
  }
  auto& of = std::get<key>(parsed);
  auto ask = [&](auto done) {
    c->actors.read_entry(of, ex.param("stream"), static_cast<std::uint64_t>(*seq), by.who.user,
                         std::move(done));
  };
  auto page = co_await called_back<page_answer>(ask);
  auto* why = std::get_if<problem>(&*page);
  if (why || std::get<page_ptr>(*page)->entries.empty()) {
    auto refused = why ? *why : not_found("there is no entry " + ex.param("seq") + " in this stream");
    co_await c->refuse(ex, refused, of.str());
    co_return;
  }
  const auto& one = std::get<page_ptr>(*page)->entries.front();
  auto answer = wire::response::json(
      200, "{\"seq\":" + std::to_string(one.seq) + ",\"time\":" + std::to_string(to_ms(one.time)) +
               ",\"turn\":" + std::to_string(one.turn) + ",\"data\":" + *one.data + "}");
  answer.headers.add("Cache-Control", "no-store");
  co_await c->reply(ex, std::move(answer));
}

}  // namespace

void add_stream_routes(wire::router& r, const std::shared_ptr<context>& c) {
  auto people = [&](asio::awaitable<void> (*f)(std::shared_ptr<context>, wire::exchange&, const caller&)) {
    return c->for_people(
        [c = c.get(), f](wire::exchange& ex, const caller& by) { return f(c->shared_from_this(), ex, by); });
  };
  r.on("GET", "/v1/actors/{key...}/streams/{stream}", people(stream));
  r.on("GET", "/v1/actors/{key...}/streams/{stream}/{seq}", people(entry));
}

}  // namespace troupe::gateway
