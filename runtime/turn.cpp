#include "runtime/turn.h"

#include "runtime/turn_state.h"

namespace troupe {
namespace {

constexpr std::size_t max_entry_bytes = 16u << 20;
constexpr std::chrono::milliseconds default_effect_deadline = std::chrono::minutes(10);

const kind& kind_of(const turn_state& s) {
  return s.owner.known().declared();
}

}  // namespace

stream_range view::stream(std::string_view name) const {
  stream_range range;
  db_.each(
      "SELECT first, last FROM rt_streams WHERE name = ?",
      [&](const storage::row& r) {
        range = {static_cast<std::uint64_t>(r.get<std::int64_t>(0)),
                 static_cast<std::uint64_t>(r.get<std::int64_t>(1))};
      },
      name);
  return range;
}

turn::turn(turn_state& s) : view(s.owner.self(), s.db, s.now), state_(s) {}

std::uint64_t turn::number() const {
  return state_.number;
}
const sender& turn::from() const {
  return state_.from;
}
const std::string& turn::principal() const {
  return state_.principal;
}
const std::string& turn::command_id() const {
  return state_.command_id;
}
std::string turn::new_id() {
  return state_.owner.ids().next(now_);
}

void turn_state::back_to(const mark& m) {
  sent.resize(m.sent);
  effects.resize(m.effects);
  cancelled.resize(m.cancelled);
  feeds.resize(m.feeds);
  unfollowed.resize(m.unfollowed);
  entries.resize(m.entries);
  sent_bytes = m.sent_bytes;
  timers_changed = m.timers_changed;
  retired = m.retired;
  for (auto it = undo.rbegin(); it != undo.rend(); ++it) *it->first = it->second;
  undo.clear();
}

void turn_state::post(message m) {
  owner.check_outbox(*this);
  auto& next = owner.last_number(m.to, m.in);
  undo.emplace_back(&next, next);
  m.number = ++next;
  const auto body = m.body.dump();
  const auto context = m.context.is_null() ? std::string() : m.context.dump();
  m.bytes = body.size() + context.size() + m.name.size() + 128;
  db.run(
      "INSERT INTO rt_peers VALUES (?, ?, ?) ON CONFLICT (target, lane) DO UPDATE SET number = "
      "excluded.number",
      m.to.str(), static_cast<int>(m.in), static_cast<std::int64_t>(m.number));
  db.run("INSERT INTO rt_outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", m.to.str(), static_cast<int>(m.in),
         static_cast<std::int64_t>(m.number), m.to_incarnation, (m.creates ? 1 : 0) | (m.is_reply ? 2 : 0),
         m.principal, m.name, body, m.reply, context, to_ms(now));
  sent_bytes += m.bytes;
  sent.push_back(std::make_shared<const message>(std::move(m)));
}

namespace {

message addressed(turn_state& s, const key& to, std::string_view name, json body) {
  message m{.from = s.owner.self(), .from_incarnation = s.owner.incarnation(), .to = to};
  m.in = s.owner.lane_at(to, name);
  m.principal = s.principal;
  m.name = name;
  m.body = std::move(body);
  return m;
}

}  // namespace

void turn::send(const key& to, std::string_view name, json body) {
  state_.post(addressed(state_, to, name, std::move(body)));
}

void turn::create(const key& child, std::string_view name, json body) {
  auto m = addressed(state_, child, name, std::move(body));
  m.creates = true;
  state_.post(std::move(m));
}

void turn::ask(const key& to, std::string_view name, json body, std::string_view reply, json context) {
  auto m = addressed(state_, to, name, std::move(body));
  m.reply = reply;
  m.context = std::move(context);
  state_.post(std::move(m));
}

std::string turn::start(const effect_request& r) {
  effect_row row;
  row.id = new_id();
  auto& count = state_.owner.effect_count();
  state_.undo.emplace_back(&count, count);
  row.number = ++count;
  row.kind = r.kind;
  row.resource = r.resource;
  row.then = r.then;
  row.principal = state_.principal;
  row.body = r.body;
  row.context = r.context;
  const auto limit =
      r.deadline.count() ? r.deadline : state_.owner.default_deadline(r.kind, default_effect_deadline);
  row.deadline = to_ms(now_ + limit);
  db_.run("INSERT INTO rt_effects VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)", row.id,
          static_cast<std::int64_t>(row.number), row.kind, row.resource, row.body.dump(), row.then,
          row.context.dump(), row.principal, row.deadline, now_ms());
  state_.effects.push_back(row);
  return row.id;
}

void turn::cancel(std::string_view effect) {
  // A deadline of 0 is how a cancel survives a restart.
  run("UPDATE rt_effects SET deadline = 0 WHERE id = ?", effect);
  if (changes() > 0) state_.cancelled.emplace_back(effect);
}

std::string turn::follow(const feed_request& r) {
  feed_row row;
  row.id = new_id();
  row.kind = r.kind;
  row.on_batch = r.on_batch;
  row.on_end = r.on_end;
  row.principal = state_.principal;
  row.body = r.body;
  row.context = r.context;
  db_.run("INSERT INTO rt_feeds VALUES (?, ?, ?, ?, ?, ?, ?, '', ?)", row.id, row.kind, row.body.dump(),
          row.on_batch, row.on_end, row.context.dump(), row.principal, now_ms());
  state_.feeds.push_back(row);
  return row.id;
}

void turn::unfollow(std::string_view feed) {
  run("DELETE FROM rt_feeds WHERE id = ?", feed);
  if (changes() > 0) state_.unfollowed.emplace_back(feed);
}

void turn::set_timer(std::string_view name, timestamp due, std::string_view command, json body) {
  run("INSERT INTO rt_timers VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET due = excluded.due, "
      "command = excluded.command, body = excluded.body, principal = excluded.principal",
      name, to_ms(due), command, body.dump(), state_.principal);
  state_.timers_changed = true;
}

void turn::clear_timer(std::string_view name) {
  run("DELETE FROM rt_timers WHERE name = ?", name);
  if (changes() > 0) state_.timers_changed = true;
}

std::uint64_t turn::append(std::string_view stream, const json& entry) {
  const auto* row = state_.owner.known().stream(stream);
  if (!row)
    throw std::logic_error("kind " + std::string(kind_of(state_).name) + " has no stream " +
                           std::string(stream));
  auto& last = state_.owner.last_entry(stream);
  state_.undo.emplace_back(&last, last);
  ++last;
  auto text = entry.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > max_entry_bytes) {
    text = json{{"cut", true}, {"size", text.size()}, {"begin", text.substr(0, 4096)}}.dump(
        -1, ' ', false, json::error_handler_t::replace);
  }
  const auto seq = static_cast<std::int64_t>(last);
  db_.run("INSERT INTO rt_entries VALUES (?, ?, ?, ?, ?)", stream, seq,
          static_cast<std::int64_t>(state_.number), now_ms(), text);
  db_.run("INSERT INTO rt_streams VALUES (?, 1, ?) ON CONFLICT (name) DO UPDATE SET last = excluded.last",
          stream, seq);
  if (row->keep > 0 && last > row->keep && last % 64 == 0) {
    const auto first = static_cast<std::int64_t>(last - row->keep + 1);
    run("DELETE FROM rt_entries WHERE stream = ? AND seq < ?", stream, first);
    run("UPDATE rt_streams SET first = ? WHERE name = ?", first, stream);
  }
  state_.entries.emplace_back(
      std::string(stream),
      stream_entry{last, state_.number, now_, std::make_shared<const std::string>(std::move(text))});
  return last;
}

void turn::retire() {
  run("UPDATE rt_meta SET retired = 1");
  state_.retired = true;
}

}  // namespace troupe
