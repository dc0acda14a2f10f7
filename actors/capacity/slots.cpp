#include <algorithm>

#include "actors/body.h"
#include "actors/capacity/capacity.h"
#include "actors/capacity/handlers.h"

namespace troupe::actors::capacity_actor {
namespace {

// A slot runs for a session; its task asks for it and hears of it.
key task_of(const std::string& holder) {
  return *key(holder).parent();
}

json slot(const std::string& holder, bool granted, std::int64_t position) {
  return {{"session", std::string(key(holder).id())}, {"granted", granted}, {"position", position}};
}

std::optional<std::string> state_of(const view& v, const std::string& holder) {
  return v.one<std::string>("SELECT state FROM slots WHERE holder = ?", holder);
}

// Whether the holder is a session of the task that sent this.
bool owns(const turn& t, const std::string& holder) {
  const auto k = key::parse(holder);
  return k && k->kind() == "session" && k->parent() && k->parent()->str() == t.from().actor;
}

problem not_yours(const turn& t, const std::string& holder) {
  return unprocessable("not_a_session_of_the_task", holder + " is not a session of " + t.from().actor +
                                                        ": a slot is asked for by its task");
}

void arm(turn& t) {
  if (const auto next = t.one<std::int64_t>("SELECT min(until) FROM slots WHERE until IS NOT NULL")) {
    t.set_timer("expire", from_ms(*next), "capacity.expire");
  } else {
    t.clear_timer("expire");
  }
}

void keep(turn& t, const std::string& holder) {
  t.run("UPDATE slots SET state = 'granted', until = ? WHERE holder = ?",
        to_ms(t.now() + capacity_limits::slot_lifetime), holder);
}

void drop(turn& t, const std::string& holder) {
  t.run("DELETE FROM slots WHERE holder = ?", holder);
}

struct candidate {
  std::string holder;
  std::string organization;
};

// The first in line whose organization has room.
std::optional<candidate> first_in_line(const view& v) {
  std::optional<candidate> found;
  v.each(
      "SELECT s.holder, s.organization FROM slots s LEFT JOIN organizations o USING (organization)"
      " WHERE s.state = 'waiting' AND (o.max_running IS NULL OR o.max_running >"
      "  (SELECT count(*) FROM slots r WHERE r.organization = s.organization AND r.state != 'waiting'))"
      " ORDER BY s.number LIMIT 1",
      [&](const storage::row& r) {
        found = candidate{r.get<std::string>(0), r.get<std::string>(1)};
      });
  return found;
}

void tell_positions(turn& t) {
  struct place {
    std::string holder;
    std::int64_t position;
  };
  std::vector<place> changed;
  std::int64_t position = 0;
  t.each("SELECT holder, told FROM slots WHERE state = 'waiting' ORDER BY number",
         [&](const storage::row& r) {
           ++position;
           const auto told = r.get<std::optional<std::int64_t>>(1);
           if (told && *told == position) return;
           // Far back in a long line not every step is news: one end of a run would send thousands of
           // messages.
           if (told && position > capacity_limits::exact_positions &&
               *told - position < capacity_limits::exact_positions) {
             return;
           }
           changed.push_back({r.get<std::string>(0), position});
         });
  for (const auto& p : changed) {
    t.run("UPDATE slots SET told = ? WHERE holder = ?", p.position, p.holder);
    t.send(task_of(p.holder), "task.apply_slot", slot(p.holder, false, p.position));
  }
}

}  // namespace

void grant(turn& t) {
  const auto max = t.one<std::int64_t>("SELECT max_running FROM limits WHERE id = 1")
                       .value_or(capacity_limits::default_max_running);
  auto running =
      t.one<std::int64_t>("SELECT count(*) FROM slots WHERE state IN ('granted', 'asked')").value_or(0);
  while (running < max) {
    const auto next = first_in_line(t);
    if (!next) break;
    t.run("UPDATE slots SET since = ?, told = NULL WHERE holder = ?", t.now_ms(), next->holder);
    keep(t, next->holder);
    t.send(task_of(next->holder), "task.apply_slot", slot(next->holder, true, 0));
    ++running;
  }
  tell_positions(t);
  arm(t);
}

answer request(turn& t, const json& body) {
  const auto holder = text_or(body, "holder", "");
  if (!owns(t, holder)) return not_yours(t, holder);
  if (const auto state = state_of(t, holder)) {
    // Asked again (after a retry, say): the same answer again, and its place in line stays.
    if (*state == "waiting") {
      t.run("UPDATE slots SET told = NULL WHERE holder = ?", holder);
      tell_positions(t);
    } else {
      keep(t, holder);
      t.send(task_of(holder), "task.apply_slot", slot(holder, true, 0));
      arm(t);
    }
    return done();
  }
  if (t.one<std::int64_t>("SELECT count(*) FROM slots WHERE state = 'waiting'").value_or(0) >=
      capacity_limits::max_waiting) {
    return too_many("too_many_waiting",
                    std::to_string(capacity_limits::max_waiting) +
                        " sessions wait for a slot already; try again when some have run",
                    60);
  }
  t.run("UPDATE numbers SET last = last + 1 WHERE id = 1");
  t.run(
      "INSERT INTO slots (holder, organization, state, number, since)"
      " VALUES (?, ?, 'waiting', (SELECT last FROM numbers), ?)",
      holder, key(holder).id_of("org"), t.now_ms());
  grant(t);
  return done();
}

answer release(turn& t, const json& body) {
  const auto holder = text_or(body, "holder", "");
  if (!owns(t, holder)) return not_yours(t, holder);
  drop(t, holder);
  grant(t);
  return done();
}

// Who renews what it does not have (any more) stands in line again: its task believes that it runs.
answer renew(turn& t, const json& body) {
  const auto holder = text_or(body, "holder", "");
  if (!owns(t, holder)) return not_yours(t, holder);
  const auto state = state_of(t, holder).value_or("none");
  if (next_state(slot_transitions(), state, "capacity.renew") != "granted") return request(t, body);
  keep(t, holder);
  arm(t);
  return done();
}

answer expire(turn& t, const json&) {
  struct due {
    std::string holder, state;
  };
  std::vector<due> all;
  t.each(
      "SELECT holder, state FROM slots WHERE until <= ? ORDER BY until",
      [&](const storage::row& r) {
        all.push_back({r.get<std::string>(0), r.get<std::string>(1)});
      },
      t.now_ms());
  for (const auto& d : all) {
    const auto to = next_state(slot_transitions(), d.state, "capacity.expire");
    if (to == "asked") {
      t.run("UPDATE slots SET state = ?, until = ? WHERE holder = ?", *to,
            to_ms(t.now() + capacity_limits::answer_time), d.holder);
      // To a task that still wants the slot this says nothing new; one that is gone settles the question.
      t.ask(task_of(d.holder), "task.apply_slot", slot(d.holder, true, 0), "capacity.apply_answer",
            {{"holder", d.holder}});
    } else {
      drop(t, d.holder);
    }
  }
  grant(t);
  return done();
}

answer apply_answer(turn& t, const json& body) {
  const auto result = outcome::of(body);
  const auto holder = text_or(result.context, "holder", "");
  // Released, renewed or lost meanwhile: the answer is to a question that nobody asks any more.
  if (state_of(t, holder) != "asked") return done();
  const auto to = next_state(slot_transitions(), "asked",
                             result.ok() ? "capacity.apply_answer: ok" : "capacity.apply_answer: error");
  if (to == "granted") {
    keep(t, holder);
    arm(t);
  } else {
    drop(t, holder);
    grant(t);
  }
  return done();
}

}  // namespace troupe::actors::capacity_actor
