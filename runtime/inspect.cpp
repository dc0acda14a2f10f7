#include "runtime/inspect.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "runtime/cell_parts.h"
#include "runtime/host.h"
#include "runtime/host_core.h"
#include "storage/changes.h"
#include "storage/reader.h"

namespace troupe {

namespace {

using nlohmann::json;
using storage::read_result;

constexpr std::size_t max_listed = 1000;
constexpr std::size_t max_history = 500;

json to_json(const storage::value& v) {
  return std::visit(
      [](const auto& x) -> json {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, storage::blob>) {
          std::string hex = "x'";
          constexpr char digits[] = "0123456789abcdef";
          for (const auto b : x) {
            hex += digits[std::to_integer<int>(b) >> 4];
            hex += digits[std::to_integer<int>(b) & 15];
          }
          return hex + "'";
        } else {
          return x;
        }
      },
      v);
}

json rows_of(const read_result& r) {
  json rows = json::array();
  for (const auto& row : r.rows) {
    json out = json::object();
    for (std::size_t i = 0; i < row.size(); ++i) out[r.columns[i]] = to_json(row[i]);
    rows.push_back(std::move(out));
  }
  return rows;
}

std::int64_t integer(const storage::value& v) {
  const auto* n = std::get_if<std::int64_t>(&v);
  return n ? *n : 0;
}

std::string text(const storage::value& v) {
  const auto* s = std::get_if<std::string>(&v);
  return s ? *s : std::string();
}

json parsed(const storage::value& v) { return json::parse(text(v), nullptr, false); }

std::uintmax_t bytes_on_disk(const std::filesystem::path& file) {
  std::uintmax_t n = 0;
  for (const auto* suffix : {"", "-wal"}) {
    std::error_code ec;
    const auto size = std::filesystem::file_size(file.string() + suffix, ec);
    if (!ec) n += size;
  }
  return n;
}

problem failed(const key& k, const storage::error& e) {
  if (e.kind() == storage::failure::missing) return not_found("there is no actor " + k.str());
  if (e.kind() == storage::failure::misuse) return unprocessable("bad_sql", e.what());
  if (e.kind() == storage::failure::interrupted) return unprocessable("query_too_slow", e.what());
  return unavailable("storage", e.what());
}

json histogram_json(const std::vector<std::pair<std::int64_t, std::uint64_t>>& h) {
  json out = json::array();
  for (const auto& [bound, n] : h) out.push_back({{"le", bound < 0 ? json(nullptr) : json(bound)}, {"count", n}});
  return out;
}

// Secret columns are never shown, and no way round by renaming them: such a kind's queries name their columns.
std::optional<problem> secrets_asked(const kind& k, std::string_view sql) {
  if (k.secret_columns.empty()) return std::nullopt;
  std::string lower(sql);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto column : k.secret_columns) {
    const auto name = column.substr(column.find('.') + 1);
    if (lower.find(name) != lower.npos) return forbidden("the column " + std::string(column) + " is secret");
  }
  for (std::size_t at = 0; (at = lower.find('*', at)) != lower.npos; ++at) {
    if (at < 6 || lower.compare(at - 6, 8, "count(*)") != 0) {
      return forbidden("actors of kind " + std::string(k.name) + " hold secrets: name the columns instead of *");
    }
  }
  if (lower.find("rt_changes") != lower.npos) return forbidden("rt_changes is shown by the history");
  return std::nullopt;
}

}  // namespace

