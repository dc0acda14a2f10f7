#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"

namespace troupe::actors::organization_actor {
namespace {

// A list reads its index from the cursor on, at most `scanned_rows` of it, and fetches the rows that fit.
// CROSS JOIN keeps the index outermost, and with it its order; an ORDER BY here would sort all that fits
// before the first is shown. Parameters: repository, statuses (a JSON array), owner, text, how many, how far
// to look, sort value and task of the cursor.
#define TROUPE_LIST(column, order, after)                                                                    \
  "SELECT " TROUPE_SUMMARY_COLUMNS ", f.at FROM (SELECT " column                                             \
  " AS at, task, status, repository, owner, words FROM summaries WHERE " after " ORDER BY " column " " order \
  ", task " order                                                                                            \
  " LIMIT ?6) f CROSS JOIN summaries s ON s.task = f.task CROSS JOIN tasks t ON t.task = f.task"             \
  " WHERE (?1 IS NULL OR f.repository = ?1) AND (?2 IS NULL OR f.status IN (SELECT value FROM "              \
  "json_each(?2)))"                                                                                          \
  " AND (?3 IS NULL OR f.owner = ?3) AND (?4 IS NULL OR instr(f.words, lower(?4)) > 0) LIMIT ?5"
// Where the look of a list ended. Parameters: sort value and task of the cursor, how far.
#define TROUPE_REACHED(column, order, after)                                                          \
  "SELECT " column ", task FROM summaries WHERE " after " ORDER BY " column " " order ", task " order \
  " LIMIT 1 OFFSET ?3"

struct statements {
  std::string_view list, list_after, reached, reached_after;
};
#define TROUPE_ORDER(column, direction, compare)                                     \
  {                                                                                  \
    TROUPE_LIST(column, direction, "?7 IS NULL AND ?8 IS NULL"),                     \
        TROUPE_LIST(column, direction, "(" column ", task) " compare " (?7, ?8)"),   \
        TROUPE_REACHED(column, direction, "?1 IS NULL AND ?2 IS NULL"),              \
        TROUPE_REACHED(column, direction, "(" column ", task) " compare " (?1, ?2)") \
  }

constexpr statements orders[3][2] = {
    {TROUPE_ORDER("updated_at", "DESC", "<"), TROUPE_ORDER("updated_at", "ASC", ">")},
    {TROUPE_ORDER("created_at", "DESC", "<"), TROUPE_ORDER("created_at", "ASC", ">")},
    {TROUPE_ORDER("title", "DESC", "<"), TROUPE_ORDER("title", "ASC", ">")},
};
#undef TROUPE_ORDER
#undef TROUPE_REACHED
#undef TROUPE_LIST

// A cursor is a JSON array: the sort value and the task of the last row.
struct cursor {
  storage::value value = nullptr;
  std::optional<std::string> task;
};

std::optional<cursor> read_cursor(const std::optional<std::string>& text, bool by_title) {
  if (!text) return cursor{};
  const auto at = json::parse(*text, nullptr, false);
  if (!at.is_array() || at.size() != 2 || !at[1].is_string()) return std::nullopt;
  if (by_title ? !at[0].is_string() : !at[0].is_number_integer()) return std::nullopt;
  cursor c{nullptr, at[1].get<std::string>()};
  if (by_title) {
    c.value = at[0].get<std::string>();
  } else {
    c.value = at[0].get<std::int64_t>();
  }
  return c;
}

}  // namespace

json summary_of(const storage::row& r) {
  return {{"task", r.get<std::string>(0)},
          {"title", r.get<std::string>(1)},
          {"branch", r.get<std::string>(2)},
          {"repository", r.get<std::string>(3)},
          {"status", r.get<std::string>(4)},
          {"position", or_null(r.get<std::optional<std::int64_t>>(5))},
          {"step", or_null(r.get<std::optional<std::string>>(6))},
          {"sandbox_state", r.get<std::string>(7)},
          {"sessions", json::parse(r.get<std::string_view>(8))},
          {"diff",
           {{"files", r.get<std::int64_t>(9)},
            {"additions", r.get<std::int64_t>(10)},
            {"deletions", r.get<std::int64_t>(11)}}},
          {"owner", r.get<std::string>(12)},
          {"error", or_null(r.get<std::optional<std::string>>(13))},
          {"deleting", r.get<bool>(14)},
          {"made", r.get<bool>(15)},
          {"created_by", r.get<std::string>(16)},
          {"created_at", r.get<std::int64_t>(17)},
          {"updated_at", r.get<std::int64_t>(18)}};
}

answer list_tasks(const view& v, const json& body) {
  const auto sort = text_or(body, "sort", "updated");
  const bool by_title = sort == "title";
  // Newest first, titles from A.
  const auto order = text_or(body, "order", by_title ? "ascending" : "descending");
  const auto at = read_cursor(text_of(body, "cursor"), by_title);
  if (!at)
    return unprocessable(
        "invalid_cursor",
        "the cursor is not one that org.list_tasks answered for this order; begin without one");
  std::optional<std::string> statuses;
  if (const auto it = body.find("status"); it != body.end()) {
    statuses = (it->is_array() ? *it : json::array({*it})).dump();
  }
  const auto limit = integer_of(body, "limit").value_or(50);
  const auto& by = orders[sort == "created" ? 1 : by_title ? 2 : 0][order == "descending" ? 0 : 1];
  const auto position = [&](const storage::row& r, int value, int task) {
    const auto at_value = by_title ? json(r.get<std::string>(value)) : json(r.get<std::int64_t>(value));
    return json::array({at_value, r.get<std::string>(task)}).dump();
  };
  auto tasks = json::array();
  json next = nullptr;
  std::string last;
  v.each(
      at->task ? by.list_after : by.list,
      [&](const storage::row& r) {
        if (static_cast<std::int64_t>(tasks.size()) == limit) {
          next = last;
          return false;
        }
        tasks.push_back(summary_of(r));
        last = position(r, 19, 0);
        return true;
      },
      text_of(body, "repository"), statuses, text_of(body, "owner"), text_of(body, "text"), limit + 1,
      organization_limits::scanned_rows, at->value, at->task);
  // A page may be short, or empty, and not the last: the rest is looked through from where this look ended.
  if (next.is_null()) {
    v.each(
        at->task ? by.reached_after : by.reached, [&](const storage::row& r) { next = position(r, 0, 1); },
        at->value, at->task, organization_limits::scanned_rows - 1);
  }
  return json{{"tasks", std::move(tasks)}, {"next", std::move(next)}};
}

answer get_task(const view& v, const json& body) {
  const auto task = text_or(body, "task", "");
  json found;
  v.each(
      "SELECT " TROUPE_SUMMARY_COLUMNS " FROM summaries s JOIN tasks t USING (task) WHERE s.task = ?",
      [&](const storage::row& r) { found = summary_of(r); }, task);
  if (found.is_null()) return no_task(task);
  return found;
}

answer get_repository(const view& v, const json& body) {
  const auto repository = text_or(body, "repository", "");
  json found;
  v.each(
      "SELECT url, state, default_branch, empty, error, base_branch, setup_command, environment, "
      "cache_folder, network,"
      " credential, added_by, added_at, checked_at, (SELECT count(*) FROM tasks t WHERE t.repository = "
      "r.repository)"
      " FROM repositories r WHERE repository = ?",
      [&](const storage::row& r) {
        const auto text = [&](int column) { return or_null(r.get<std::optional<std::string>>(column)); };
        found = {{"repository", repository},
                 {"url", text(0)},
                 {"state", text(1)},
                 {"default_branch", text(2)},
                 {"empty", r.get<bool>(3)},
                 {"error", parsed(r.get<std::optional<std::string>>(4))},
                 {"base_branch", text(5)},
                 {"setup_command", text(6)},
                 {"environment", json::parse(r.get<std::string>(7))},
                 {"cache_folder", text(8)},
                 {"network", parsed(r.get<std::optional<std::string>>(9))},
                 {"credential", text(10)},
                 {"added_by", text(11)},
                 {"added_at", r.get<std::int64_t>(12)},
                 {"checked_at", or_null(r.get<std::optional<std::int64_t>>(13))},
                 {"tasks", r.get<std::int64_t>(14)}};
      },
      repository);
  if (found.is_null()) return no_repository(repository);
  return found;
}

}  // namespace troupe::actors::organization_actor
