// The past of one actor, from its history and the row changes that its turns recorded.
#include <algorithm>
#include <map>

#include "runtime/inspect.h"
#include "runtime/inspect_parts.h"
#include "runtime/tables.h"

namespace troupe {

namespace {

constexpr std::size_t max_history = 500;
constexpr std::int64_t turns_at_once = 128;
constexpr std::chrono::seconds longest_search{2};

constexpr std::string_view history_columns =
    "SELECT i.seq, i.turn, i.time, i.source, i.sender, i.principal, i.id, i.name, i.body, i.ok, i.result, "
    "i.duration_us, "
    "i.changes_at, i.changes_end, c.data FROM rt_inbox i LEFT JOIN rt_changes c ON c.turn = i.turn ";

json command_of(const std::vector<storage::value>& row) {
  constexpr const char* sources[] = {"client", "actor", "effect", "feed", "timer", "host"};
  json item{{"seq", integer_of(row[0])},
            {"turn", integer_of(row[1])},
            {"time", integer_of(row[2])},
            {"from", sources[std::clamp<std::int64_t>(integer_of(row[3]), 0, 5)]},
            {"sender", string_of(row[4])},
            {"principal", string_of(row[5])},
            {"id", string_of(row[6])},
            {"name", string_of(row[7])},
            {"body", parsed(row[8])},
            {"ok", integer_of(row[9]) != 0},
            {"duration_us", integer_of(row[11])},
            {"changes", changes_of(row[14], integer_of(row[12]), integer_of(row[13]))}};
  item[integer_of(row[9]) ? "result" : "error"] = parsed(row[10]);
  return item;
}

/// The turns that can be told: `last` is the newest, `oldest` the one before the first command that is kept.
struct known_turns {
  std::int64_t last = 0, oldest = 0;

  static known_turns of(storage::reader& db) {
    const auto rows = db.run("SELECT turn, (SELECT min(turn) FROM rt_inbox) FROM rt_meta").rows;
    known_turns k;
    if (rows.empty()) return k;
    k.last = integer_of(rows[0][0]);
    k.oldest = std::holds_alternative<std::nullptr_t>(rows[0][1]) ? k.last : integer_of(rows[0][1]) - 1;
    return k;
  }

  std::optional<problem> refuse(const key& k, std::uint64_t turn) const {
    const auto t = static_cast<std::int64_t>(turn);
    if (t > last) {
      return unprocessable("no_such_turn", "the last turn of " + k.str() + " is " + std::to_string(last));
    }
    if (t < oldest)
      return bad_turn("the history of " + k.str() + " reaches back to turn " + std::to_string(oldest));
    return std::nullopt;
  }
};

std::optional<problem> not_recorded(const key& k, const known_kind& kind) {
  if (kind.declared().record_changes) return std::nullopt;
  return unprocessable("changes_not_recorded",
                       "actors of kind " + std::string(kind.declared().name) +
                           " do not record the rows that they change, so the past of " + k.str() +
                           " is not known");
}

class not_exact {};  // a turn changed more than a recording holds

/// Calls f(change) for the changes of the turns in (after, upto], the last one first.
template <class F>
void each_change(storage::reader& db, std::int64_t after, std::int64_t upto, F&& f) {
  const auto until = std::chrono::steady_clock::now() + longest_search;
  for (;;) {
    const storage::value range[] = {after, upto, turns_at_once};
    const auto page = db.run(
        "SELECT turn, data FROM rt_changes WHERE turn > ? AND turn <= ? ORDER BY turn DESC LIMIT ?", range);
    for (const auto& row : page.rows) {
      const auto* data = std::get_if<storage::blob>(&row[1]);
      const auto changes = changes_of(row[1], 0, data ? static_cast<std::int64_t>(data->size()) : 0);
      for (auto c = changes.rbegin(); c != changes.rend(); ++c) {
        if (c->size() < 4) throw not_exact();
        f(*c);
      }
      upto = integer_of(row[0]) - 1;
    }
    if (page.rows.size() < static_cast<std::size_t>(turns_at_once)) return;
    if (std::chrono::steady_clock::now() > until) throw not_exact();
  }
}

problem too_far(const key& k) {
  return unprocessable("too_far", "too much happened to " + k.str() +
                                      " since then to be told exactly; ask for turns that are closer");
}

/// One table as it is taken back.
struct past_table {
  std::vector<std::string> key;  // columns; none: the rowid
  std::map<std::string, json> rows;
  bool truncated = false;