inspector::result inspector::actors(const filter& f) const {
  auto& core = host_.core();
  const auto limit = std::clamp<std::size_t>(f.limit, 1, max_listed);
  try {
    storage::reader db(core.dir.own_file());
    json list = json::array();
    std::string after = f.after;
    json next = nullptr;
    // Filters that the index does not know are applied page by page.
    for (int pages = 0; pages < 64; ++pages) {
      const storage::value params[] = {after, f.prefix, f.prefix + "\x7f", f.kind, static_cast<std::int64_t>(max_listed)};
      const auto r = db.run(
          "SELECT key, kind, last_active, created_at, next_timer, quarantined, turn, revision FROM actors "
          "WHERE key > ?1 AND (?2 = '' OR (key >= ?2 AND key < ?3)) AND (?4 = '' OR kind = ?4) ORDER BY key LIMIT ?5",
          params);
      for (const auto& row : r.rows) {
        after = text(row[0]);
        const auto k = key::parse(after);
        if (!k) continue;
        const auto c = core.awake(*k);
        if (f.awake && *f.awake != (c != nullptr)) continue;
        if (list.size() == limit) {
          next = list.back()["key"];
          break;
        }
        const auto figures = c ? c->look() : cell::figures{};
        list.push_back({{"key", after},
                        {"kind", text(row[1])},
                        {"awake", c != nullptr},
                        {"bytes", bytes_on_disk(core.dir.file(*k))},
                        {"created_at", integer(row[3])},
                        {"last_active", integer(row[2])},
                        {"next_timer", to_json(row[4])},
                        {"turn", c ? static_cast<std::int64_t>(figures.turns) : integer(row[6])},
                        {"revision", c ? static_cast<std::int64_t>(figures.revision) : integer(row[7])},
                        {"mailbox", figures.mailbox},
                        {"outbox", figures.outbox},
                        {"effects", figures.effects},
                        {"feeds", figures.feeds},
                        {"quarantined", !text(row[5]).empty()},
                        {"failure", to_json(row[5])}});
      }
      if (!next.is_null() || r.rows.size() < max_listed) break;
    }
    return json{{"actors", std::move(list)}, {"next", std::move(next)}};
  } catch (const storage::error& e) {
    return unavailable("storage", e.what());
  }
}

inspector::result inspector::actor(const key& k) const {
  auto& core = host_.core();
  const auto* known = core.kinds.find(k.kind());
  if (!known) return not_found("there is no actor " + k.str());
  try {
    storage::reader db(core.dir.file(k));
    const auto c = core.awake(k);
    const auto figures = c ? c->look() : cell::figures{};
    const auto entry = core.dir.find(k);
    json tables = json::array();
    for (const auto& row : db.run("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").rows) {
      const auto name = text(row[0]);
      if (name.starts_with("sqlite_")) continue;
      const auto count = db.run("SELECT count(*) FROM \"" + name + "\"");
      tables.push_back({{"name", name}, {"rows", integer(count.rows.at(0)[0])}});
    }
    const auto list = [&](std::string_view sql) { return rows_of(db.run(sql)); };
    json out{{"key", k.str()},
             {"kind", known->declared().name},
             {"awake", c != nullptr},
             {"file", core.dir.file(k).string()},
             {"bytes", bytes_on_disk(core.dir.file(k))},
             {"meta", list("SELECT incarnation, created_at, turn, revision, retired FROM rt_meta").at(0)},
             {"tables", std::move(tables)},
             {"mailbox", figures.mailbox},
             {"quarantined", entry && !entry->quarantined.empty()},
             {"failure", entry ? entry->quarantined : ""},
             {"subscribed", core.topics.wanted(k.str())}};
    out["outbox"] = list("SELECT target, lane, count(*) AS messages, min(number) AS first, min(time) AS since FROM rt_outbox "
                         "GROUP BY target, lane LIMIT 200");
    out["effects"] = list("SELECT id, kind, resource, attempt, deadline, time FROM rt_effects ORDER BY number LIMIT 200");
    out["feeds"] = list("SELECT id, kind, position, time FROM rt_feeds LIMIT 200");
    out["timers"] = list("SELECT name, due, command FROM rt_timers ORDER BY due LIMIT 200");
    out["peers"] = list("SELECT sender, lane, number FROM rt_marks LIMIT 200");
    out["dead"] = list("SELECT id, time, target, name, error FROM rt_dead ORDER BY id DESC LIMIT 50");
    out["streams"] = list("SELECT name, first, last FROM rt_streams");
    out["commands"] = list("SELECT count(*) AS count, sum(ok = 0) AS failed, avg(duration_us) AS mean_us, "
                           "max(duration_us) AS max_us FROM rt_inbox").at(0);
    return out;
  } catch (const storage::error& e) {
    return failed(k, e);
  }
}

