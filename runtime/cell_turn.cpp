// One turn: BEGIN, each command in a savepoint, COMMIT. What it lets out waits in a turn_output.
#include <algorithm>

#include "runtime/cell.h"
#include "runtime/cell_parts.h"

namespace troupe {

namespace {

constexpr std::size_t own_place = static_cast<std::size_t>(-1);
constexpr std::chrono::milliseconds slow_handler{100};
constexpr std::int64_t timers_per_turn = 16;
constexpr std::int64_t prune_at_most = 1024;

using storage::failure;

// After these SQLite may have rolled back the whole transaction, or the file cannot be trusted to hold the
// rest.
bool breaks_turn(failure f) {
  return f == failure::full || f == failure::io || f == failure::out_of_memory || f == failure::corrupt ||
         f == failure::busy || f == failure::missing || f == failure::cannot_open;
}

}  // namespace

void cell::collect(std::vector<command_item>& batch, std::vector<place>& places,
                   std::optional<read_item>& read) {
  for (auto& i : own_items_) {
    batch.push_back(std::move(i));
    places.emplace_back(lane::interactive, own_place);
  }
  own_items_.clear();
  const auto own = batch.size();
  if (next_due_ && *next_due_ <= to_ms(host_.time.now())) {
    db_->each(
        "SELECT name, due FROM rt_timers WHERE due <= ? ORDER BY due LIMIT ?",
        [&](const storage::row& r) {
          batch.push_back(timer_item{r.get<std::string>(0), r.get<std::int64_t>(1)});
          places.emplace_back(lane::interactive, own_place);
        },
        to_ms(host_.time.now()), timers_per_turn);
    if (batch.size() == own) next_due_ = db_->one<std::int64_t>("SELECT min(due) FROM rt_timers");
  }
  const auto& limits = host_.options.limits;
  if (batch.size() >= limits.turn_commands) return;
  for (auto& t : mailbox_.take(limits.turn_commands - batch.size(), limits.turn_bytes)) {
    if (auto* r = std::get_if<read_item>(&t.item)) {
      read = std::move(*r);
      continue;
    }
    std::visit(
        [&](auto&& item) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(item)>, read_item>)
            batch.push_back(std::move(item));
        },
        std::move(t.item));
    places.emplace_back(t.in, t.bytes);
  }
}

// Back where they came from, in their old order. Clients hear `why` instead, if there is one.
void cell::give_back(std::vector<command_item> batch, std::vector<place> places, const problem& why) {
  for (std::size_t n = batch.size(); n-- > 0;) {
    auto& item = batch[n];
    if (std::holds_alternative<timer_item>(item)) continue;
    if (auto* dead = std::get_if<dead_item>(&item)) {
      own_items_.push_front(std::move(*dead));
      continue;
    }
    if (auto* c = std::get_if<client_item>(&item); c && why.status != 0) {
      c->answer(reply{why});
      continue;
    }
    std::visit(
        [&](auto&& i) {
          using item_type = std::decay_t<decltype(i)>;
          if constexpr (std::is_constructible_v<mailbox_item, item_type&&>) {
            mailbox_.push_front(std::move(i), places[n].first, places[n].second);
          }
        },
        std::move(item));
  }
}

