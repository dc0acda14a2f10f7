// What waits in actors, what is dead, and who talks to whom.
#include <algorithm>

#include "runtime/cell_parts.h"
#include "runtime/host_core.h"
#include "runtime/inspect.h"
#include "runtime/inspect_parts.h"

namespace troupe {

namespace {

constexpr std::size_t most_actors = 500;
constexpr std::size_t most_rows = 2000;
constexpr std::size_t most_waiting = 200;

struct listing {
  std::string_view name, actors, rows;
};

// Which actors may have some, and theirs. Bodies are left out: what they hold is for their receiver.
const listing& listing_of(inspector::waiting what) {
  static constexpr listing all[] = {
      {"outbox", "SELECT key FROM awake WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
       "SELECT target, lane, number, name, principal, reply, time FROM rt_outbox ORDER BY target, lane, "
       "number LIMIT 200"},
      {"effects", "SELECT key FROM awake WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
       "SELECT id, kind, resource, attempt, deadline, outcome AS \"then\", principal, time FROM rt_effects "
       "ORDER BY number LIMIT 200"},
      {"feeds", "SELECT key FROM awake WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
       "SELECT id, kind, position, on_batch AS \"then\", principal, time FROM rt_feeds ORDER BY id LIMIT "
       "200"},
      {"timers",
       "SELECT key FROM actors WHERE key >= ?1 AND key < ?2 AND next_timer IS NOT NULL UNION SELECT key FROM "
       "awake WHERE "
       "key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
       "SELECT name, due, command, principal FROM rt_timers ORDER BY due LIMIT 200"},
  };
  return all[static_cast<std::size_t>(what)];
}

/// The keys at or below `below`, or that begin with it, lie in [first, second).
std::pair<std::string, std::string> range_of(std::string_view below) {
  return {std::string(below), std::string(below) + "\x7f"};
}

}  // namespace

std::vector<key> inspector::some_below(std::string_view below, std::string_view sql, bool& truncated) const {
  const auto [first, end] = range_of(below);
  storage::reader index(data_ / "host.sqlite");
  const storage::value params[] = {first, end, static_cast<std::int64_t>(most_actors + 1)};
  std::vector<key> keys;
  for (const auto& row : index.run(sql, params).rows) {
    if (auto k = key::parse(string_of(row[0]))) keys.push_back(std::move(*k));
  }
  // Those in memory may owe something that the index does not know of yet.
  if (live_) {
    for (const auto& c : live_->all_awake()) {
      const auto& name = c->self().str();
      if (name >= first && name < end) keys.push_back(c->self());
    }
    std::ranges::sort(keys);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  }
  truncated = keys.size() > most_actors;
  if (truncated) keys.erase(keys.begin() + most_actors, keys.end());
  return keys;
}

inspector::result inspector::queue(const key& k) const {
  return look(k, [&](const known_kind&, storage::reader&) -> result {
    const auto c = live_ ? live_->awake(k) : nullptr;
    json queue = json::array();
    if (c) {
      for (const auto& w : c->waiting(most_waiting)) {
        queue.push_back({{"lane", w.in == lane::interactive ? "interactive" : "background"},
                         {"type", w.type},
                         {"name", w.name},
                         {"from", w.from},
                         {"principal", w.principal},
                         {"id", w.id}});
      }
    }
    return json{{"queue", std::move(queue)}, {"in_all", c ? c->look().mailbox : 0}, {"awake", c != nullptr}};
  });
}

inspector::result inspector::list(waiting what, std::string_view below) const {
  const auto& l = listing_of(what);
  try {
    bool truncated = false;
    json rows = json::array();
    std::size_t looked_at = 0;
    for (const auto& k : some_below(below, l.actors, truncated)) {
      if (rows.size() >= most_rows) truncated = true;
      if (truncated && rows.size() >= most_rows) break;
      try {
        storage::reader db(file(k));
        ++looked_at;
        for (auto& row : rows_of(db.run(l.rows))) {
          row["actor"] = k.str();
          rows.push_back(std::move(row));
        }
      } catch (const storage::error& e) {
        if (e.kind() != storage::failure::missing) throw;  // deleted meanwhile
      }
    }
    return json{{std::string(l.name), std::move(rows)}, {"actors", looked_at}, {"truncated", truncated}};
  } catch (const storage::error& e) {
    return unavailable("storage", e.what());
  }
}

inspector::result inspector::dead(std::string_view below) const {
  try {
    const auto [first, end] = range_of(below);
    const storage::value params[] = {first, end, static_cast<std::int64_t>(most_rows)};
    json quarantined = json::array(), messages = json::array();
    {
      storage::reader index(data_ / "host.sqlite");
      const auto sick = index.run(
          "SELECT key, quarantined FROM actors WHERE quarantined IS NOT NULL AND key >= ?1 AND key < ?2 "
          "ORDER BY key LIMIT ?3",
          params);
      for (const auto& row : sick.rows) {
        if (const auto why = string_of(row[1]); !why.empty())
          quarantined.push_back({{"key", string_of(row[0])}, {"why", why}});
      }
    }
    bool truncated = false;
    std::size_t looked_at = 0;
    const auto keys = some_below(
        below, "SELECT key FROM actors WHERE key >= ?1 AND key < ?2 ORDER BY last_active DESC LIMIT ?3",
        truncated);
    for (const auto& k : keys) {
      try {
        storage::reader db(file(k));
        ++looked_at;
        for (const auto& row :
             db.run("SELECT id, time, target, name, error FROM rt_dead ORDER BY id DESC LIMIT 50").rows) {
          messages.push_back({{"actor", k.str()},
                              {"id", integer_of(row[0])},
                              {"time", integer_of(row[1])},
                              {"target", string_of(row[2])},
                              {"name", string_of(row[3])},
                              {"error", parsed(row[4])}});
        }
      } catch (const storage::error&) {
        // Gone meanwhile, or broken: then it is in the other list, or will be once it is woken.
      }
    }
    return json{{"quarantined", std::move(quarantined)},
                {"messages", std::move(messages)},
                {"looked_at", looked_at},
                {"truncated", truncated}};
  } catch (const storage::error& e) {
    return unavailable("storage", e.what());
  }
}

inspector::result inspector::graph(std::string_view below) const {
  try {
    bool truncated = false;
    std::size_t looked_at = 0;
    json edges = json::array();
    const auto keys = some_below(
        below, "SELECT key FROM actors WHERE key >= ?1 AND key < ?2 ORDER BY last_active DESC LIMIT ?3",
        truncated);
    for (const auto& k : keys) {
      try {
        storage::reader db(file(k));
        ++looked_at;
        for (const auto& row : db.run("SELECT p.target, sum(p.number), (SELECT count(*) FROM rt_outbox o "
                                      "WHERE o.target = p.target) "
                                      "FROM rt_peers p GROUP BY p.target LIMIT 200")
                                   .rows) {
          edges.push_back({{"from", k.str()},
                           {"to", string_of(row[0])},
                           {"messages", integer_of(row[1])},
                           {"waiting", integer_of(row[2])}});
        }
      } catch (const storage::error& e) {
        if (e.kind() != storage::failure::missing) throw;
      }
    }
    return json{{"edges", std::move(edges)}, {"looked_at", looked_at}, {"truncated", truncated}};
  } catch (const storage::error& e) {
    return unavailable("storage", e.what());
  }
}

}  // namespace troupe
