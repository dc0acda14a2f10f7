#include "runtime/cell.h"

#include <sys/stat.h>

#include <algorithm>

#include "runtime/cell_parts.h"
#include "runtime/pause.h"
#include "runtime/tables.h"

namespace troupe {

namespace {

constexpr std::size_t max_faults = 3;
constexpr std::chrono::minutes fault_window{10};
/// Turns that may wait for the gate; beyond it the cell takes no more work.
constexpr std::size_t max_held = 256;

}  // namespace

void cell::sink::arrive(outcome_item i) {
  push(std::move(i));
}
void cell::sink::arrive(batch_item i) {
  push(std::move(i));
}
void cell::sink::arrive(feed_end_item i) {
  push(std::move(i));
}

void cell::sink::push(mailbox_item item) {
  const auto c = owner.lock();
  if (!c) return;
  const auto bytes = bytes_of(item);
  if (c->push(item, lane::interactive, bytes, false, false) != pushed::full) return;
  // Full: what the world said must not be lost. Kept here, tried again.
  auto kept = std::make_shared<mailbox_item>(std::move(item));
  c->host_.alarm->after(first_pause, [self = shared_from_this(), kept] { self->push(std::move(*kept)); });
}

void cell::sink::later(std::function<void()> f) {
  if (const auto c = owner.lock()) c->later(std::move(f));
}

cell::cell(host_core& h, key k, const known_kind& known)
    : host_(h),
      self_(std::move(k)),
      known_(known),
      mailbox_(h.options.limits.mailbox_commands, h.options.limits.mailbox_bytes),
      sink_(std::make_shared<sink>()),
      recorder_(std::make_unique<recorder>(known, known.declared().record_changes)) {
  last_active_ = host_.time.steady().time_since_epoch().count();
}

cell::~cell() = default;

void cell::begin(scheduler& threads) {
  sink_->owner = weak_from_this();
  runner_ = threads.spawn([w = weak_from_this()] {
    const auto c = w.lock();
    if (!c) return;
    try {
      c->stretch();
    } catch (const storage::error& e) {
      c->stretch_failed(e.what());
    }
  });
}

void cell::poke() {
  if (!scheduled_.exchange(true)) runner_->poke();
}

pushed cell::push(mailbox_item& item, lane l, std::size_t bytes, bool client, bool may_create) {
  if (may_create) may_create_ = true;
  const auto p = mailbox_.push(item, l, bytes, client);
  if (p == pushed::accepted) poke();
  return p;
}

void cell::later(std::function<void()> f) {
  {
    std::lock_guard lock(notes_mutex_);
    notes_.push_back(std::move(f));
  }
  poke();
}

void cell::run_notes() {
  std::vector<std::function<void()>> notes;
  {
    std::lock_guard lock(notes_mutex_);
    notes.swap(notes_);
  }
  for (const auto& f : notes) f();
}

void cell::stretch() {
  scheduled_ = false;
  if (removed_) return;
  const at_work::mark mark(host_.at_work_, self_);
  run_notes();
  const auto now = host_.time.steady();
  if (!quarantined_.empty()) {
    refuse_all(quarantined_problem(self_, quarantined_));
    return leave();
  }
  if (stalled_until_ && now < *stalled_until_) return arm();
  stalled_until_.reset();
  stalled_ = false;
  if (!db_ && !open()) return;

  if (held_.size() < max_held) {
    std::vector<command_item> batch;
    std::vector<std::pair<lane, std::size_t>> places;
    std::optional<read_item> read;
    collect(batch, places, read);
    const bool worked = !batch.empty() || read;
    if (!batch.empty()) run_turn(std::move(batch), std::move(places));
    // A turn may have closed the file, or put back what came before the read.
    if (read) {
      if (db_ && !stalled_until_) {
        host_.count.queries.fetch_add(1, std::memory_order_relaxed);
        read->run(this, nullptr);
      } else {
        mailbox_.push_front(std::move(*read), lane::interactive, 0);
      }
    }
    if (worked) last_active_ = now.time_since_epoch().count();
  }
  if (!db_ || !quarantined_.empty()) {
    if (!quarantined_.empty()) poke();
    return;
  }
  deliver_outbox();
  if (work_) work_->pump();
  publish_snapshot();
  note_figures(false);

  if (retired_) return finish_retirement();
  if (!stalled_until_ && (!mailbox_.empty() || !own_items_.empty())) return poke();
  if (sleep_wanted_.exchange(false)) {
    try_sleep();
    if (!db_) return;
  }
  arm();
}

bool cell::open() {
  const auto file = host_.dir.file(self_);
  try {
    const auto entry = host_.dir.find(self_);
    if (entry && !entry->quarantined.empty()) {
      quarantined_ = entry->quarantined;
      poke();
      return false;
    }
    const bool exists = std::filesystem::exists(file);
    if (!exists && !may_create_) {
      refuse_all(not_found("there is no actor " + self_.str()));
      if (entry && !entry->creating) host_.dir.forget(self_);
      // What arrived meanwhile may be the message that creates it.
      leave();
      return false;
    }
    // Creations that were cut off one after the other can leave a log without its file. As long as the
    // directory says `creating` nothing of it was acknowledged; of an actor that lived it would be a loss,
    // and is refused.
    if (exists && entry && entry->creating && std::filesystem::file_size(file) == 0)
      std::filesystem::remove(file.native() + "-wal");
    if (!exists)
      create_file();
    else
      db_ = std::make_unique<storage::database>(
          file, storage::open_options{.sync = host_.options.sync, .create = false});
    load(!entry || entry->creating || !exists);
    host_.count.wakes.fetch_add(1, std::memory_order_relaxed);
    pause_ = {};
    return true;
  } catch (const storage::error& e) {
    db_.reset();
    using storage::failure;
    if (e.kind() == failure::newer_schema) {
      // Nothing of this is recorded, so that the program that wrote the file finds everything as it was.
      refuse_all(unavailable("newer_version", self_.str() + ": " + e.what(), 60));
      leave();
    } else if (e.kind() == failure::corrupt || e.kind() == failure::misuse ||
               e.kind() == failure::constraint) {
      quarantine(e.what());
    } else {
      stall(e.what());
    }
  } catch (const std::exception& e) {
    db_.reset();
    stall(e.what());
  }
  return false;
}

void cell::create_file() {
  const auto now = host_.time.now();
  const auto folder = host_.dir.folder(self_);
  host_.dir.creating(self_, now);
  make_durable_folders(folder);
  const storage::schema schemas[] = {{"runtime", runtime_tables()},
                                     {known_.declared().name, known_.declared().schema.migrations}};
  db_ = std::make_unique<storage::database>(folder / "actor.sqlite",
                                            storage::open_options{.sync = host_.options.sync});
  db_->migrate(schemas);
  db_->run("INSERT OR IGNORE INTO rt_meta VALUES (1, ?, ?, ?, 0, 0, 0)", self_.str(), host_.ids.incarnation(),
           to_ms(now));
  sync_folder(folder);
}

// From the file, which wins over what any index says.
void cell::load(bool index) {
  const storage::schema schemas[] = {{"runtime", runtime_tables()},
                                     {known_.declared().name, known_.declared().schema.migrations}};
  db_->migrate(schemas);
  std::string key_of_file;
  bool retired = false;
  db_->each("SELECT key, incarnation, turn, revision, retired FROM rt_meta", [&](const storage::row& r) {
    key_of_file = r.get<std::string>(0);
    at_.incarnation = r.get<std::string>(1);
    turn_ = static_cast<std::uint64_t>(r.get<std::int64_t>(2));
    at_.revision = static_cast<std::uint64_t>(r.get<std::int64_t>(3));
    retired = r.get<bool>(4);
  });
  if (key_of_file.empty()) {
    // Its creation was cut off before the first row.
    at_ = {host_.ids.incarnation(), 0};
    turn_ = 0;
    db_->run("INSERT INTO rt_meta VALUES (1, ?, ?, ?, 0, 0, 0)", self_.str(), at_.incarnation,
             to_ms(host_.time.now()));
  } else if (key_of_file != self_.str()) {
    throw storage::error(storage::failure::corrupt, 0, db_->file(),
                         "the file " + db_->file().string() + " belongs to the actor " + key_of_file +
                             "; move it back to that actor's folder while the server is stopped");
  }
  if (index) host_.dir.live(self_, at_, host_.time.now());
  forget_counters();
  db_->record_changes(recorder_.get());
  // Memory of before a reopen is of durable rows and still holds; a fresh wake reads them.
  if (!work_) {
    work_ = std::make_unique<work>(self_,
                                   work::drivers{host_.effects, host_.feeds, *host_.alarm, host_.time,
                                                 host_.options.limits.effects_at_once},
                                   sink_);
    resume_work(retired);
  }
  next_due_ = db_->one<std::int64_t>("SELECT min(due) FROM rt_timers");
}

void cell::forget_counters() {
  numbers_.clear();
  marks_.clear();
  last_entries_.clear();
  effect_count_ =
      static_cast<std::uint64_t>(db_->one<std::int64_t>("SELECT max(number) FROM rt_effects").value_or(0));
}

void cell::resume_work(bool retired) {
  turn_output out;
  out.turn = turn_;
  out.at = at_;
  out.resumed = true;
  out.retired = retired;
  db_->each(
      "SELECT target, lane, number, incarnation, flags, principal, name, body, reply, context FROM rt_outbox "
      "ORDER BY target, lane, number",
      [&](const storage::row& r) { out.sent.push_back(read_message(r, self_, at_.incarnation)); });
  if (db_->one<std::int64_t>("SELECT 1 FROM rt_effects LIMIT 1")) {
    db_->run("UPDATE rt_effects SET attempt = attempt + 1");
    db_->each(
        "SELECT id, number, kind, resource, body, outcome, context, principal, attempt, deadline FROM "
        "rt_effects "
        "ORDER BY number",
        [&](const storage::row& r) { out.effects.push_back(read_effect(r)); });
  }
  db_->each("SELECT id, kind, body, on_batch, on_end, context, principal, position FROM rt_feeds",
            [&](const storage::row& r) { out.feeds.push_back(read_feed(r)); });
  awake_recorded_ = false;
  if (!out.sent.empty() || !out.effects.empty() || !out.feeds.empty()) {
    host_.dir.awake(self_);
    awake_recorded_ = true;
  }
  hold(std::move(out));
}

void cell::close_file() {
  if (db_) db_->record_changes(nullptr);
  db_.reset();
}

void cell::try_sleep() {
  if (!mailbox_.empty() || !held_.empty() || !outbox_.empty() || !own_items_.empty() || !work_->empty())
    return;
  if (!settled_rows_.empty()) {
    if (host_.delivery_held()) return;
    run_turn({}, {});
    if (!db_ || !held_.empty() || !quarantined_.empty()) return;
  }
  try {
    const auto due = db_->one<std::int64_t>("SELECT min(due) FROM rt_timers");
    close_file();
    host_.dir.asleep(self_, at_, turn_, host_.time.now(), due);
  } catch (const std::exception& e) {
    host_.log("sleep", self_.str() + ": " + e.what());
    close_file();
  }
  host_.count.sleeps.fetch_add(1, std::memory_order_relaxed);
  awake_recorded_ = false;
  work_.reset();
  note_figures(true);
  leave();
}

void cell::finish_retirement() {
  refuse_all(not_found(self_.str() + " was deleted"));
  const bool waits = !held_.empty() || !outbox_.empty() || host_.dir.has_below(self_);
  if (waits) {
    host_.alarm->after(first_pause, [w = weak_from_this()] {
      if (const auto c = w.lock()) c->poke();
    });
    return arm();
  }
  try {
    close_file();
    work_.reset();
    // The file first: a row without a file reads as not existing, a file without a row would be adopted.
    host_.dir.to_trash(self_, host_.time.now());
    host_.dir.forget(self_);
  } catch (const std::exception& e) {
    return stall(e.what());
  }
  retired_ = false;
  may_create_ = false;
  host_.topics.gone(self_, "deleted");
  note_figures(true);
  leave();
}

void cell::leave() {
  removed_ = host_.remove(shared_from_this());
  if (!removed_) poke();
}

void cell::refuse_all(const problem& why) {
  for (auto& t : mailbox_.take_all()) refuse(std::move(t.item), why);
}

void cell::refuse(mailbox_item item, const problem& why) {
  if (auto* c = std::get_if<client_item>(&item)) {
    c->answer(reply{why});
  } else if (auto* r = std::get_if<read_item>(&item)) {
    r->run(nullptr, &why);
  } else if (auto* d = std::get_if<dead_letter_item>(&item)) {
    d->answer(reply{why});
  } else if (auto* m = std::get_if<message_item>(&item)) {
    // Nothing is settled by it: the one before may have been refused as well.
    settlement s{self_, m->is->in, m->is->from_incarnation, 0, {}, true};
    host_.settle(m->is->from, std::move(s));
  }
  // Outcomes, batches and ends: their rows are still there; whoever wakes this actor next starts them again.
}

void cell::quarantine(const std::string& why) {
  quarantined_ = why;
  host_.log("quarantine", self_.str() + ": " + why);
  try {
    if (!host_.dir.find(self_)) host_.dir.live(self_, at_, host_.time.now());
    host_.dir.quarantine(self_, why);
  } catch (const std::exception& e) {
    host_.log("quarantine", self_.str() + ": could not be recorded: " + e.what());
  }
  for (auto& out : held_) {
    for (auto& w : out.replies) w.answer(reply{quarantined_problem(self_, why)});
  }
  held_.clear();
  close_file();
  work_.reset();
  note_figures(false);
  poke();
}

// Bugs of handlers; the file itself is fine.
void cell::fault(const std::string& what) {
  const auto now = host_.time.now();
  host_.log("fault", self_.str() + ": " + what);
  faults_.push_back(now);
  while (!faults_.empty() && faults_.front() + fault_window < now) faults_.pop_front();
}

bool cell::too_many_faults() const {
  return faults_.size() >= max_faults;
}

void cell::stall(const std::string& why) {
  pause_ = longer(pause_);
  stalled_until_ = host_.time.steady() + pause_;
  stalled_ = true;
  host_.log("storage", self_.str() + ": " + why + "; next try in " + std::to_string(pause_.count()) + " ms");
  // Clients are told now, the rest waits in its old order.
  auto all = mailbox_.take_all();
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if (std::holds_alternative<client_item>(it->item) || std::holds_alternative<read_item>(it->item)) {
      refuse(std::move(it->item), unavailable("storage", why));
    } else {
      mailbox_.push_front(std::move(it->item), it->in, it->bytes);
    }
  }
  arm();
}