void cell::run_turn(std::vector<command_item> batch, std::vector<place> places, bool second_try) {
  const auto started = host_.time.steady();
  turn_output out;
  turn_state state(*this, *db_, host_.time.now(), turn_ + 1);
  std::size_t broken = batch.size();
  std::string why;
  try {
    if (db_->moved()) {
      give_back(std::move(batch), std::move(places), storage_problem(self_, "its file vanished"));
      return quarantine("the file " + db_->file().string() + " was moved or deleted while the actor ran");
    }
    recorder_->clear();
    db_->begin();
    if (!apply_all(state, out, batch, places, broken, why)) {
      db_->rollback();
      forget_counters();
      if (second_try || broken >= batch.size()) {
        give_back(std::move(batch), std::move(places), storage_problem(self_, why));
        return stall(why);
      }
      // Once more without the one that broke it: its neighbours are innocent.
      std::vector<command_item> offender;
      std::vector<place> its_place{places[broken]};
      offender.push_back(std::move(batch[broken]));
      batch.erase(batch.begin() + static_cast<std::ptrdiff_t>(broken));
      places.erase(places.begin() + static_cast<std::ptrdiff_t>(broken));
      if (!batch.empty()) run_turn(std::move(batch), std::move(places), true);
      if (std::holds_alternative<client_item>(offender[0])) {
        return give_back(std::move(offender), its_place, storage_problem(self_, why));
      }
      give_back(std::move(offender), its_place, problem{.status = 0, .code = {}, .detail = {}});
      return stall(why);
    }
    // After the dead ones, which look for their own rows.
    housekeeping(state);
    if (!state.written) {
      db_->rollback();
      out.turn = turn_;
      out.at = at_;
      if (state.settled) settled_rows_.clear();
      return hold(std::move(out));
    }
    if (state.retired) say_farewell(state);
    if (unpruned_ >= prune_every) prune(state);
    if (!recorder_->empty()) {
      db_->run("INSERT INTO rt_changes VALUES (?, ?)", static_cast<std::int64_t>(state.number),
               storage::as_blob(recorder_->sequence()));
    }
    const auto revision = state.own_written ? state.number : at_.revision;
    db_->run("UPDATE rt_meta SET turn = ?, revision = ?", static_cast<std::int64_t>(state.number),
             static_cast<std::int64_t>(revision));
    if (!awake_recorded_ && leaves_obligation(state)) {
      host_.dir.awake(self_);
      awake_recorded_ = true;
    }
  } catch (const std::exception& e) {
    db_->rollback();
    try {
      forget_counters();
    } catch (const storage::error&) {
      close_file();  // Nothing was committed: memory holds, and the counters are read when it opens again.
    }
    give_back(std::move(batch), std::move(places), storage_problem(self_, e.what()));
    const auto* error = dynamic_cast<const storage::error*>(&e);
    if (error && error->kind() == failure::corrupt) return quarantine(e.what());
    return stall(e.what());
  }

  out.turn = state.number;
  out.at = {at_.incarnation, state.own_written ? state.number : at_.revision};
  out.sent = std::move(state.sent);
  out.effects = std::move(state.effects);
  out.cancelled = std::move(state.cancelled);
  out.feeds = std::move(state.feeds);
  out.unfollowed = std::move(state.unfollowed);
  out.entries = std::move(state.entries);
  out.own_written = state.own_written;
  out.retired = state.retired;
  const auto before_commit = host_.time.steady();
  try {
    db_->commit();
  } catch (const std::exception& e) {
    host_.count.commits_failed.fetch_add(1, std::memory_order_relaxed);
    return commit_failed(std::move(out), std::move(batch), std::move(places), e.what());
  }
  const auto now = host_.time.steady();
  turn_ = out.turn;
  at_ = out.at;
  pause_ = {};
  if (state.settled) settled_rows_.clear();
  if (state.timers_changed) {
    try {
      next_due_ = db_->one<std::int64_t>("SELECT min(due) FROM rt_timers");
    } catch (const storage::error&) {
      next_due_ = 0;  // Looked up again in the next stretch; the turn is committed and its outputs go out.
    }
  }
  const auto us = [](auto d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count(); };
  host_.count.turns.fetch_add(1, std::memory_order_relaxed);
  host_.count.commit_latency.add(us(now - before_commit));
  host_.count.turn_latency.add(us(now - started));
  host_.count.batch_sizes.add(static_cast<std::int64_t>(batch.size()));
  if (!out.event.commands.empty()) {
    out.event.actor = self_.str();
    out.event.kind = known_.declared().name;
    out.event.turn = turn_;
    out.event.revision = at_.revision;
    out.event.time = state.now;
    out.event.duration_us = us(now - started);
  }
  hold(std::move(out));
  if (too_many_faults())
    quarantine("its handlers failed " + std::to_string(faults_.size()) +
               " times in ten minutes, last in turn " + std::to_string(turn_));
}

