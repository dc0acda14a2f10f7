// What each kind of command does inside a turn: looked up if it came before, checked, handled, recorded.
#include <algorithm>

#include <sodium.h>

#include "runtime/cell.h"
#include "runtime/cell_parts.h"

namespace troupe {

namespace {

constexpr std::int64_t dead_kept = 1000;

std::string fingerprint(std::string_view name, std::string_view body) {
  std::string hash(16, '\0');
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, hash.size());
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(name.data()), name.size());
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>("\0"), 1);
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(body.data()), body.size());
  crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(hash.data()), hash.size());
  return hash;
}

json outcome_body(const answer& a, const json& context) {
  json body{{"ok", a.ok()}, {"context", context}};
  if (a.ok())
    body["result"] = a.result();
  else
    body["error"] = a.problem();
  return body;
}

}  // namespace

void cell::apply(turn_state& state, turn_output& out, client_item& item) {
  auto& c = item.command;
  const auto answer_now = [&](problem why) {
    out.replies.push_back({item.answer, reply{std::move(why), turn_, at_}, {}, {}});
  };
  if (retired_ || state.retired) return answer_now(not_found(self_.str() + " was deleted"));
  if (host_.time.steady() > item.deadline) {
    return answer_now(
        {504, "timed_out",
         c.name + " waited longer than its timeout at " + self_.str() + " and was not applied"});
  }
  if (!item.from_host) {
    if (auto why = host_.check(c.principal, self_, item.known->row->sender.role()))
      return answer_now(std::move(*why));
  }
  const auto body = c.body.dump();
  const auto hash = fingerprint(c.name, body);
  const std::string sender = item.from_host ? "host" : c.principal;
  bool known = false;
  db_->each(
      "SELECT hash, ok, result, turn FROM rt_inbox WHERE sender = ? AND id = ? AND hash IS NOT NULL",
      [&](const storage::row& r) {
        known = true;
        if (storage::as_text(r.get<storage::blob_view>(0)) != hash) {
          return answer_now(unprocessable("id_reused", "the command id " + c.id +
                                                           " was used for another command or body; "
                                                           "make a new id for each intention"));
        }
        const auto recorded = json::parse(r.get<std::string_view>(2));
        reply again;
        if (r.get<bool>(1))
          again.is = recorded;
        else
          again.is = recorded.get<problem>();
        again.turn = static_cast<std::uint64_t>(r.get<std::int64_t>(3));
        again.at = at_;
        out.replies.push_back({item.answer, std::move(again), {}, {}});
      },
      sender, c.id);
  if (known) return;
  state.from = {item.from_host ? sender::type::host : sender::type::client, {}};
  const bool secrets = item.known->body && item.known->body->has_secrets();
  const auto shown = secrets ? item.known->body->redact(c.body).dump() : std::string();
  try {
    const auto a = handle(state, out, *item.known->row, c.body,
                          {item.from_host ? 5 : 0, sender, c.principal, c.id, secrets ? shown : body, &hash});
    reply r;
    if (a.ok())
      r.is = a.result();
    else
      r.is = a.problem();
    r.turn = state.number;
    r.at = {at_.incarnation, state.own_written ? state.number : at_.revision};
    out.replies.push_back({item.answer, std::move(r), sender, c.id});
  } catch (const backpressure&) {
    answer_now(too_many("backpressure",
                        self_.str() + " has too many messages waiting for other actors; try again later", 1));
  }
}

settlement& cell::settlement_for(turn_output& out, const message& m) {
  for (auto& [to, s] : out.settled_for) {
    if (to == m.from && s.in == m.in && s.sender_incarnation == m.from_incarnation) return s;
  }
  out.settled_for.emplace_back(m.from, settlement{self_, m.in, m.from_incarnation, 0, {}, false});
  return out.settled_for.back().second;
}

