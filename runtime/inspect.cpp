#include "runtime/inspect.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "runtime/cell_parts.h"
#include "runtime/host.h"
#include "runtime/host_core.h"
#include "runtime/inspect_parts.h"

namespace troupe {

namespace {

constexpr std::size_t max_listed = 1000;

std::uintmax_t bytes_on_disk(const std::filesystem::path& file) {
  std::uintmax_t n = 0;
  for (const auto* suffix : {"", "-wal"}) {
    std::error_code ec;
    const auto size = std::filesystem::file_size(file.string() + suffix, ec);
    if (!ec) n += size;
  }
  return n;
}

json histogram_json(const std::vector<std::pair<std::int64_t, std::uint64_t>>& h) {
  json out = json::array();
  for (const auto& [bound, n] : h)
    out.push_back({{"le", bound < 0 ? json(nullptr) : json(bound)}, {"count", n}});
  return out;
}

// Secret columns are never shown, and no way round by renaming them: such a kind's queries name their
// columns.
std::optional<problem> secrets_asked(const kind& k, std::string_view sql) {
  if (k.secret_columns.empty()) return std::nullopt;
  std::string lower(sql);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto column : k.secret_columns) {
    const auto name = column.substr(column.find('.') + 1);
    if (lower.find(name) != lower.npos) return forbidden("the column " + std::string(column) + " is secret");
  }
  for (std::size_t at = 0; (at = lower.find('*', at)) != lower.npos; ++at) {
    if (at < 6 || lower.compare(at - 6, 8, "count(*)") != 0) {
      return forbidden("actors of kind " + std::string(k.name) +
                       " hold secrets: name the columns instead of *");
    }
  }
  if (lower.find("rt_changes") != lower.npos) return forbidden("rt_changes is shown by the history");
  return std::nullopt;
}

}  // namespace

inspector::inspector(host& h) : host_(&h), live_(&h.core()), kinds_(live_->kinds), data_(h.data()) {}

inspector::inspector(std::filesystem::path data, const std::vector<const kind*>& kinds)
    : own_kinds_(std::make_shared<const catalog>(kinds)), kinds_(*own_kinds_), data_(std::move(data)) {
  storage::reader is_there(data_ / "host.sqlite");
}

inspector::~inspector() = default;

std::filesystem::path inspector::file(const key& k) const {
  return data_ / k.str() / "actor.sqlite";
}

std::variant<const known_kind*, problem> inspector::known(const key& k) const {
  const auto* is = kinds_.find(k.kind());
  if (!is || k.singleton() != is->declared().singleton || !kinds_.knows_all_of(k)) {
    return not_found("there is no actor " + k.str());
  }
  return is;
}