bool cell::apply_all(turn_state& state, turn_output& out, std::vector<command_item>& batch,
                     std::vector<place>& places, std::size_t& broken, std::string& why) {
  const auto& limits = host_.options.limits;
  const auto started = host_.time.steady();
  for (std::size_t n = 0; n < batch.size(); ++n) {
    if (n > 0 && host_.time.steady() - started > limits.turn_time) {
      std::vector<command_item> rest(std::make_move_iterator(batch.begin() + static_cast<std::ptrdiff_t>(n)),
                                     std::make_move_iterator(batch.end()));
      std::vector<place> rest_places(places.begin() + static_cast<std::ptrdiff_t>(n), places.end());
      batch.resize(n, command_item{timer_item{}});
      places.resize(n);
      give_back(std::move(rest), std::move(rest_places), problem{.status = 0, .code = {}, .detail = {}});
      break;
    }
    try {
      std::visit([&](auto& item) { apply(state, out, item); }, batch[n]);
    } catch (const std::exception& e) {
      if (const auto* error = dynamic_cast<const storage::error*>(&e);
          error && error->kind() == failure::corrupt)
        throw;
      broken = n;
      why = e.what();
      return false;
    }
    if (!db_->in_transaction()) {
      broken = n;
      why = "SQLite rolled the transaction back";
      return false;
    }
  }
  return true;
}

answer cell::handle(turn_state& state, turn_output& out, const command_row& row, const json& body,
                    const origin& from) {
  const auto mark = state.here();
  const auto changes_from = recorder_->mark();
  recorder_->any();
  state.undo.clear();
  state.principal = from.principal;
  state.command_id = from.id;
  const auto started = host_.time.steady();
  db_->savepoint();
  db_->deadline(std::chrono::steady_clock::now() + host_.options.limits.handler_deadline);
  answer a = done();
  const auto undo = [&] {
    db_->rollback_to();
    state.back_to(mark);
    recorder_->rewind(changes_from);
    recorder_->any();
  };
  try {
    turn t(state);
    a = row.handle(t, body);
    if (a.ok() && !row.audit.empty() && host_.options.audit) host_.options.audit(t, row, body, a.result());
    db_->no_deadline();
  } catch (const backpressure&) {
    db_->no_deadline();
    undo();
    throw;
  } catch (const storage::error& e) {
    db_->no_deadline();
    if (!db_->in_transaction() || breaks_turn(e.kind())) {
      if (e.kind() != failure::interrupted) throw;
    }
    if (!db_->in_transaction()) throw;
    a = problem{500, e.kind() == failure::interrupted ? "handler_too_slow" : "handler_failed",
                std::string(row.name) + " of " + self_.str() + ": " + e.what()};
    fault(a.problem().detail);
  } catch (const std::exception& e) {
    db_->no_deadline();
    a = problem{500, "handler_failed", std::string(row.name) + " of " + self_.str() + ": " + e.what()};
    fault(a.problem().detail);
  }
  if (a.ok()) {
    db_->release();
    if (recorder_->any()) state.own_written = true;
    if (state.timers_changed) state.written = true;
  } else {
    undo();
  }
  state.undo.clear();
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(host_.time.steady() - started);
  if (took > slow_handler) {
    host_.log("slow", std::string(row.name) + " of " + self_.str() + " took " +
                          std::to_string(took.count() / 1000) + " ms");
  }
  write_record(state, out, row.name, from, a, took, changes_from);
  return a;
}

void cell::write_record(turn_state& state, turn_output& out, std::string_view name, const origin& from,
                        const answer& a, std::chrono::microseconds took, std::size_t changes_from) {
  const auto result = a.ok() ? text_of(a.result()) : text_of(json(a.problem()));
  std::optional<storage::blob_view> hash;
  if (from.hash) hash = storage::as_blob(*from.hash);
  db_->run(
      "INSERT INTO rt_inbox (turn, time, source, sender, principal, id, name, body, hash, ok, result, "
      "duration_us, "
      "changes_at, changes_end) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      static_cast<std::int64_t>(state.number), to_ms(state.now), from.source, from.sender, from.principal,
      from.id, name, from.body, hash, a.ok(), result, took.count(), static_cast<std::int64_t>(changes_from),
      static_cast<std::int64_t>(recorder_->mark()));
  state.written = true;
  ++unpruned_;
  host_.count.commands.fetch_add(1, std::memory_order_relaxed);
  if (!a.ok()) host_.count.failed_commands.fetch_add(1, std::memory_order_relaxed);
  if (host_.topics.turns_wanted()) {
    out.event.commands.push_back({std::string(name), std::string(from.principal), a.ok(),
                                  a.ok() ? std::string() : a.problem().code, took.count()});
  }
}

