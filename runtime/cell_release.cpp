// After the commit: the output gate. Nothing that a turn lets out passes before the turn is durable.
#include <algorithm>

#include "runtime/cell.h"
#include "runtime/cell_parts.h"

namespace troupe {

namespace {

/// Under load a snapshot replaces the one before it at most this often.
constexpr std::chrono::milliseconds snapshot_pace{20};
constexpr std::size_t settle_at_once = 256;

}  // namespace

void cell::hold(turn_output out) {
  const auto turn = out.turn;
  const bool asked = !held_.empty() && held_.back().turn == turn;
  const bool local = &host_.gate == &local_durability();
  if (!local && out.own_written && host_.topics.wanted(hub::topic_of(self_))) out.snapshot = build_snapshot();
  held_.push_back(std::move(out));
  if (local || turn == 0 || turn <= durable_turn_) return on_durable(turn, true);
  if (!asked) ask_gate(turn);
}

void cell::ask_gate(std::uint64_t turn) {
  // The gate may complete inside the call: then it is handled here, else by a note in a later stretch.
  enum { calling, opened, failed, returned };
  const auto state = std::make_shared<std::atomic<int>>(calling);
  host_.gate.durable(self_, turn, [state, w = weak_from_this(), turn](bool ok) {
    int expected = calling;
    if (state->compare_exchange_strong(expected, ok ? opened : failed)) return;
    if (expected != returned) return;
    if (const auto c = w.lock()) {
      c->later([c = c.get(), turn, ok] { c->on_durable(turn, ok); });
    }
  });
  int expected = calling;
  if (!state->compare_exchange_strong(expected, returned)) on_durable(turn, expected == opened);
}

void cell::on_durable(std::uint64_t turn, bool ok) {
  if (!ok) return gate_failed(turn);
  durable_turn_ = std::max(durable_turn_, turn);
  while (!held_.empty() && held_.front().turn <= durable_turn_) {
    auto out = std::move(held_.front());
    held_.pop_front();
    release(out);
  }
}

void cell::when_durable(std::function<void()> f) {
  if (held_.empty()) return f();
  held_.back().then.push_back(std::move(f));
}

void cell::release(turn_output& out) {
  // Bookkeeping first: what the callbacks below lead to finds it done.
  if (work_) {
    for (const auto& id : out.ended_effects) work_->done(id);
    for (const auto& id : out.ended_feeds) work_->ended(id);
    for (auto& [id, position] : out.advanced) work_->advanced(id, std::move(position));
    for (const auto& id : out.cancelled) work_->cancel(id);
    for (const auto& id : out.unfollowed) work_->stop(id);
    host_.count.effects_started.fetch_add(out.effects.size(), std::memory_order_relaxed);
    for (auto& e : out.effects) work_->add(std::move(e), out.resumed);
    for (auto& f : out.feeds) work_->add(std::move(f));
  }
  for (auto& m : out.sent) outbox_.add(std::move(m));
  // Before anybody hears of the turn: who reads in a reply or a snapshot that a child was made finds it.
  if (!out.sent.empty() && !out.resumed) deliver_outbox();
  for (auto& w : out.replies) w.answer(std::move(w.is));
  if (!out.entries.empty()) publish_entries(out);
  if (out.snapshot) {
    host_.count.snapshots_built.fetch_add(1, std::memory_order_relaxed);
    host_.topics.publish(out.snapshot);
  } else if (out.own_written) {
    snapshot_due_ = true;
  }
  for (auto& [to, s] : out.settled_for) host_.settle(to, std::move(s));
  for (auto& f : out.then) f();
  if (!out.event.commands.empty()) host_.topics.publish(out.event);
  if (out.retired) {
    retired_ = true;
    // Its effects and feeds end with it.
    if (work_) work_ = std::make_unique<work>(self_, work_->services(), sink_);
  }
}

// Entries of one turn, page by page, to those who read at the live end.
void cell::publish_entries(turn_output& out) {
  std::map<std::string, std::shared_ptr<stream_page>> pages;
  const auto flush = [&](std::shared_ptr<stream_page>& p) {
    host_.topics.publish(std::exchange(p, nullptr));
  };
  for (auto& [name, entry] : out.entries) {
    auto& page = pages[name];
    if (page && page->entries.size() >= max_page_entries) flush(page);
    if (!page) {
      if (!host_.topics.wanted(hub::topic_of(self_, name))) continue;
      page =
          std::make_shared<stream_page>(stream_page{self_, name, at_.incarnation, entry.seq - 1, 1, 0, {}});
      if (db_) {
        page->first = static_cast<std::uint64_t>(
            db_->one<std::int64_t>("SELECT first FROM rt_streams WHERE name = ?", name).value_or(1));
      }
    }
    page->end = entry.seq;
    page->entries.push_back(entry);
    shorten(page->entries.back());
  }
  for (auto& [name, page] : pages) {
    if (page) flush(page);
  }
}

snapshot_ptr cell::build_snapshot() {
  auto frame = std::make_shared<snapshot_frame>(snapshot_frame{self_, at_, turn_, "{}"});
  if (const auto build = known_.declared().snapshot) {
    const view v(self_, *db_, host_.time.now());
    frame->data = build(v).dump(-1, ' ', false, json::error_handler_t::replace);
  }
  return frame;
}

// At the end of a stretch, so that a burst of turns makes one frame.
void cell::publish_snapshot() {
  if (!snapshot_due_ || !held_.empty() || retired_) return;
  if (!host_.topics.wanted(hub::topic_of(self_))) {
    snapshot_due_ = false;
    return;
  }
  const auto now = host_.time.steady();
  if (!mailbox_.empty() && last_snapshot_ && now - *last_snapshot_ < snapshot_pace) return;
  snapshot_due_ = false;
  last_snapshot_ = now;
  try {
    const auto frame = build_snapshot();
    host_.count.snapshots_built.fetch_add(1, std::memory_order_relaxed);
    host_.topics.publish(frame);
  } catch (const std::exception& e) {
    fault(std::string("snapshot: ") + e.what());
  }
}

// Only a row that says so makes an actor, and only for who may send it.
bool cell::may_create(const message& m) const {
  if (!m.creates) return false;
  const auto* kind = host_.kinds.find(m.to.kind());
  const auto* known = kind ? kind->command(m.name) : nullptr;
  return known && known->row->creates && known->row->sender.allows_actor(self_, m.to);
}

void cell::deliver_outbox() {
  if (outbox_.empty()) {
    more_to_send_ = false;
    return;
  }
  if (host_.delivery_held()) return;
  const auto push = [&](const message_ptr& m, std::uint64_t base) {
    mailbox_item item = message_item{m, base};
    switch (host_.deliver(m->to, item, m->in, m->bytes, false, may_create(*m))) {
      case delivered::accepted:
        host_.count.messages.fetch_add(1, std::memory_order_relaxed);
        return outbox::pushed::sent;
      case delivered::no_actor:
        return outbox::pushed::gone;
      default:
        return outbox::pushed::later;
    }
  };
  const auto gone = outbox_.deliver(host_.time.steady(), host_.options.limits.in_flight_per_pair, push);
  for (const auto& m : gone) {
    own_items_.push_back(dead_item{m, problem{404, "gone", "there is no actor " + m->to.str()}});
  }
  more_to_send_ = outbox_.more_to_send();
}

// A target's word on what we sent. Lazy: the rows go with the next turn.
void cell::settled(settlement s) {
  if (s.sender_incarnation != at_.incarnation) return;
  const auto pair = std::pair{s.target.str(), s.in};
  const auto rejected = outbox_.settle(s);
  for (const auto& m : rejected) {
    const auto why = std::ranges::find(s.rejected, m->number, &settlement::rejection::number);
    own_items_.push_back(dead_item{m, why->why});
  }
  if (s.upto > 0) {
    auto& upto = settled_rows_[pair];
    upto = std::max(upto, s.upto);
  }
  if (s.refused) outbox_.retry(pair, host_.time.steady());
}

void cell::take_settlement(settlement s) {
  bool urgent = !s.rejected.empty() || s.refused || more_to_send_;
  {
    std::lock_guard lock(notes_mutex_);
    notes_.push_back([this, s = std::move(s)]() mutable { settled(std::move(s)); });
    urgent = urgent || notes_.size() >= settle_at_once;
  }
  if (urgent) poke();
}

void cell::commit_failed(turn_output out, std::vector<command_item> batch, std::vector<place> places,
                         const std::string& why) {
  host_.log("storage", self_.str() + ": commit failed: " + why +
                           "; reopening its file to see what became of turn " + std::to_string(out.turn));
  close_file();
  try {
    db_ = std::make_unique<storage::database>(
        host_.dir.file(self_), storage::open_options{.sync = host_.options.sync, .create = false});
    load(false);
    if (turn_ >= out.turn) rebuild(out);
  } catch (const std::exception& e) {
    close_file();
    const auto unknown = unavailable("unknown",
                                     "whether the command was stored at " + self_.str() +
                                         " is not known: " + e.what() + "; ask again with the same id",
                                     5);
    for (auto& w : out.replies) w.answer(reply{unknown});
    drop_clients(batch, places);
    give_back(std::move(batch), std::move(places), unknown);
    distrust_memory(unknown);
    return stall(e.what());
  }
  if (turn_ >= out.turn) {
    settled_rows_.clear();
    return hold(std::move(out));
  }
  const auto lost = unavailable("not_committed",
                                self_.str() + " could not store the command: " + why +
                                    "; nothing of it was kept: ask again with the same id",
                                5);
  for (auto& w : out.replies) w.answer(reply{lost});
  drop_clients(batch, places);
  give_back(std::move(batch), std::move(places), lost);
  stall(why);
}

// Whether the last turn is in the file shows when it opens again: then its rows alone say what is owed, and
// what waits here may be applied already. Senders deliver again; effects and feeds start again from their
// rows.
void cell::distrust_memory(const problem& why) {
  close_file();
  refuse_all(why);
  own_items_.clear();
  settled_rows_.clear();
  outbox_ = outbox();
  work_.reset();
}

// Reading failed where no turn was under way that could have been rolled back.
void cell::stretch_failed(const std::string& why) {
  const auto unknown = unavailable("unknown",
                                   "whether what was asked of " + self_.str() +
                                       " is stored is not known: " + why + "; ask again with the same id",
                                   5);
  for (auto& out : held_) {
    for (auto& w : out.replies) w.answer(reply{unknown});
  }
  held_.clear();
  distrust_memory(unknown);
  stall(why);
}

// Their replies stand in the output already.
void cell::drop_clients(std::vector<command_item>& batch, std::vector<place>& places) {
  for (std::size_t n = batch.size(); n-- > 0;) {
    if (!std::holds_alternative<client_item>(batch[n])) continue;
    batch.erase(batch.begin() + static_cast<std::ptrdiff_t>(n));
    places.erase(places.begin() + static_cast<std::ptrdiff_t>(n));
  }
}

void cell::gate_failed(std::uint64_t turn) {
  if (held_.empty() || held_.back().turn < turn) return;
  host_.log("gate", self_.str() + ": turn " + std::to_string(turn) +
                        " is not durable yet; reopening and asking again");
  close_file();
  try {
    db_ = std::make_unique<storage::database>(
        host_.dir.file(self_), storage::open_options{.sync = host_.options.sync, .create = false});
    load(false);
    for (auto& out : held_) rebuild(out);
  } catch (const std::exception& e) {
    close_file();
    stall(e.what());
  }
  pause_ = std::clamp(pause_ * 2, std::chrono::milliseconds(100), std::chrono::milliseconds(30'000));
  host_.alarm->after(pause_, [w = weak_from_this()] {
    const auto c = w.lock();
    if (!c) return;
    c->later([c = c.get()] {
      if (!c->held_.empty()) c->ask_gate(c->held_.back().turn);
    });
  });
}

// Memory of a turn whose fate was in doubt counts for nothing: the rows say what was answered.
void cell::rebuild(turn_output& out) {
  for (auto& w : out.replies) {
    if (w.id.empty()) continue;
    db_->each(
        "SELECT ok, result FROM rt_inbox WHERE sender = ? AND id = ? AND hash IS NOT NULL",
        [&](const storage::row& r) {
          const auto recorded = json::parse(r.get<std::string_view>(1));
          if (r.get<bool>(0))
            w.is.is = recorded;
          else
            w.is.is = recorded.get<problem>();
        },
        w.sender, w.id);
  }
}

}  // namespace troupe