void cell::arm() {
  std::optional<std::chrono::steady_clock::time_point> next = stalled_until_;
  const auto sooner = [&](std::chrono::steady_clock::time_point t) {
    if (!next || t < *next) next = t;
  };
  rings_at_ = next_due_.value_or(never);
  if (!stalled_until_) {
    if (const auto t = outbox_.next_retry()) sooner(*t);
    if (next_due_) {
      const auto wait = from_ms(*next_due_) - host_.time.now();
      sooner(host_.time.steady() + std::max(wait, std::chrono::milliseconds(0)));
    }
  }
  if (!next) return;
  const auto now = host_.time.steady();
  if (armed_ && *armed_ > now && *armed_ <= *next) return;
  armed_ = next;
  host_.alarm->at(*next, [w = weak_from_this()] {
    if (const auto c = w.lock()) c->poke();
  });
}

bool cell::idle_since(std::chrono::steady_clock::time_point then) const {
  return last_active_ < then.time_since_epoch().count() && mailbox_.empty();
}

void cell::want_sleep() {
  sleep_wanted_ = true;
  poke();
}

void cell::expire(std::chrono::steady_clock::time_point now) {
  const problem why{504, "timed_out",
                    "no answer in time from " + self_.str() +
                        "; the command may still be applied: ask again with the same id"};
  for (auto& item : mailbox_.take_expired(now)) refuse(std::move(item), why);
}

