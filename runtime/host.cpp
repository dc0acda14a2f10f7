#include "runtime/host.h"

#include <algorithm>
#include <deque>
#include <future>
#include <mutex>

#include "runtime/cell_parts.h"
#include "runtime/host_core.h"
#include "runtime/upgrade.h"

namespace troupe {

namespace {

constexpr std::size_t max_command_id = 128;
constexpr std::size_t max_query_rows = 10'000;
constexpr std::chrono::seconds read_deadline{10};
/// Subscriptions wake this many sleeping actors at once; the others wait their turn.
constexpr std::size_t max_snapshot_wakes = 32;
constexpr std::size_t max_waiting_snapshots = 10'000;

bool printable(std::string_view id) {
  return !id.empty() && id.size() <= max_command_id &&
         std::ranges::all_of(id, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

// A transaction that is always rolled back: what reads cannot write, whatever their SQL says.
class read_only {
 public:
  read_only(storage::database& db, std::chrono::milliseconds limit) : db_(db) {
    db_.begin();
    db_.deadline(std::chrono::steady_clock::now() + limit);
  }
  ~read_only() {
    db_.no_deadline();
    db_.rollback();
  }

 private:
  storage::database& db_;
};

problem read_failed(const key& k, std::string_view what, const storage::error& e) {
  if (e.kind() == storage::failure::interrupted) {
    return unprocessable("query_too_slow",
                         std::string(what) + " of " + k.str() + " took too long; ask for less");
  }
  return unavailable("storage", std::string(what) + " of " + k.str() + ": " + e.what());
}

reply run_query(cell& c, const query_row& row, const json& body) {
  reply r;
  r.turn = c.turn_number();
  r.at = c.committed();
  try {
    read_only guard(c.db(), c.core().options.limits.query_deadline);
    const view v(c.self(), c.db(), c.core().time.now(), max_query_rows);
    auto a = row.handle(v, body);
    if (a.ok())
      r.is = std::move(a.result());
    else
      r.is = a.problem();
  } catch (const too_many_rows&) {
    r.is = unprocessable("too_many_rows", std::string(row.name) + " of " + c.self().str() +
                                              " reads more than 10,000 rows; ask for less");
  } catch (const storage::error& e) {
    r.is = read_failed(c.self(), row.name, e);
  } catch (const std::exception& e) {
    r.is = problem{500, "query_failed", std::string(row.name) + " of " + c.self().str() + ": " + e.what()};
    c.core().log("fault", std::get<problem>(r.is).detail);
  }
  return r;
}

page_ptr read_page(cell& c, const std::string& stream, std::uint64_t after, std::size_t limit, bool whole) {
  auto page = std::make_shared<stream_page>(
      stream_page{c.self(), stream, c.committed().incarnation, after, 1, 0, {}});
  auto& db = c.db();
  db.each(
      "SELECT first, last FROM rt_streams WHERE name = ?",
      [&](const storage::row& r) {
        page->first = static_cast<std::uint64_t>(r.get<std::int64_t>(0));
        page->end = static_cast<std::uint64_t>(r.get<std::int64_t>(1));
      },
      stream);
  page->after = std::max(after, page->first - 1);
  std::size_t bytes = 0;
  db.each(
      "SELECT seq, turn, time, data FROM rt_entries WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
      [&](const storage::row& r) {
        stream_entry e{static_cast<std::uint64_t>(r.get<std::int64_t>(0)),
                       static_cast<std::uint64_t>(r.get<std::int64_t>(1)), from_ms(r.get<std::int64_t>(2)),
                       std::make_shared<const std::string>(r.get<std::string_view>(3))};
        if (!whole) shorten(e);
        if (!page->entries.empty() && bytes + e.data->size() > max_page_bytes) return false;
        bytes += e.data->size();
        page->entries.push_back(std::move(e));
        return true;
      },
      stream, static_cast<std::int64_t>(page->after),
      static_cast<std::int64_t>(std::clamp<std::size_t>(limit, 1, max_page_entries)));
  return page;
}

}  // namespace

class host::impl : public host_core {
 public:
  using host_core::host_core;

  /// Runs f(cell, nullptr) between turns of the actor, or f(nullptr, why).
  void read(const key& k, std::chrono::milliseconds timeout, std::function<void(cell*, const problem*)> f) {
    mailbox_item item = read_item{std::move(f), time.steady() + timeout};
    const auto d = deliver(k, item, lane::interactive, 256, true);
    if (d == delivered::accepted) return;
    const auto why = refusal(d, k);
    std::get<read_item>(item).run(nullptr, &why);
  }

  /// What a client may not reach does not exist for it.
  std::optional<problem> door(const std::string& principal, const key& k, std::string_view role) const {
    const auto* known = kinds.find(k.kind());
    if (!known || k.singleton() != known->declared().singleton)
      return not_found("there is no actor " + k.str());
    return check(principal, k, role);
  }

  void fetch_snapshot(const key& k, snapshot_handler done) {
    if (const auto at = known_state(k)) {
      if (auto frame = topics.cached(k, *at)) return done(std::move(frame));
    }
    if (awake(k)) return build_frame(k, std::move(done));
    {
      std::lock_guard lock(wakes_mutex_);
      if (waking_ >= max_snapshot_wakes) {
        if (waiting_.size() >= max_waiting_snapshots) {
          return done(too_many("too_many_subscriptions",
                               "too many snapshots of sleeping actors are asked for at once"));
        }
        waiting_.emplace_back(k, std::move(done));
        return;
      }
      ++waking_;
    }
    wake_for(k, std::move(done));
  }

 private:
  /// One of at most max_snapshot_wakes; hands its place on.
  void wake_for(const key& k, snapshot_handler done) {
    build_frame(k, [this, done = std::move(done)](auto is) {
      done(std::move(is));
      std::pair<std::optional<key>, snapshot_handler> next;
      {
        std::lock_guard lock(wakes_mutex_);
        if (waiting_.empty()) {
          --waking_;
          return;
        }
        next = {waiting_.front().first, std::move(waiting_.front().second)};
        waiting_.pop_front();
      }
      wake_for(*next.first, std::move(next.second));
    });
  }

  void build_frame(const key& k, snapshot_handler done) {
    read(k, read_deadline, [this, done = std::move(done), k](cell* c, const problem* why) {
      if (why) return done(*why);
      snapshot_ptr frame = topics.cached(k, c->committed());
      if (!frame) {
        try {
          count.snapshots_built.fetch_add(1, std::memory_order_relaxed);
          frame = c->build_snapshot();
        } catch (const std::exception& e) {
          log("fault", k.str() + ": snapshot: " + e.what());
          return done(problem{500, "snapshot_failed", "the snapshot of " + k.str() + ": " + e.what()});
        }
      }
      c->when_durable([this, done, frame] {
        topics.keep(frame);
        done(frame);
      });
    });
  }

  std::mutex wakes_mutex_;
  std::size_t waking_ = 0;
  std::deque<std::pair<key, snapshot_handler>> waiting_;
};

host::host(host_options o) : impl_(std::make_unique<impl>(std::move(o))) {}
host_core& host::core() const {
  return *impl_;
}
host::~host() {
  impl_->stop();
}
void host::start() {
  prepare_upgrade(*this);
  impl_->start();
}
void host::stop() {
  impl_->stop();
}

void host::command(client_command c, reply_handler done) {
  const auto* known = impl_->kinds.find(c.to.kind());
  const auto* row = known ? known->command(c.name) : nullptr;
  if (auto why = impl_->door(c.principal, c.to, row ? row->row->sender.role() : "")) return done(reply{*why});
  if (!row || row->row->sender.role().empty()) {
    if (row) return done(reply{forbidden(c.name + " is not for clients")});
    return done(reply{problem{404, "unknown_command",
                              "actors of kind " + std::string(c.to.kind()) + " take no command " + c.name}});
  }
  if (!printable(c.id)) {
    return done(
        reply{bad_request("bad_id", "a command id is 1 to 128 printable characters, unique per intention")});
  }
  if (row->body) {
    if (const auto violations = row->body->check(c.body); !violations.empty())
      return done(reply{invalid_body(violations)});
  }
  const auto to = c.to;
  const auto l = row->row->in;
  const auto bytes = c.body.size() * 64 + 512;
  const auto deadline = impl_->time.steady() + c.timeout;
  mailbox_item item = client_item{std::move(c), row, std::move(done), deadline, false};
  const auto d = impl_->deliver(to, item, l, bytes, true);
  if (d != delivered::accepted) std::get<client_item>(item).answer(reply{impl_->refusal(d, to)});
}

void host::command_as_host(const key& to, std::string_view name, json body, std::string id,
                           reply_handler done, bool create) {
  const auto* known = impl_->kinds.find(to.kind());
  const auto* row = known ? known->command(name) : nullptr;
  if (!row)
    return done(reply{
        problem{404, "unknown_command", "there is no command " + std::string(name) + " at " + to.str()}});
  if (!row->row->sender.allows_host())
    return done(reply{forbidden(std::string(name) + " is not for the host")});
  if (create && !row->row->creates)
    return done(reply{forbidden(std::string(name) + " does not make an actor")});
  if (row->body) {
    if (const auto violations = row->body->check(body); !violations.empty())
      return done(reply{invalid_body(violations)});
  }
  client_command c{to, std::move(id), std::string(name), std::move(body), "host"};
  const auto deadline = impl_->time.steady() + c.timeout;
  mailbox_item item = client_item{std::move(c), row, std::move(done), deadline, true};
  const auto d = impl_->deliver(to, item, row->row->in, 512, false, create);
  if (d != delivered::accepted) std::get<client_item>(item).answer(reply{impl_->refusal(d, to)});
}

void host::query(client_query q, reply_handler done) {
  const auto* known = impl_->kinds.find(q.to.kind());
  const auto* row = known ? known->query(q.name) : nullptr;
  if (auto why = impl_->door(q.principal, q.to, row ? row->row->role : "")) return done(reply{*why});
  if (!row) {
    return done(reply{problem{404, "unknown_query",
                              "actors of kind " + std::string(q.to.kind()) + " know no query " + q.name}});
  }
  if (const auto violations = row->body->check(q.body); !violations.empty())
    return done(reply{invalid_body(violations)});
  impl_->read(q.to, q.timeout,
              [row, body = std::move(q.body), done = std::move(done)](cell* c, const problem* why) {
                if (why) return done(reply{*why});
                auto r = run_query(*c, *row->row, body);
                c->when_durable([done, r = std::move(r)] { done(r); });
              });
}

namespace {

// A gate that never completes must not hold a thread for ever; the timeout is also what the sweep answers by,
// a moment later.
reply wait_for(std::future<reply> answer, std::chrono::milliseconds timeout, const std::string& what,
               const key& at) {
  if (answer.wait_for(timeout) == std::future_status::ready) return answer.get();
  return reply{problem{504, "timed_out",
                       "no answer in time from " + at.str() + " to " + what +
                           "; a command may still be applied: ask again with the same id"}};
}

}  // namespace

reply host::call(client_command c) {
  const auto promised = std::make_shared<std::promise<reply>>();
  const auto timeout = c.timeout;
  const auto name = c.name;
  const auto to = c.to;
  command(std::move(c), [promised](reply r) { promised->set_value(std::move(r)); });
  return wait_for(promised->get_future(), timeout, name, to);
}

reply host::call_as_host(const key& to, std::string_view name, json body, std::string id, bool create) {
  const auto promised = std::make_shared<std::promise<reply>>();
  command_as_host(
      to, name, std::move(body), std::move(id), [promised](reply r) { promised->set_value(std::move(r)); },
      create);
  return wait_for(promised->get_future(), client_command{.to = to}.timeout, std::string(name), to);
}

reply host::ask(client_query q) {
  const auto promised = std::make_shared<std::promise<reply>>();
  const auto timeout = q.timeout;
  const auto name = q.name;
  const auto to = q.to;
  query(std::move(q), [promised](reply r) { promised->set_value(std::move(r)); });
  return wait_for(promised->get_future(), timeout, name, to);
}

void host::snapshot(const key& k, const std::string& principal, snapshot_handler done) {
  const auto* known = impl_->kinds.find(k.kind());
  if (auto why = impl_->door(principal, k, known ? known->declared().snapshot_role : "")) return done(*why);
  impl_->fetch_snapshot(k, std::move(done));
}

void host::read_stream(const key& k, std::string_view stream, std::uint64_t after, std::size_t limit,
                       const std::string& principal, page_handler done) {
  const auto* known = impl_->kinds.find(k.kind());
  const auto* row = known ? known->stream(stream) : nullptr;
  if (auto why = impl_->door(principal, k, row ? row->role : "")) return done(*why);
  if (!row)
    return done(
        problem{404, "unknown_stream",
                "actors of kind " + std::string(k.kind()) + " have no stream " + std::string(stream)});
  impl_->read(
      k, read_deadline,
      [name = std::string(stream), after, limit, done = std::move(done)](cell* c, const problem* why) {
        if (why) return done(*why);
        try {
          auto page = read_page(*c, name, after, limit, false);
          c->when_durable([done, page] { done(page); });
        } catch (const storage::error& e) {
          done(read_failed(c->self(), name, e));
        }
      });
}

void host::read_entry(const key& k, std::string_view stream, std::uint64_t seq, const std::string& principal,
                      page_handler done) {
  const auto* known = impl_->kinds.find(k.kind());
  const auto* row = known ? known->stream(stream) : nullptr;
  if (auto why = impl_->door(principal, k, row ? row->role : "")) return done(*why);
  if (!row || seq == 0)
    return done(problem{404, "unknown_stream", "there is no such stream or entry at " + k.str()});
  impl_->read(k, read_deadline,
              [name = std::string(stream), seq, done = std::move(done)](cell* c, const problem* why) {
                if (why) return done(*why);
                try {
                  auto page = read_page(*c, name, seq - 1, 1, true);
                  if (page->entries.empty() || page->entries.front().seq != seq) {
                    return done(not_found("entry " + std::to_string(seq) + " of " + name + " is not kept"));
                  }
                  c->when_durable([done, page] { done(page); });
                } catch (const storage::error& e) {
                  done(read_failed(c->self(), name, e));
                }
              });
}

subscription host::subscribe(const key& k, std::optional<revision_id> have, const std::string& principal,
                             std::shared_ptr<subscriber> who, subscribed done) {
  const auto* known = impl_->kinds.find(k.kind());
  if (auto why = impl_->door(principal, k, known ? known->declared().snapshot_role : "")) {
    done(std::move(why));
    return {};
  }
  // Registered first, so that no revision falls between the frame and what follows.
  auto s = impl_->topics.add(hub::topic_of(k), std::move(who));
  if (have && impl_->known_state(k) == have) {
    done(std::nullopt);
    return s;
  }
  impl_->fetch_snapshot(k, [core = impl_.get(), weak = s.weak(), have, done = std::move(done)](auto is) {
    if (auto* why = std::get_if<problem>(&is)) return done(std::move(*why));
    done(std::nullopt);
    auto& frame = std::get<snapshot_ptr>(is);
    if (const auto target = weak.lock(); !target.empty() && (!have || *have != frame->at)) {
      core->topics.deliver(target, std::move(frame));
    }
  });
  return s;
}

subscription host::subscribe_stream(const key& k, std::string_view stream, const std::string& principal,
                                    std::shared_ptr<subscriber> who, subscribed done) {
  const auto* known = impl_->kinds.find(k.kind());
  const auto* row = known ? known->stream(stream) : nullptr;
  auto why = impl_->door(principal, k, row ? row->role : "");
  if (!why && (!row || !exists(k))) {
    why = not_found("there is no stream " + std::string(stream) + " at " + k.str());
  }
  if (why) {
    done(std::move(why));
    return {};
  }
  auto s = impl_->topics.add(hub::topic_of(k, stream), std::move(who));
  done(std::nullopt);
  return s;
}

subscription host::watch_turns(std::string prefix, std::function<void(const turn_event&)> sink) {
  return impl_->topics.add_turns(std::move(prefix), std::move(sink));
}

bool host::exists(const key& k) const {
  const auto c = impl_->awake(k);
  return (c && c->being_made()) || std::filesystem::exists(impl_->dir.file(k));
}

const kind* host::find_kind(std::string_view name) const {
  const auto* known = impl_->kinds.find(name);
  return known ? &known->declared() : nullptr;
}

const std::vector<const kind*>& host::kinds() const {
  return impl_->kinds.kinds();
}

host_stats host::stats() const {
  const auto& n = impl_->count;
  host_stats s;
  s.awake = impl_->awake_count();
  s.awake_limit = impl_->awake_limit_;
  s.actors = impl_->dir.count();
  s.quarantined = impl_->dir.quarantined();
  s.subscribers = impl_->topics.subscribers();
  s.turns = n.turns;
  s.commands = n.commands;
  s.failed_commands = n.failed_commands;
  s.queries = n.queries;
  s.wakes = n.wakes;
  s.sleeps = n.sleeps;
  s.messages = n.messages;
  s.effects_started = n.effects_started;
  s.effects_failed = n.effects_failed;
  s.commits_failed = n.commits_failed;
  s.snapshots_built = n.snapshots_built;
  s.turn_latency = n.turn_latency.read();
  s.commit_latency = n.commit_latency.read();
  s.batch_sizes = n.batch_sizes.read();
  s.uptime = std::chrono::duration_cast<std::chrono::milliseconds>(impl_->time.steady() - impl_->started);
  return s;
}

const std::filesystem::path& host::data() const {
  return impl_->dir.data();
}
std::filesystem::path host::folder(const key& k) const {
  return impl_->dir.folder(k);
}

bool host::retry_quarantined(const key& k) {
  if (!impl_->dir.release_quarantined(k)) return false;
  mailbox_item item = read_item{[](cell*, const problem*) {}, std::chrono::steady_clock::time_point::max()};
  impl_->deliver(k, item, lane::interactive, 0, false);
  return true;
}

void host::settle_dead(const key& k, std::int64_t id, bool again, const std::string& principal,
                       reply_handler answer) {
  mailbox_item item = dead_letter_item{id, again, principal, std::move(answer)};
  const auto d = impl_->deliver(k, item, lane::interactive, 256, false);
  if (d != delivered::accepted) std::get<dead_letter_item>(item).answer(reply{impl_->refusal(d, k)});
}

void host::sleep_now(const key& k) {
  if (const auto c = impl_->awake(k)) c->want_sleep();
}

}  // namespace troupe
