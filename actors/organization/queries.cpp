#include <array>

#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"

namespace troupe::actors::organization_actor {
namespace {

// The parameters are the same for all orders: repository, statuses (a JSON array), owner, text, the sort
// value and the task of the row before, how many.
#define TROUPE_LIST(column, compare, order)                                                     \
  "SELECT " TROUPE_SUMMARY_COLUMNS ", " column                                                  \
  " FROM summaries s JOIN tasks t USING (task)"                                                 \
  " WHERE (?1 IS NULL OR s.repository = ?1) AND (?2 IS NULL OR s.status IN (SELECT value FROM " \
  "json_each(?2)))"                                                                             \
  " AND (?3 IS NULL OR s.owner = ?3)"                                                           \
  " AND (?4 IS NULL OR instr(lower(s.title || ' ' || t.branch), lower(?4)) > 0)"                \
  " AND (?6 IS NULL OR (" column ", s.task) " compare                                           \
  " (?5, ?6))"                                                                                  \
  " ORDER BY " column " " order ", s.task " order " LIMIT ?7"

constexpr std::array<std::array<std::string_view, 2>, 3> lists{{
    {TROUPE_LIST("s.updated_at", "<", "DESC"), TROUPE_LIST("s.updated_at", ">", "ASC")},
    {TROUPE_LIST("s.created_at", "<", "DESC"), TROUPE_LIST("s.created_at", ">", "ASC")},
    {TROUPE_LIST("s.title COLLATE NOCASE", "<", "DESC"), TROUPE_LIST("s.title COLLATE NOCASE", ">", "ASC")},
}};
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
  auto tasks = json::array();
  json next = nullptr, last = nullptr;
  v.each(
      lists[sort == "created" ? 1
            : by_title        ? 2
                              : 0][order == "descending" ? 0 : 1],
      [&](const storage::row& r) {
        if (static_cast<std::int64_t>(tasks.size()) == limit) {
          next = last.dump();
          return false;
        }
        tasks.push_back(summary_of(r));
        last = json::array(
            {by_title ? json(r.get<std::string>(19)) : json(r.get<std::int64_t>(19)), tasks.back()["task"]});
        return true;
      },
      text_of(body, "repository"), statuses, text_of(body, "owner"), text_of(body, "text"), at->value,
      at->task, limit + 1);
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