void cell::ring(timestamp now) {
  if (rings_at_ <= to_ms(now)) poke();
}

void cell::note_figures(bool asleep) {
  std::lock_guard lock(look_mutex_);
  look_ = {mailbox_.size(),
           outbox_.size(),
           work_ ? work_->effects() : 0,
           work_ ? work_->feeds() : 0,
           turn_,
           at_.revision,
           at_.incarnation,
           quarantined_,
           asleep};
}

cell::figures cell::look() const {
  std::lock_guard lock(look_mutex_);
  auto f = look_;
  f.mailbox = mailbox_.size();
  return f;
}

void cell::shut() {
  refuse_all(unavailable("shutting_down", "the server is shutting down"));
  for (auto& out : held_) {
    for (auto& w : out.replies)
      w.answer(reply{unavailable(
          "unknown", "the server stopped before this was known to be durable; ask again with the same id")});
  }
  held_.clear();
  if (!db_) return;
  const bool owes = !outbox_.empty() || (work_ && !work_->empty()) || !own_items_.empty();
  work_.reset();
  try {
    const auto due = db_->one<std::int64_t>("SELECT min(due) FROM rt_timers");
    close_file();
    if (owes)
      host_.dir.stopped(self_, at_, turn_, host_.time.now());
    else
      host_.dir.asleep(self_, at_, turn_, host_.time.now(), due);
  } catch (const std::exception& e) {
    host_.log("stop", self_.str() + ": " + e.what());
  }
}

id_source& cell::ids() const {
  return host_.ids;
}

lane cell::lane_at(const key& target, std::string_view command) const {
  const auto* kind = host_.kinds.find(target.kind());
  const auto* row = kind ? kind->command(command) : nullptr;
  return row ? row->row->in : lane::interactive;
}

std::chrono::milliseconds cell::default_deadline(std::string_view effect,
                                                 std::chrono::milliseconds otherwise) const {
  const auto it = host_.effects.find(effect);
  return it == host_.effects.end() ? otherwise : it->second.deadline;
}

}  // namespace troupe