void cell::housekeeping(turn_state& state) {
  if (host_.delivery_held()) return;
  state.settled = true;
  for (const auto& [to, upto] : settled_rows_) {
    db_->run("DELETE FROM rt_outbox WHERE target = ? AND lane = ? AND number <= ?", to.first,
             static_cast<int>(to.second), static_cast<std::int64_t>(upto));
    state.written = true;
  }
}

// Peers may forget an actor that ends: nothing numbered by this incarnation follows.
void cell::say_farewell(turn_state& state) {
  std::vector<std::pair<std::string, lane>> peers;
  db_->each("SELECT target, lane FROM rt_peers", [&](const storage::row& r) {
    peers.emplace_back(r.get<std::string>(0), static_cast<lane>(r.get<std::int64_t>(1)));
  });
  for (const auto& [to, l] : peers) {
    message m{.from = self_, .from_incarnation = at_.incarnation, .to = key(to)};
    m.in = l;
    m.name = farewell;
    m.body = json::object();
    state.from = {sender::type::self, {}};
    state.post(std::move(m));
  }
}

// From the oldest on, and only as far as it looks: its cost does not grow with what is kept.
void cell::prune(turn_state& state) {
  unpruned_ = 0;
  const auto oldest = to_ms(state.now - host_.options.limits.remember_commands);
  const auto least = static_cast<std::int64_t>(host_.options.limits.remember_commands_at_least);
  const auto first = db_->one<std::int64_t>("SELECT min(seq) FROM rt_inbox").value_or(0);
  const auto last = db_->one<std::int64_t>("SELECT max(seq) FROM rt_inbox").value_or(0);
  auto upto = std::min(first + prune_at_most, last - least + 1);
  if (upto <= first) return;
  const auto young = db_->one<std::int64_t>(
      "SELECT seq FROM rt_inbox WHERE seq < ? AND time >= ? ORDER BY seq LIMIT 1", upto, oldest);
  if (young) upto = *young;
  db_->run("DELETE FROM rt_inbox WHERE seq < ?", upto);
  db_->run("DELETE FROM rt_changes WHERE turn < (SELECT turn FROM rt_inbox ORDER BY seq LIMIT 1)");
}

bool cell::leaves_obligation(const turn_state& s) const {
  return !s.sent.empty() || !s.effects.empty() || !s.feeds.empty() || s.timers_changed;
}

std::uint64_t& cell::last_number(const key& target, lane l) {
  const std::pair at{target.str(), l};
  auto it = numbers_.find(at);
  if (it == numbers_.end()) {
    const auto last = db_->one<std::int64_t>("SELECT number FROM rt_peers WHERE target = ? AND lane = ?",
                                             target.str(), static_cast<int>(l));
    it = numbers_.emplace(at, static_cast<std::uint64_t>(last.value_or(0))).first;
  }
  return it->second;
}

std::uint64_t& cell::last_entry(std::string_view stream) {
  auto it = last_entries_.find(stream);
  if (it == last_entries_.end()) {
    const auto last = db_->one<std::int64_t>("SELECT last FROM rt_streams WHERE name = ?", stream);
    it = last_entries_.emplace(std::string(stream), static_cast<std::uint64_t>(last.value_or(0))).first;
  }
  return it->second;
}

void cell::check_outbox(const turn_state& s) const {
  const auto& limits = host_.options.limits;
  // Clients keep to the bound; messages have as much again, so that replies and what is under way get
  // through.
  const std::size_t share = s.from.is == sender::type::client ? 1 : s.from.is == sender::type::actor ? 2 : 0;
  if (share == 0) return;
  if (outbox_.size() + s.sent.size() >= share * limits.outbox_rows ||
      outbox_.bytes() + s.sent_bytes >= share * limits.outbox_bytes) {
    throw backpressure();
  }
}

}  // namespace troupe
