#include "net/gateway/ws_connection.h"

#include "net/gateway/answers.h"
#include "net/gateway/callback.h"
#include "net/wire/text.h"

namespace troupe::gateway {

namespace {

constexpr std::size_t max_id_bytes = 128;
constexpr std::string_view events_name = "$host#events";

// A member that is a string; nothing when it is absent or something else.
std::optional<std::string> text_of(const json& message, const char* name) {
  auto found = message.find(name);
  if (found == message.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<std::uint64_t> number_of(const json& message, const char* name) {
  auto found = message.find(name);
  if (found == message.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

bool valid_id(const std::string& id) {
  if (id.empty() || id.size() > max_id_bytes) return false;
  for (char c : id)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  return true;
}

// {"incarnation","revision"}, or the revision beside an "incarnation".
std::optional<revision_id> have_of(const json& message) {
  auto found = message.find("have");
  if (found == message.end()) return std::nullopt;
  const auto& from = found->is_object() ? *found : message;
  auto incarnation = text_of(from, "incarnation");
  auto revision = found->is_object() ? number_of(from, "revision") : number_of(message, "have");
  if (!incarnation || !revision) return std::nullopt;
  return revision_id{*incarnation, *revision};
}

problem invalid_message(std::string detail) {
  return bad_request("invalid_message", std::move(detail));
}

json hello(const context& c, const principal& who) {
  auto roles = json::object();
  for (const auto& [org, role] : who.roles) roles[org] = role;
  json p{{"user", who.user}, {"roles", std::move(roles)}};
  if (who.admin) p["admin"] = true;
  return {{"op", "hello"},
          {"protocol", ws_protocol},
          {"server", {{"name", "troupe"}, {"version", c.options.version}}},
          {"principal", std::move(p)}};
}

}  // namespace

ws_connection::ws_connection(std::shared_ptr<context> c, caller by, wire::websocket socket)
    : context_(std::move(c)),
      by_(std::move(by)),
      socket_(std::move(socket)),
      id_(context_->next_connection_id()),
      group_(context_->group_of(socket_.get_executor())),
      room_(socket_.get_executor()) {}

asio::awaitable<void> ws_connection::run() {
  auto self = shared_from_this();
  queue(encode(hello(*context_, by_.who)));
  while (auto message = co_await socket_.read()) {
    context_->counted.frame_received();
    if (!still_welcome()) break;
    if (!message->text) {
      co_await socket_.close(wire::close_unsupported, "messages are text");
      break;
    }
    co_await take(message->data);
    while (replies_.size() >= context_->options.limits.waiting_replies && socket_.open())
      co_await room_.wait();
  }
  over_ = true;
  topics_.clear();
}

void ws_connection::flush() {
  woken_ = false;
  while (!over_ && !untaken_) {
    auto frame = next_frame();
    if (!frame) return;
    const bool deflate = frame->size() >= compressed_from && socket_.deflates();
    if (deflate) frame = context_->frames.deflated(frame);
    context_->counted.frame_sent(frame->size());
    if (!(deflate ? socket_.send_deflated(frame) : socket_.send(frame))) return;
    if (socket_.queued_messages() == 0) continue;
    untaken_ = true;
    asio::co_spawn(
        socket_.get_executor(), [self = shared_from_this()] { return self->go_on_when_taken(); },
        asio::detached);
  }
}

asio::awaitable<void> ws_connection::go_on_when_taken() {
  auto self = shared_from_this();
  const bool taken = co_await socket_.drained();
  untaken_ = false;
  if (taken) flush();
  room_.raise();
}

wire::shared_bytes ws_connection::next_frame() {
  if (!replies_.empty()) {
    auto text = std::make_shared<const std::string>(std::move(replies_.front()));
    replies_.pop_front();
    room_.raise();
    return text;
  }
  for (;;) {
    std::shared_ptr<topic> t;
    {
      std::lock_guard lock(dirty_mutex_);
      while (!t && !(dirty_streams_.empty() && dirty_snapshots_.empty())) {
        bool stream = !dirty_streams_.empty() && (streams_turn_ || dirty_snapshots_.empty());
        auto& list = stream ? dirty_streams_ : dirty_snapshots_;
        t = list.front().lock();
        list.pop_front();
      }
    }
    if (!t) return {};
    t->listed = false;
    auto current = topics_.find(t->name);
    if (!t->ready || current == topics_.end() || current->second.to != t) continue;
    auto frame = t->next();
    if (t->ended()) {
      drop_topic(t->name);
    } else if (frame) {
      mark(t);
    }
    if (!frame) continue;
    // At the live end a turn's entries go before its snapshot; a long way behind, each waits for the other's
    // one frame.
    auto* stream = dynamic_cast<stream_topic*>(t.get());
    streams_turn_ = !(stream && stream->behind());
    return frame;
  }
}

void ws_connection::wake() {
  if (!woken_.exchange(true)) group_->add(shared_from_this());
}

void ws_connection::mark(const std::weak_ptr<topic>& weak) {
  auto t = weak.lock();
  if (!t || t->listed.exchange(true)) return;
  {
    std::lock_guard lock(dirty_mutex_);
    (t->is_stream() ? dirty_streams_ : dirty_snapshots_).push_back(t);
  }
  wake();
}

asio::awaitable<void> ws_connection::take(const std::string& text) {
  auto parsed = parse_json(text);
  auto* message = std::get_if<json>(&parsed);
  if (!message || !message->is_object()) {
    auto why = message ? std::string("a message is a JSON object") : std::get<problem>(parsed).detail;
    co_await socket_.close(wire::close_protocol_error, why);
    co_return;
  }
  auto id = text_of(*message, "id").value_or("");
  if (!valid_id(id)) {
    answer_problem("", invalid_message("a message needs an id: a string of 1 to 128 printable characters"),
                   {});
    co_return;
  }
  auto op = text_of(*message, "op").value_or("");
  if (op == "subscribe") {
    subscribe(*message, id);
  } else if (op == "unsubscribe") {
    unsubscribe(*message, id);
  } else if (op == "command") {
    command(*message, id);
  } else if (op == "query") {
    query(*message, id);
  } else if (op == "ping") {
    // For clients in browsers, which see neither our pings nor the answers to theirs.
    answer_ok(id);
  } else {
    answer_problem(id, invalid_message("op must be subscribe, unsubscribe, command, query or ping"), {});
  }
}

void ws_connection::subscribe(const json& message, const std::string& id) {
  auto name = text_of(message, "topic");
  if (!name) return answer_problem(id, invalid_message("a subscribe needs a topic"), {});
  auto mode = text_of(message, "mode").value_or("snapshot");
  if (mode != "snapshot" && mode != "patch")
    return answer_problem(id, invalid_message("mode must be snapshot or patch"), *name);
  if (!topics_.contains(*name) && topics_.size() >= context_->options.limits.subscriptions) {
    auto limit = std::to_string(context_->options.limits.subscriptions);
    return answer_problem(
        id, too_many("too_many_subscriptions", "a connection has at most " + limit + " subscriptions"),
        *name);
  }
  if (*name == events_name) {
    auto t = std::make_shared<events_topic>(*name, text_of(message, "prefix").value_or(""));
    if (auto why = watch_events(t)) return answer_problem(id, *why, *name);
    answer_ok(id);
    t->ready = true;
    return mark(t);
  }
  auto hash = name->find('#');
  auto parsed = key_of(std::string_view(*name).substr(0, hash));
  if (auto* why = std::get_if<problem>(&parsed)) return answer_problem(id, *why, *name);
  auto& of = std::get<key>(parsed);
  if (hash == std::string::npos) {
    auto have = have_of(message);
    auto t = std::make_shared<snapshot_topic>(*name, of, mode == "patch", *context_);
    t->sent = have;
    return begin_subscription(std::move(t), have, id, false);
  }
  auto after = message.contains("after") ? number_of(message, "after") : std::uint64_t{0};
  if (!after) return answer_problem(id, invalid_message("after must be a sequence number"), *name);
  begin_subscription(
      std::make_shared<stream_topic>(*name, of, name->substr(hash + 1), *after, by_.who.user, context_),
      std::nullopt, id, false);
}

void ws_connection::add_topic(const std::shared_ptr<topic>& t) {
  t->dirty = [self = weak_from_this(), weak = std::weak_ptr(t)] {
    if (auto one = self.lock()) one->mark(weak);
  };
  topics_[t->name] = {t};
}

void ws_connection::drop_topic(const std::string& name) {
  topics_.erase(name);
}

void ws_connection::begin_subscription(std::shared_ptr<topic> t, std::optional<revision_id> have,
                                       std::string id, bool again) {
  add_topic(t);
  asio::co_spawn(
      socket_.get_executor(),
      [self = shared_from_this(), t, have, id, again] { return self->subscribing(t, have, id, again); },
      asio::detached);
}

// `again`: the standing of the reader has changed; nobody waits for a reply, but a refusal ends the topic.
asio::awaitable<void> ws_connection::subscribing(std::shared_ptr<topic> t, std::optional<revision_id> have,
                                                 std::string id, bool again) {
  auto user = by_.who.user;
  subscription held;
  auto ask = [&](auto done) {
    auto told = [done](std::optional<problem> why) { done(std::move(why)); };
    if (auto s = std::dynamic_pointer_cast<snapshot_topic>(t)) {
      held = context_->actors.subscribe(s->of, have, user, s, told);
    } else if (auto e = std::dynamic_pointer_cast<stream_topic>(t)) {
      held = context_->actors.subscribe_stream(e->of, e->stream, user, e, told);
    }
  };
  auto s = std::dynamic_pointer_cast<snapshot_topic>(t);
  auto e = std::dynamic_pointer_cast<stream_topic>(t);
  auto of = s ? s->of : e->of;
  auto why = co_await called_back<std::optional<problem>>(ask);
  if (*why && (*why)->status == 404 && !again && co_await context_->brought_about(of, by_))
    why = co_await called_back<std::optional<problem>>(ask);
  while (std::exchange(t->ask_again, false)) why = co_await called_back<std::optional<problem>>(ask);
  auto current = topics_.find(t->name);
  bool replaced = current == topics_.end() || current->second.to != t;
  if (*why) {
    if (!replaced) drop_topic(t->name);
    if (!again) {
      answer_problem(id, **why, t->name);
    } else if (!replaced) {
      queue("{\"op\":\"gone\",\"topic\":" + wire::json_quote(t->name) + ",\"reason\":\"hidden\"}");
    }
    co_return;
  }
  if (!again) answer_ok(id);
  if (replaced) co_return;
  current->second.held = std::move(held);
  t->ready = true;
  mark(t);
}

std::optional<problem> ws_connection::watch_events(const std::shared_ptr<events_topic>& t) {
  const auto& who = by_.who;
  if (!who.admin && !who.everything) {
    auto below = key::parse(t->prefix);
    auto org = below ? below->id_of("org") : std::string_view();
    if (org.empty() || !who.may(org, "admin"))
      return forbidden(
          "events need an administrator of the instance, or of the organization that the prefix names");
  }
  add_topic(t);
  topics_[t->name].held =
      context_->actors.watch_turns(t->prefix, [weak = std::weak_ptr(t)](const turn_event& e) {
        if (auto one = weak.lock()) one->take(e);
      });
  return std::nullopt;
}

void ws_connection::unsubscribe(const json& message, const std::string& id) {
  auto name = text_of(message, "topic").value_or("");
  if (!topics_.contains(name))
    return answer_problem(id, not_found("there is no subscription to this topic"), name);
  drop_topic(name);
  answer_ok(id);
}

void ws_connection::answer_to(question ask, key to, std::string id) {
  ++in_flight_;
  ask([self = shared_from_this(), ask, to, id](reply r) {
    asio::post(self->socket_.get_executor(), [self, ask, to, id, r = std::move(r)]() mutable {
      if (!r.ok() && r.error().status == 404) {
        asio::co_spawn(
            self->socket_.get_executor(), [self, ask, to, id, r] { return self->ask_of_new(ask, to, id, r); },
            asio::detached);
        return;
      }
      --self->in_flight_;
      self->answer(id, r, to.str());
    });
  });
}

// Of an actor that is not there, though it may come to be because it is asked.
asio::awaitable<void> ws_connection::ask_of_new(question ask, key to, std::string id, reply missing) {
  auto self = shared_from_this();
  std::optional<reply> r(std::move(missing));
  if (co_await context_->brought_about(to, by_)) r = co_await called_back<reply>(ask);
  --in_flight_;
  answer(id, *r, to.str());
}

namespace {

struct addressed {
  key to;
  std::string name;
  json body;
  std::chrono::milliseconds timeout;
};

std::variant<addressed, problem> read_message(const json& message, const gateway_limits& limits) {
  auto to = text_of(message, "to");
  auto name = text_of(message, "name");
  if (!to || !name) return invalid_message("a command or query needs `to`, a key, and `name`");
  auto parsed = key_of(*to);
  if (auto* why = std::get_if<problem>(&parsed)) return *why;
  auto timeout = limits.default_timeout;
  if (message.contains("timeout_ms")) {
    auto given = number_of(message, "timeout_ms");
    if (!given || *given < 1 || *given > static_cast<std::uint64_t>(limits.max_timeout.count()))
      return invalid_message("timeout_ms must be from 1 to " + std::to_string(limits.max_timeout.count()));
    timeout = std::chrono::milliseconds(*given);
  }
  auto body = message.contains("body") ? message["body"] : json::object();
  return addressed{std::get<key>(parsed), std::move(*name), std::move(body), timeout};
}

problem too_many_in_flight(std::size_t limit) {
  return too_many("too_many_in_flight", "a connection has at most " + std::to_string(limit) +
                                            " commands and queries unanswered: wait for some of them");
}

}  // namespace

void ws_connection::command(const json& message, const std::string& id) {
  const auto& limits = context_->options.limits;
  auto to_shown = text_of(message, "to").value_or("");
  if (in_flight_ >= limits.commands_in_flight)
    return answer_problem(id, too_many_in_flight(limits.commands_in_flight), to_shown);
  auto read = read_message(message, limits);
  if (auto* why = std::get_if<problem>(&read)) return answer_problem(id, *why, to_shown);
  auto& what = std::get<addressed>(read);
  client_command cmd{what.to, id, what.name, std::move(what.body), by_.who.user, what.timeout, id_};
  answer_to([c = context_,
             cmd = std::move(cmd)](host::reply_handler done) { c->actors.command(cmd, std::move(done)); },
            what.to, id);
}

void ws_connection::query(const json& message, const std::string& id) {
  const auto& limits = context_->options.limits;
  auto to_shown = text_of(message, "to").value_or("");
  if (in_flight_ >= limits.commands_in_flight)
    return answer_problem(id, too_many_in_flight(limits.commands_in_flight), to_shown);
  auto read = read_message(message, limits);
  if (auto* why = std::get_if<problem>(&read)) return answer_problem(id, *why, to_shown);
  auto& what = std::get<addressed>(read);
  client_query q{what.to, what.name, std::move(what.body), by_.who.user, what.timeout};
  answer_to(
      [c = context_, q = std::move(q)](host::reply_handler done) { c->actors.query(q, std::move(done)); },
      what.to, id);
}

void ws_connection::answer(const std::string& id, const reply& r, std::string_view instance) {
  if (!r.ok()) return answer_problem(id, r.error(), instance);
  queue("{\"op\":\"reply\",\"id\":" + wire::json_quote(id) +
        ",\"ok\":true,\"turn\":" + std::to_string(r.turn) + ",\"revision\":" + std::to_string(r.at.revision) +
        ",\"incarnation\":" + wire::json_quote(r.at.incarnation) + ",\"result\":" + encode(r.result()) + "}");
}

void ws_connection::answer_ok(const std::string& id) {
  queue("{\"op\":\"reply\",\"id\":" + wire::json_quote(id) + ",\"ok\":true,\"result\":{}}");
}

void ws_connection::answer_problem(const std::string& id, const problem& why, std::string_view instance) {
  queue("{\"op\":\"reply\",\"id\":" + (id.empty() ? std::string("null") : wire::json_quote(id)) +
        ",\"ok\":false,\"error\":" + encode(shown(why, instance)) + "}");
}

void ws_connection::queue(std::string text) {
  replies_.push_back(std::move(text));
  flush();
}

bool ws_connection::still_welcome() {
  auto now = context_->people.again(by_.handle);
  if (!now) {
    close_as_revoked();
    return false;
  }
  if (*now != by_.who) {
    by_.who = std::move(*now);
    standing_changed();
  }
  return true;
}

void ws_connection::recheck() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (!self->over_ && self->socket_.open()) self->still_welcome();
  });
}

// Every subscription is asked for again: the host says what is still allowed. One that waits for its first
// answer keeps its place, as a reader in its stead would send frames before the reply.
void ws_connection::standing_changed() {
  std::vector<std::shared_ptr<topic>> all;
  for (const auto& [name, one] : topics_) all.push_back(one.to);
  for (const auto& t : all) {
    const auto& name = t->name;
    if (!t->ready) {
      t->ask_again = true;
      continue;
    }
    if (auto s = std::dynamic_pointer_cast<snapshot_topic>(t)) {
      auto again = std::make_shared<snapshot_topic>(name, s->of, s->patches, *context_);
      again->sent = s->sent;
      again->base = s->base;
      begin_subscription(again, s->sent, {}, true);
    } else if (auto e = std::dynamic_pointer_cast<stream_topic>(t)) {
      begin_subscription(
          std::make_shared<stream_topic>(name, e->of, e->stream, e->cursor(), by_.who.user, context_),
          std::nullopt, {}, true);
    } else if (auto h = std::dynamic_pointer_cast<events_topic>(t)) {
      drop_topic(name);
      auto fresh = std::make_shared<events_topic>(name, h->prefix);
      if (watch_events(fresh)) {
        queue("{\"op\":\"gone\",\"topic\":" + wire::json_quote(name) + ",\"reason\":\"hidden\"}");
      } else {
        fresh->ready = true;
      }
    }
  }
}

void ws_connection::close_as_revoked() {
  // Nothing of what waits goes out any more.
  topics_.clear();
  replies_.clear();
  asio::co_spawn(
      socket_.get_executor(),
      [self = shared_from_this()]() -> asio::awaitable<void> {
        co_await self->socket_.close(close_revoked, "the token or session was revoked");
      },
      asio::detached);
  asio::co_spawn(
      socket_.get_executor(),
      [self = shared_from_this()]() -> asio::awaitable<void> {
        co_await wire::sleep_for(revoked_cut_after);
        self->socket_.cut();
      },
      asio::detached);
}

namespace {

asio::awaitable<void> accept(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto seat = c->take_seat(by.who.user);
  if (!seat) {
    auto why =
        too_many("too_many_connections", "this principal has too many open connections: close one first");
    co_await c->refuse(ex, why, ex.request().path);
    co_return;
  }
  auto offered = ex.request().headers.find("Sec-WebSocket-Protocol");
  if (ex.upgrade_requested() && offered &&
      !ex.request().headers.has_token("Sec-WebSocket-Protocol", ws_protocol)) {
    auto why = bad_request("subprotocol", std::string("this server speaks the subprotocol ") + ws_protocol);
    co_await c->refuse(ex, why, ex.request().path);
    co_return;
  }
  const auto& limits = c->options.limits;
  wire::websocket_options options;
  options.subprotocols = {ws_protocol};
  options.message_limit = limits.frame_bytes;
  options.ping_every = limits.ping_every;
  options.silent_limit = limits.silent_limit;
  options.write_limit = limits.write_limit;
  options.deflate = true;
  auto socket = co_await ex.upgrade(options);
  if (!socket) co_return;
  c->counted.websocket_opened();
  auto connection = std::make_shared<ws_connection>(c, by, std::move(*socket));
  c->join(connection);
  co_await connection->run();
  c->counted.websocket_closed();
}

}  // namespace

void add_websocket_route(wire::router& r, const std::shared_ptr<context>& c) {
  r.on("GET", "/v1/ws", c->for_people([c = c.get()](wire::exchange& ex, const caller& by) {
    return accept(c->shared_from_this(), ex, by);
  }));
}

}  // namespace troupe::gateway
