#include "runtime/testing/actor_in_memory.h"

#include <map>
#include <stdexcept>

#include "runtime/tables.h"
#include "runtime/testing/manual.h"
#include "runtime/turn_state.h"
#include "storage/changes.h"

namespace troupe::testing {

namespace {

class own_rows final : public storage::change_recorder {
 public:
  bool wants(std::string_view table) override { return !table.starts_with(runtime_prefix); }
};

}  // namespace

class actor_in_memory::owner final : public turn_owner {
 public:
  owner(const kind& k, std::string_view name) : self_(name), known_(k), db_(":memory:") {
    const storage::schema schemas[] = {{"runtime", runtime_tables()}, {k.name, k.schema.migrations}};
    db_.migrate(schemas);
    db_.run("INSERT INTO rt_meta VALUES (1, ?, ?, ?, 0, 0, 0)", self_.str(), incarnation_,
            to_ms(time_.now()));
    db_.record_changes(&changes_);
  }
  ~owner() override { db_.record_changes(nullptr); }

  const key& self() const override { return self_; }
  const known_kind& known() const override { return known_; }
  const std::string& incarnation() const override { return incarnation_; }
  id_source& ids() const override { return ids_; }
  lane lane_at(const key&, std::string_view) const override { return lane::interactive; }
  std::uint64_t& last_number(const key& target, lane) override { return numbers_[target.str()]; }
  std::uint64_t& last_entry(std::string_view stream) override { return numbers_["#" + std::string(stream)]; }
  std::uint64_t& effect_count() override { return effects_; }
  std::chrono::milliseconds default_deadline(std::string_view,
                                             std::chrono::milliseconds otherwise) const override {
    return otherwise;
  }
  void check_outbox(const turn_state&) const override {}

  shown_turn apply(std::string_view name, const json& body, std::string principal, sender from) {
    const auto* command = known_.command(name);
    if (!command) {
      throw std::logic_error("kind " + std::string(known_.declared().name) + " has no command " +
                             std::string(name));
    }
    shown_turn shown;
    if (command->body && from.is != sender::type::effect) {
      if (const auto violations = command->body->check(body); !violations.empty()) {
        shown.reply = invalid_body(violations);
        return shown;
      }
    }
    turn_state state(*this, db_, time_.now(), turn_ + 1);
    state.from = std::move(from);
    state.principal = std::move(principal);
    state.command_id = ids_.next(time_.now());
    changes_.clear();
    const auto before = state.here();
    db_.begin();
    try {
      turn t(state);
      shown.reply = command->row->handle(t, body);
    } catch (const std::exception& e) {
      shown.reply =
          problem{500, "handler_failed", std::string(name) + " of " + self_.str() + ": " + e.what()};
    }
    if (!shown.reply.ok()) {
      db_.rollback();
      state.back_to(before);
      return shown;
    }
    db_.commit();
    turn_ = state.number;
    show(state, shown);
    return shown;
  }

  const key self_;
  const known_kind known_;
  const std::string incarnation_ = std::string(32, 'f');
  manual_clock time_;
  storage::database db_;

 private:
  void show(const turn_state& state, shown_turn& shown) const {
    shown.rows = json::from_cbor(storage::as_cbor_array(changes_.sequence()));
    for (const auto& m : state.sent) {
      shown.messages.push_back({m->to, m->name, m->body, m->reply, m->context, m->creates});
    }
    for (const auto& e : state.effects)
      shown.effects.push_back({e.id, e.kind, e.body, e.then, e.context, e.resource});
    for (const auto& f : state.feeds) shown.feeds.push_back({f.id, f.kind, f.body, f.on_batch, f.context});
    shown.cancelled = state.cancelled;
    for (const auto& [stream, e] : state.entries) {
      shown.entries.push_back({{"stream", stream}, {"seq", e.seq}, {"entry", json::parse(*e.data)}});
    }
    shown.retired = state.retired;
  }

  mutable counting_ids ids_;
  own_rows changes_;
  std::map<std::string, std::uint64_t> numbers_;
  std::uint64_t effects_ = 0, turn_ = 0;
};

actor_in_memory::actor_in_memory(const kind& k, std::string_view key)
    : owner_(std::make_unique<owner>(k, key)) {}
actor_in_memory::~actor_in_memory() = default;

shown_turn actor_in_memory::apply(std::string_view command, json body, std::string principal, sender from) {
  return owner_->apply(command, body, std::move(principal), std::move(from));
}

shown_turn actor_in_memory::outcome_of(const shown_turn::work& w, json body) {
  owner_->db_.run("DELETE FROM rt_effects WHERE id = ?", w.id);
  body["effect"] = w.id;
  body["context"] = w.context;
  return owner_->apply(w.then, body, "ada", {sender::type::effect, {}});
}

shown_turn actor_in_memory::succeed(const shown_turn::work& w, json result) {
  return outcome_of(w, {{"ok", true}, {"result", std::move(result)}});
}

shown_turn actor_in_memory::fail(const shown_turn::work& w, problem why) {
  return outcome_of(w, {{"ok", false}, {"error", std::move(why)}});
}

shown_turn actor_in_memory::answered(const shown_turn::message& m, const answer& a) {
  json body{{"ok", a.ok()}, {"context", m.context}};
  if (a.ok())
    body["result"] = a.result();
  else
    body["error"] = a.problem();
  // Outcomes have no schema.
  return owner_->apply(m.reply, body, "ada", {sender::type::effect, m.to.str()});
}

answer actor_in_memory::ask(std::string_view name, json body) {
  const auto* query = owner_->known_.query(name);
  if (!query) {
    throw std::logic_error("kind " + std::string(owner_->known_.declared().name) + " has no query " +
                           std::string(name));
  }
  if (const auto violations = query->body->check(body); !violations.empty()) return invalid_body(violations);
  const view v(owner_->self_, owner_->db_, now());
  return query->row->handle(v, body);
}

json actor_in_memory::snapshot() {
  const auto build = owner_->known_.declared().snapshot;
  const view v(owner_->self_, owner_->db_, now());
  return build ? build(v) : json::object();
}

json actor_in_memory::timers() {
  json set = json::array();
  owner_->db_.each("SELECT name, due, command, body FROM rt_timers ORDER BY due, name",
                   [&](const storage::row& r) {
                     set.push_back({{"name", r.get<std::string>(0)},
                                    {"due", r.get<std::int64_t>(1)},
                                    {"command", r.get<std::string>(2)},
                                    {"body", json::parse(r.get<std::string_view>(3))}});
                   });
  return set;
}

std::vector<shown_turn> actor_in_memory::advance(std::chrono::milliseconds by) {
  const auto until = now() + by;
  std::vector<shown_turn> rung;
  for (auto set = timers(); !set.empty() && from_ms(set[0]["due"]) <= until; set = timers()) {
    const auto next = set[0];
    if (const auto wait = from_ms(next["due"]) - now(); wait.count() > 0) owner_->time_.advance(wait);
    owner_->db_.run("DELETE FROM rt_timers WHERE name = ?", next["name"].get<std::string>());
    rung.push_back(
        owner_->apply(next["command"].get<std::string>(), next["body"], "ada", {sender::type::self, {}}));
  }
  owner_->time_.advance(until - now());
  return rung;
}

timestamp actor_in_memory::now() const {
  return owner_->time_.now();
}

}  // namespace troupe::testing