void cell::apply(turn_state& state, turn_output& out, message_item& item) {
  const auto& m = *item.is;
  const std::pair at{m.from.str(), m.in};
  auto mark = marks_.find(at);
  if (mark == marks_.end()) {
    mark = marks_.emplace(at, inbound{}).first;
    db_->each(
        "SELECT incarnation, number FROM rt_marks WHERE sender = ? AND lane = ?",
        [&](const storage::row& r) {
          mark->second = {r.get<std::string>(0), static_cast<std::uint64_t>(r.get<std::int64_t>(1))};
        },
        m.from.str(), static_cast<int>(m.in));
  }
  auto& s = settlement_for(out, m);
  const auto last = mark->second.incarnation == m.from_incarnation ? mark->second.number : 0;
  if (m.number <= last) {
    s.upto = std::max(s.upto, last);
    db_->each(
        "SELECT number, error FROM rt_rejections WHERE sender = ? AND lane = ? AND number = ?",
        [&](const storage::row& r) {
          s.rejected.push_back({m.number, json::parse(r.get<std::string_view>(1)).get<problem>()});
        },
        m.from.str(), static_cast<int>(m.in), static_cast<std::int64_t>(m.number));
    return;
  }
  if (m.number != last + 1 && m.number != item.base) {
    // One before it was not taken: the sender starts again from there.
    s.upto = std::max(s.upto, last);
    s.refused = true;
    return;
  }
  if (m.name == farewell) {
    db_->run("DELETE FROM rt_marks WHERE sender = ? AND lane = ?", m.from.str(), static_cast<int>(m.in));
    db_->run("DELETE FROM rt_rejections WHERE sender = ? AND lane = ?", m.from.str(), static_cast<int>(m.in));
    marks_.erase(mark);
    state.written = true;
    s.upto = m.number;
    return;
  }
  const auto* known = known_.command(m.name);
  const auto refusal = [&]() -> std::optional<problem> {
    if (retired_ || state.retired || (!m.to_incarnation.empty() && m.to_incarnation != at_.incarnation)) {
      return problem{410, "gone", self_.str() + " is another one than the message was for"};
    }
    if (!known)
      return problem{404, "unknown_command",
                     known_.declared().name.data() + std::string(" takes no command ") + m.name};
    const auto& from = known->row->sender;
    if (m.is_reply ? !from.allows_reply() : !from.allows_actor(m.from, self_)) {
      return problem{403, "not_allowed", m.from.str() + " may not send " + m.name + " to " + self_.str()};
    }
    if (known->body && !m.is_reply) {
      if (const auto violations = known->body->check(m.body); !violations.empty())
        return invalid_body(violations);
    }
    return std::nullopt;
  }();
  const auto id = std::to_string(m.number);
  const auto text =
      text_of(known && known->body && known->body->has_secrets() ? known->body->redact(m.body) : m.body);
  const origin from{1, m.from.str(), m.principal, id, text, nullptr};
  state.from = {m.from == self_ ? sender::type::self : sender::type::actor, m.from.str()};
  answer a = done();
  if (refusal) {
    a = *refusal;
    state.principal = m.principal;
    write_record(state, out, m.name, from, a, std::chrono::microseconds(0), recorder_->mark());
  } else {
    try {
      a = handle(state, out, *known->row, m.body, from);
    } catch (const backpressure&) {
      s.upto = std::max(s.upto, last);
      s.refused = true;
      return;
    }
  }
  db_->run(
      "INSERT INTO rt_marks VALUES (?, ?, ?, ?) ON CONFLICT (sender, lane) DO UPDATE SET "
      "incarnation = excluded.incarnation, number = excluded.number",
      m.from.str(), static_cast<int>(m.in), m.from_incarnation, static_cast<std::int64_t>(m.number));
  mark->second = {m.from_incarnation, m.number};
  s.upto = m.number;
  const bool gone = !a.ok() && a.problem().code == "gone" && a.problem().status == 410;
  if (!m.reply.empty()) {
    answer_sender(state, m, a);
  } else if (!a.ok() && !(m.is_reply && gone)) {
    db_->run("INSERT OR REPLACE INTO rt_rejections VALUES (?, ?, ?, ?)", m.from.str(), static_cast<int>(m.in),
             static_cast<std::int64_t>(m.number), text_of(json(a.problem())));
    s.rejected.push_back({m.number, a.problem()});
  }
  // What the sender knows settled will not be asked for again.
  if (item.base > 1) {
    db_->run("DELETE FROM rt_rejections WHERE sender = ? AND lane = ? AND number < ?", m.from.str(),
             static_cast<int>(m.in), static_cast<std::int64_t>(item.base));
  }
}