inspector::result inspector::actors(const filter& f) const {
  const auto limit = std::clamp<std::size_t>(f.limit, 1, max_listed);
  try {
    storage::reader db(data_ / "host.sqlite");
    json list = json::array();
    std::string after = f.after;
    json next = nullptr;
    // Filters that the index does not know are applied page by page.
    for (int pages = 0; pages < 64; ++pages) {
      const storage::value params[] = {after, f.prefix, f.prefix + "\x7f", f.kind,
                                       static_cast<std::int64_t>(max_listed)};
      const auto r = db.run(
          "SELECT key, kind, last_active, created_at, next_timer, quarantined, turn, revision FROM actors "
          "WHERE key > ?1 AND (?2 = '' OR (key >= ?2 AND key < ?3)) AND (?4 = '' OR kind = ?4) ORDER BY key "
          "LIMIT ?5",
          params);
      for (const auto& row : r.rows) {
        after = string_of(row[0]);
        const auto k = key::parse(after);
        if (!k) continue;
        const auto c = live_ ? live_->awake(*k) : nullptr;
        if (f.awake && *f.awake != (c != nullptr)) continue;
        if (list.size() == limit) {
          next = list.back()["key"];
          break;
        }
        const auto figures = c ? c->look() : cell::figures{};
        list.push_back({{"key", after},
                        {"kind", string_of(row[1])},
                        {"awake", c != nullptr},
                        {"bytes", bytes_on_disk(file(*k))},
                        {"created_at", integer_of(row[3])},
                        {"last_active", integer_of(row[2])},
                        {"next_timer", to_json(row[4])},
                        {"turn", c ? static_cast<std::int64_t>(figures.turns) : integer_of(row[6])},
                        {"revision", c ? static_cast<std::int64_t>(figures.revision) : integer_of(row[7])},
                        {"mailbox", figures.mailbox},
                        {"outbox", figures.outbox},
                        {"effects", figures.effects},
                        {"feeds", figures.feeds},
                        {"quarantined", !string_of(row[5]).empty()},
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
  return look(k, [&](const known_kind& kind, storage::reader& db) -> result {
    const auto c = live_ ? live_->awake(k) : nullptr;
    const auto figures = c ? c->look() : cell::figures{};
    const storage::value own[] = {k.str()};
    storage::reader index(data_ / "host.sqlite");
    const auto entry = index.run("SELECT quarantined FROM actors WHERE key = ?", own).rows;
    const auto failure = entry.empty() ? std::string() : string_of(entry[0][0]);
    json tables = json::array();
    for (const auto& row : db.run("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").rows) {
      const auto name = string_of(row[0]);
      if (name.starts_with("sqlite_")) continue;
      const auto count = db.run("SELECT count(*) FROM \"" + name + "\"");
      tables.push_back({{"name", name}, {"rows", integer_of(count.rows.at(0)[0])}});
    }
    const auto list = [&](std::string_view sql) { return rows_of(db.run(sql)); };
    json out{{"key", k.str()},
             {"kind", kind.declared().name},
             {"awake", c != nullptr},
             {"file", file(k).string()},
             {"bytes", bytes_on_disk(file(k))},
             {"meta", list("SELECT incarnation, created_at, turn, revision, retired FROM rt_meta").at(0)},
             {"tables", std::move(tables)},
             {"mailbox", figures.mailbox},
             {"quarantined", !failure.empty()},
             {"failure", failure},
             {"subscribed", live_ && live_->topics.wanted(k.str())}};
    out["outbox"] = list(
        "SELECT target, lane, count(*) AS messages, min(number) AS first, min(time) AS since FROM rt_outbox "
        "GROUP BY target, lane LIMIT 200");
    out["effects"] =
        list("SELECT id, kind, resource, attempt, deadline, time FROM rt_effects ORDER BY number LIMIT 200");
    out["feeds"] = list("SELECT id, kind, position, time FROM rt_feeds LIMIT 200");
    out["timers"] = list("SELECT name, due, command FROM rt_timers ORDER BY due LIMIT 200");
    out["peers"] = list("SELECT sender, lane, number FROM rt_marks LIMIT 200");
    out["dead"] = list("SELECT id, time, target, name, error FROM rt_dead ORDER BY id DESC LIMIT 50");
    out["streams"] = list("SELECT name, first, last FROM rt_streams");
    out["commands"] = list(
                          "SELECT count(*) AS count, sum(ok = 0) AS failed, avg(duration_us) AS mean_us, "
                          "max(duration_us) AS max_us FROM rt_inbox")
                          .at(0);
    return out;
  });
}

inspector::result inspector::query(const key& k, std::string_view sql) const {
  return look(k, [&](const known_kind& kind, storage::reader& db) -> result {
    if (auto why = secrets_asked(kind.declared(), sql)) return *why;
    try {
      const auto r = db.run(sql);
      json rows = json::array();
      for (const auto& row : r.rows) {
        json out = json::array();
        for (const auto& v : row) out.push_back(to_json(v));
        rows.push_back(std::move(out));
      }
      return json{{"columns", r.columns}, {"rows", std::move(rows)}, {"truncated", r.truncated}};
    } catch (const storage::error& e) {
      return failed(k, e, true);
    }
  });
}

json inspector::host_state() const {
  if (!host_) return json::object();
  const auto s = host_->stats();
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
          {"data", host_->data().string()}};
}

}  // namespace troupe
