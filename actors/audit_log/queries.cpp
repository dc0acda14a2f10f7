#include <array>

#include "actors/audit_log/audit_log.h"
#include "actors/audit_log/chain.h"
#include "actors/audit_log/handlers.h"
#include "actors/body.h"

namespace troupe::actors::audit_actor {
namespace {

#define TROUPE_ENTRY_COLUMNS \
  "seq, time, principal, kind, actor, repository, task, branch, session, payload, previous, hash"

// The same parameters for all: task, session, repository, branch, principal, kind, beginning of kinds, since,
// until, before, how many. They differ in the one equality that the planner may look up in an index; the
// others filter.
#define TROUPE_AUDIT_LIST(first)                                                                        \
  "SELECT " TROUPE_ENTRY_COLUMNS " FROM entries WHERE " first                                           \
  " AND (?1 IS NULL OR task = ?1) AND (?2 IS NULL OR session = ?2) AND (?3 IS NULL OR repository = ?3)" \
  " AND (?4 IS NULL OR branch = ?4) AND (?5 IS NULL OR principal = ?5) AND (?6 IS NULL OR kind = ?6)"   \
  " AND (?7 IS NULL OR substr(kind, 1, length(?7)) = ?7) AND (?8 IS NULL OR time >= ?8)"                \
  " AND (?9 IS NULL OR time < ?9) AND (?10 IS NULL OR seq < ?10) ORDER BY seq DESC LIMIT ?11"

constexpr std::string_view by_task = TROUPE_AUDIT_LIST("task = ?1");
constexpr std::string_view by_session = TROUPE_AUDIT_LIST("session = ?2");
constexpr std::string_view by_repository = TROUPE_AUDIT_LIST("repository = ?3");
constexpr std::string_view by_principal = TROUPE_AUDIT_LIST("principal = ?5");
constexpr std::string_view by_kind = TROUPE_AUDIT_LIST("kind = ?6");
constexpr std::string_view by_number = TROUPE_AUDIT_LIST("seq > 0");
#undef TROUPE_AUDIT_LIST

json entry_of(const storage::row& r) {
  const auto text = [&](int column) { return or_null(r.get<std::optional<std::string>>(column)); };
  return {{"seq", r.get<std::uint64_t>(0)},
          {"time", r.get<std::int64_t>(1)},
          {"principal", text(2)},
          {"kind", text(3)},
          {"actor", text(4)},
          {"repository", text(5)},
          {"task", text(6)},
          {"branch", text(7)},
          {"session", text(8)},
          {"payload", json::parse(r.get<std::string>(9))},
          {"previous", text(10)},
          {"hash", text(11)}};
}

}  // namespace

answer list(const view& v, const json& body) {
  const auto limit = integer_of(body, "limit").value_or(100);
  const auto task = text_of(body, "task"), session = text_of(body, "session"),
             repository = text_of(body, "repository"), branch = text_of(body, "branch"),
             principal = text_of(body, "principal");
  auto kind = text_of(body, "kind");
  std::optional<std::string> beginning;
  if (kind && kind->ends_with('.')) {
    beginning = kind;
    kind.reset();
  }
  const auto sql = session      ? by_session
                   : task       ? by_task
                   : kind       ? by_kind
                   : principal  ? by_principal
                   : repository ? by_repository
                                : by_number;
  auto entries = json::array();
  json next = nullptr;
  v.each(
      sql,
      [&](const storage::row& r) {
        if (static_cast<std::int64_t>(entries.size()) == limit) {
          next = entries.back()["seq"];
          return false;
        }
        entries.push_back(entry_of(r));
        return true;
      },
      task, session, repository, branch, principal, kind, beginning, integer_of(body, "since"),
      integer_of(body, "until"), integer_of(body, "before"), limit + 1);
  return json{{"entries", std::move(entries)}, {"next", std::move(next)}};
}

answer verify(const view& v, const json& body) {
  const auto after = integer_of(body, "after").value_or(0);
  const auto limit = integer_of(body, "limit").value_or(audit_limits::verify_page);
  chain_check check;
  if (after > 0) {
    const auto hash = v.one<std::string>("SELECT hash FROM entries WHERE seq = ?", after);
    if (!hash) return not_found("there is no entry " + std::to_string(after) + " to go on from; begin at 0");
    check = chain_check(static_cast<std::uint64_t>(after), *hash);
  }
  std::int64_t checked = 0;
  json broken_at = nullptr, why = nullptr;
  v.each(
      "SELECT " TROUPE_ENTRY_COLUMNS " FROM entries WHERE seq > ? ORDER BY seq LIMIT ?",
      [&](const storage::row& r) {
        if (const auto fault = check.next(entry_of(r))) {
          broken_at = r.get<std::uint64_t>(0);
          why = *fault;
          return false;
        }
        ++checked;
        return true;
      },
      after, limit);
  const auto last = head_of(v);
  return json{{"checked", checked},    {"last", check.seq()},
              {"end", last.seq},       {"broken_at", std::move(broken_at)},
              {"why", std::move(why)}, {"head", {{"seq", last.seq}, {"hash", last.hash}}}};
}

json snapshot(const view& v) {
  auto recent = json::array();
  v.each(
      "SELECT " TROUPE_ENTRY_COLUMNS " FROM entries ORDER BY seq DESC LIMIT ?",
      [&](const storage::row& r) { recent.push_back(entry_of(r)); }, audit_limits::snapshot_entries);
  const auto last = head_of(v);
  const auto range = v.stream("entries");
  return {{"entries", last.seq},
          {"head", last.hash},
          {"recent", std::move(recent)},
          {"streams", {{"entries", {{"first", range.first}, {"last", range.last}}}}}};
}

}  // namespace troupe::actors::audit_actor