void cell::answer_sender(turn_state& state, const message& m, const answer& a) {
  message r{
      .from = self_, .from_incarnation = at_.incarnation, .to = m.from, .to_incarnation = m.from_incarnation};
  r.in = lane_at(m.from, m.reply);
  r.is_reply = true;
  r.principal = m.principal;
  r.name = m.reply;
  r.body = outcome_body(a, m.context);
  state.post(std::move(r));
}

void cell::apply(turn_state& state, turn_output& out, outcome_item& item) {
  const auto* row = work_->find(item.effect);
  // A closed effect or an old attempt: the world was late.
  if (!row || row->attempt != item.attempt) return;
  db_->run("DELETE FROM rt_effects WHERE id = ?", item.effect);
  if (db_->changes() == 0) return;
  state.written = true;
  out.ended_effects.push_back(item.effect);
  if (!item.is.ok()) host_.count.effects_failed.fetch_add(1, std::memory_order_relaxed);
  auto body = outcome_body(item.is, row->context);
  body["effect"] = item.effect;
  const auto text = text_of(body);
  const origin from{2, row->kind, row->principal, item.effect, text, nullptr};
  const auto* known = known_.command(row->then);
  state.from = {sender::type::effect, {}};
  if (known && known->row->sender.allows_effect()) {
    handle(state, out, *known->row, body, from);
  } else {
    write_record(state, out, row->then, from,
                 problem{404, "unknown_command", "no row of this kind takes the outcome"},
                 std::chrono::microseconds(0), recorder_->mark());
  }
}

void cell::apply(turn_state& state, turn_output& out, batch_item& item) {
  const auto* row = work_->find_feed(item.feed);
  if (!row || !db_->one<std::int64_t>("SELECT 1 FROM rt_feeds WHERE id = ?", item.feed)) return;
  const auto* known = known_.command(row->on_batch);
  json body{
      {"feed", item.feed}, {"position", item.position}, {"entries", item.entries}, {"context", row->context}};
  const auto text =
      text_of(json{{"feed", item.feed}, {"position", item.position}, {"entries", item.entries.size()}});
  const origin from{3, row->kind, row->principal, item.position, text, nullptr};
  state.from = {sender::type::effect, {}};
  if (!known || !known->row->sender.allows_effect()) {
    return end_feed(
        state, out, *row,
        unprocessable("unknown_command", "no row of this kind takes batches as " + row->on_batch));
  }
  const auto a = handle(state, out, *known->row, body, from);
  if (!a.ok()) return end_feed(state, out, *row, a);
  db_->run("UPDATE rt_feeds SET position = ? WHERE id = ?", item.position, item.feed);
  out.advanced.emplace_back(item.feed, item.position);
  if (item.committed) out.then.push_back(item.committed);
}

void cell::apply(turn_state& state, turn_output& out, feed_end_item& item) {
  if (const auto* row = work_->find_feed(item.feed)) end_feed(state, out, *row, item.is);
}

void cell::end_feed(turn_state& state, turn_output& out, const feed_row& row, answer is) {
  db_->run("DELETE FROM rt_feeds WHERE id = ?", row.id);
  if (db_->changes() == 0) return;
  state.written = true;
  out.ended_feeds.push_back(row.id);
  auto body = outcome_body(is, row.context);
  body["feed"] = row.id;
  const auto text = text_of(body);
  const origin from{3, row.kind, row.principal, row.id, text, nullptr};
  state.from = {sender::type::effect, {}};
  const auto* known = known_.command(row.on_end);
  if (known && known->row->sender.allows_effect()) handle(state, out, *known->row, body, from);
}