  json key_of(const json& row) const {
    if (key.size() == 1) return row.value(key[0], json());
    json all = json::array();
    for (const auto& column : key) all.push_back(row.value(column, json()));
    return all;
  }
  /// Where a row stands after an update, which may have changed its key.
  json key_after(const json& before, const json& columns) const {
    auto after = before;
    for (std::size_t i = 0; i < key.size(); ++i) {
      if (!columns.contains(key[i])) continue;
      (key.size() == 1 ? after : after[i]) = columns[key[i]][1];
    }
    return after;
  }
  void undo(const json& change) {
    const auto op = change[0].get<std::string>();
    const auto& columns = change[3];
    if (op == "+") {
      rows.erase(change[2].dump());
    } else if (op == "-") {
      rows[change[2].dump()] = columns;
    } else if (const auto at = rows.find(key_after(change[2], columns).dump()); at != rows.end()) {
      auto row = std::move(at->second);
      rows.erase(at);
      for (const auto& [name, values] : columns.items()) row[name] = values[0];
      rows[change[2].dump()] = std::move(row);
    }
  }
};

past_table table_now(storage::reader& db, const known_kind& kind, const std::string& name) {
  past_table t;
  const storage::value named[] = {name};
  for (const auto& row :
       db.run("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", named).rows) {
    t.key.push_back(string_of(row[0]));
  }
  const auto all = db.run((t.key.empty() ? "SELECT rowid, * FROM \"" : "SELECT * FROM \"") + name + "\"");
  t.truncated = all.truncated;
  for (auto& row : rows_of(all)) {
    for (auto& [column, value] : row.items()) {
      if (kind.secret_column(name, column)) value = "***";
    }
    auto k = t.key.empty() ? row["rowid"] : t.key_of(row);
    if (t.key.empty()) row.erase("rowid");
    t.rows.emplace(k.dump(), std::move(row));
  }
  return t;
}

using past_tables = std::map<std::string, past_table>;

past_tables tables_now(storage::reader& db, const known_kind& kind, std::string_view only) {
  past_tables tables;
  for (const auto& row : db.run("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").rows) {
    const auto name = string_of(row[0]);
    if (name.starts_with(runtime_prefix) || name.starts_with("sqlite_") || name == "storage_schema") continue;
    if (only.empty() || only == name) tables.emplace(name, table_now(db, kind, name));
  }
  return tables;
}

/// From what they were after one turn to what they were after an earlier one.
void take_back(past_tables& tables, storage::reader& db, std::int64_t from, std::int64_t to) {
  each_change(db, to, from, [&](const json& c) {
    if (const auto t = tables.find(c[1].get<std::string>()); t != tables.end()) t->second.undo(c);
  });
}

/// In the form of recorded changes.
json differences(const past_tables& before, const past_tables& after) {
  json changes = json::array();
  const auto key_of = [](const std::string& text) { return json::parse(text); };
  for (const auto& [name, now] : after) {
    const auto& was = before.at(name);
    for (const auto& [k, row] : was.rows) {
      if (!now.rows.contains(k)) changes.push_back({"-", name, key_of(k), row});
    }
    for (const auto& [k, row] : now.rows) {
      const auto old = was.rows.find(k);
      if (old == was.rows.end()) {
        changes.push_back({"+", name, key_of(k), row});
        continue;
      }
      json columns = json::object();
      for (const auto& [column, value] : row.items()) {
        const auto earlier = old->second.value(column, json());
        if (earlier != value) columns[column] = {earlier, value};
      }
      if (!columns.empty()) changes.push_back({"~", name, key_of(k), columns});
    }
  }
  return changes;
}

bool names_row(const json& key, std::string_view row) {
  if (key.is_string() && key.get_ref<const std::string&>() == row) return true;
  const auto given = json::parse(row, nullptr, false);
  return !given.is_discarded() && given == key;
}

}  // namespace

inspector::result inspector::history(const key& k, std::uint64_t after, std::size_t limit,
                                     bool newest) const {
  limit = std::clamp<std::size_t>(limit, 1, max_history);
  return look(k, [&](const known_kind&, storage::reader& db) -> result {
    const storage::value params[] = {static_cast<std::int64_t>(after), static_cast<std::int64_t>(limit + 1)};
    const auto sql = std::string(history_columns) + "WHERE i.seq > ? ORDER BY i.seq " +
                     (newest ? "DESC" : "ASC") + " LIMIT ?";
    const auto r = db.run(sql, params);
    json list = json::array();
    for (const auto& row : r.rows) {
      if (list.size() == limit) break;
      list.push_back(command_of(row));
    }
    json next = nullptr;
    if (newest)
      std::reverse(list.begin(), list.end());
    else if (r.rows.size() > limit)
      next = list.back()["seq"];
    return json{{"history", std::move(list)}, {"next", std::move(next)}};
  });
}

inspector::result inspector::at(const key& k, std::uint64_t turn, std::string_view only) const {
  return look(k, [&](const known_kind& kind, storage::reader& db) -> result {
    if (auto why = not_recorded(k, kind)) return *why;
    db.hold();
    const auto turns = known_turns::of(db);
    if (auto why = turns.refuse(k, turn)) return *why;
    auto tables = tables_now(db, kind, only);
    if (!only.empty() && tables.empty()) {
      return not_found(k.str() + " has no table " + std::string(only) + " of its own");
    }
    try {
      take_back(tables, db, turns.last, static_cast<std::int64_t>(turn));
    } catch (const not_exact&) {
      return too_far(k);
    }
    const storage::value then[] = {static_cast<std::int64_t>(turn)};
    const auto time = db.run("SELECT max(time) FROM rt_inbox WHERE turn <= ?", then).rows;
    json shown = json::object();
    for (auto& [name, t] : tables) {
      json rows = json::array();
      for (auto& [at, row] : t.rows) rows.push_back(std::move(row));
      shown[name] = {{"key", t.key}, {"rows", std::move(rows)}, {"truncated", t.truncated}};
    }
    return json{{"turn", turn},
                {"time", to_json(time.at(0)[0])},
                {"last", turns.last},
                {"oldest", turns.oldest},
                {"tables", std::move(shown)}};
  });
}

inspector::result inspector::diff(const key& k, std::uint64_t from, std::uint64_t to) const {
  return look(k, [&](const known_kind& kind, storage::reader& db) -> result {
    if (auto why = not_recorded(k, kind)) return *why;
    db.hold();
    const auto turns = known_turns::of(db);
    for (const auto turn : {from, to}) {
      if (auto why = turns.refuse(k, turn)) return *why;
    }
    if (from > to) return unprocessable("bad_range", "the first turn comes after the second one");
    auto after = tables_now(db, kind, {});
    past_tables before;
    try {
      take_back(after, db, turns.last, static_cast<std::int64_t>(to));
      before = after;
      take_back(before, db, static_cast<std::int64_t>(to), static_cast<std::int64_t>(from));
    } catch (const not_exact&) {
      return too_far(k);
    }
    const bool truncated = std::ranges::any_of(after, [](const auto& t) { return t.second.truncated; });
    const storage::value range[] = {static_cast<std::int64_t>(from), static_cast<std::int64_t>(to)};
    const auto commands = db.run("SELECT count(*) FROM rt_inbox WHERE turn > ? AND turn <= ?", range).rows;
    return json{{"from", from},
                {"to", to},
                {"commands", integer_of(commands.at(0)[0])},
                {"changes", differences(before, after)},
                {"truncated", truncated}};
  });
}

inspector::result inspector::why(const key& k, std::string_view table, std::string_view row,
                                 std::size_t limit) const {
  limit = std::clamp<std::size_t>(limit, 1, max_history);
  return look(k, [&](const known_kind& kind, storage::reader& db) -> result {
    if (auto why = not_recorded(k, kind)) return *why;
    db.hold();
    const auto turns = known_turns::of(db);
    const auto until = std::chrono::steady_clock::now() + longest_search;
    json found = json::array();
    std::int64_t before = std::numeric_limits<std::int64_t>::max();
    for (bool more = true; more && found.size() < limit;) {
      const storage::value params[] = {before, turns_at_once};
      const auto page =
          db.run(std::string(history_columns) +
                     "WHERE i.seq < ? AND i.changes_end > i.changes_at ORDER BY i.seq DESC LIMIT ?",
                 params);
      more = page.rows.size() == static_cast<std::size_t>(turns_at_once);
      for (const auto& r : page.rows) {
        before = integer_of(r[0]);
        const auto changes = changes_of(r[14], integer_of(r[12]), integer_of(r[13]));
        for (auto c = changes.rbegin(); c != changes.rend() && found.size() < limit; ++c) {
          if (c->size() < 4 || (*c)[1] != table || !names_row((*c)[2], row)) continue;
          auto command = command_of(r);
          command.erase("changes");
          command["change"] = *c;
          found.push_back(std::move(command));
          break;
        }
      }
      if (std::chrono::steady_clock::now() > until) break;
    }
    return json{{"changes", std::move(found)}, {"oldest", turns.oldest}, {"last", turns.last}};
  });
}

}  // namespace troupe