inspector::result inspector::history(const key& k, std::uint64_t after, std::size_t limit) const {
  auto& core = host_.core();
  limit = std::clamp<std::size_t>(limit, 1, max_history);
  try {
    storage::reader db(core.dir.file(k));
    const storage::value params[] = {static_cast<std::int64_t>(after), static_cast<std::int64_t>(limit + 1)};
    const auto r = db.run(
        "SELECT seq, i.turn, time, source, sender, principal, id, name, body, ok, result, duration_us, changes_at, "
        "changes_end, c.data FROM rt_inbox i LEFT JOIN rt_changes c ON c.turn = i.turn WHERE seq > ? ORDER BY seq LIMIT ?",
        params);
    constexpr const char* sources[] = {"client", "actor", "effect", "feed", "timer", "host"};
    json list = json::array();
    for (const auto& row : r.rows) {
      if (list.size() == limit) break;
      json item{{"seq", integer(row[0])},
                {"turn", integer(row[1])},
                {"time", integer(row[2])},
                {"from", sources[std::clamp<std::int64_t>(integer(row[3]), 0, 5)]},
                {"sender", text(row[4])},
                {"principal", text(row[5])},
                {"id", text(row[6])},
                {"name", text(row[7])},
                {"body", parsed(row[8])},
                {"ok", integer(row[9]) != 0},
                {"duration_us", integer(row[11])}};
      item[integer(row[9]) ? "result" : "error"] = parsed(row[10]);
      item["changes"] = json::array();
      if (const auto* data = std::get_if<storage::blob>(&row[14])) {
        const auto all = storage::as_text(*data);
        const auto from = static_cast<std::size_t>(integer(row[12])), to = static_cast<std::size_t>(integer(row[13]));
        if (from <= to && to <= all.size()) {
          item["changes"] = json::from_cbor(storage::as_cbor_array(all.substr(from, to - from)), true, false);
        }
      }
      list.push_back(std::move(item));
    }
    json next = nullptr;
    if (r.rows.size() > limit) next = list.back()["seq"];
    return json{{"history", std::move(list)}, {"next", std::move(next)}};
  } catch (const storage::error& e) {
    return failed(k, e);
  }
}

inspector::result inspector::query(const key& k, std::string_view sql) const {
  auto& core = host_.core();
  const auto* known = core.kinds.find(k.kind());
  if (!known) return not_found("there is no actor " + k.str());
  if (auto why = secrets_asked(known->declared(), sql)) return *why;
  try {
    storage::reader db(core.dir.file(k));
    const auto r = db.run(sql);
    json rows = json::array();
    for (const auto& row : r.rows) {
      json out = json::array();
      for (const auto& v : row) out.push_back(to_json(v));
      rows.push_back(std::move(out));
    }
    return json{{"columns", r.columns}, {"rows", std::move(rows)}, {"truncated", r.truncated}};
  } catch (const storage::error& e) {
    return failed(k, e);
  }
}

json inspector::host_state() const {
  const auto s = host_.stats();
  return {{"awake", s.awake},
          {"awake_limit", s.awake_limit},
          {"actors", s.actors},
          {"quarantined", s.quarantined},
          {"subscribers", s.subscribers},
          {"turns", s.turns},
          {"commands", s.commands},
          {"failed_commands", s.failed_commands},
          {"queries", s.queries},
          {"wakes", s.wakes},
          {"sleeps", s.sleeps},
          {"messages", s.messages},
          {"effects_started", s.effects_started},
          {"effects_failed", s.effects_failed},
          {"commits_failed", s.commits_failed},
          {"snapshots_built", s.snapshots_built},
          {"turn_latency_us", histogram_json(s.turn_latency)},
          {"commit_latency_us", histogram_json(s.commit_latency)},
          {"batch_sizes", histogram_json(s.batch_sizes)},
          {"uptime_ms", s.uptime.count()},
          {"data", host_.data().string()}};
}

}  // namespace troupe