void cell::apply(turn_state& state, turn_output& out, timer_item& item) {
  std::string command, text, principal;
  bool found = false;
  db_->each(
      "SELECT command, body, principal FROM rt_timers WHERE name = ? AND due = ?",
      [&](const storage::row& r) {
        command = r.get<std::string>(0);
        text = r.get<std::string>(1);
        principal = r.get<std::string>(2);
        found = true;
      },
      item.name, item.due);
  if (!found) return;
  db_->run("DELETE FROM rt_timers WHERE name = ? AND due = ?", item.name, item.due);
  state.written = state.timers_changed = true;
  const auto* known = known_.command(command);
  const origin from{4, item.name, principal, item.name, text, nullptr};
  state.from = {sender::type::self, {}};
  if (known && known->row->sender.allows_self()) {
    handle(state, out, *known->row, json::parse(text), from);
  } else {
    write_record(state, out, command, from,
                 problem{404, "unknown_command", "no row of this kind takes the timer"},
                 std::chrono::microseconds(0), recorder_->mark());
  }
  state.timers_changed = true;
}

void cell::apply(turn_state& state, turn_output& out, dead_item& item) {
  const auto& m = *item.is;
  db_->run("DELETE FROM rt_outbox WHERE target = ? AND lane = ? AND number = ?", m.to.str(),
           static_cast<int>(m.in), static_cast<std::int64_t>(m.number));
  // Dead already, in a turn whose commit was in doubt.
  if (db_->changes() == 0) return;
  state.written = true;
  if (m.name == farewell || (m.is_reply && m.reply.empty())) return;
  if (m.reply.empty()) {
    db_->run("INSERT INTO rt_dead (time, target, name, body, error, principal) VALUES (?, ?, ?, ?, ?, ?)",
             to_ms(state.now), m.to.str(), m.name, text_of(m.body), text_of(json(item.why)), m.principal);
    db_->run("DELETE FROM rt_dead WHERE id <= (SELECT max(id) FROM rt_dead) - ?", dead_kept);
    return;
  }
  const auto* known = known_.command(m.reply);
  if (!known || !known->row->sender.allows_reply()) return;
  const auto body = outcome_body(item.why, m.context);
  const auto text = text_of(body);
  state.from = {sender::type::actor, m.to.str()};
  handle(state, out, *known->row, body,
         {1, m.to.str(), m.principal, std::to_string(m.number), text, nullptr});
}

void cell::apply(turn_state& state, turn_output& out, dead_letter_item& item) {
  std::optional<message> m;
  db_->each(
      "SELECT target, name, body, principal FROM rt_dead WHERE id = ?",
      [&](const storage::row& r) {
        m = message{
            .from = self_, .from_incarnation = at_.incarnation, .to = key(r.get<std::string_view>(0))};
        m->name = r.get<std::string>(1);
        m->body = json::parse(r.get<std::string_view>(2));
        m->principal = r.get<std::string>(3);
      },
      item.id);
  const auto answer_now = [&](reply r) {
    r.turn = state.number;
    r.at = at_;
    out.replies.push_back({item.answer, std::move(r), {}, {}});
  };
  if (!m || retired_) {
    return answer_now(
        reply{not_found("there is no dead message " + std::to_string(item.id) + " at " + self_.str())});
  }
  db_->run("DELETE FROM rt_dead WHERE id = ?", item.id);
  const json told{{"id", item.id}, {"target", m->to.str()}, {"name", m->name}};
  const auto text = text_of(told), id = std::to_string(item.id);
  if (item.again) {
    m->in = lane_at(m->to, m->name);
    state.from = {sender::type::host, {}};
    state.post(std::move(*m));
  }
  write_record(state, out, item.again ? "$dead.retry" : "$dead.drop",
               {5, "host", item.principal, id, text, nullptr}, done(), std::chrono::microseconds(0),
               recorder_->mark());
  answer_now(reply{told});
}

}  // namespace troupe
