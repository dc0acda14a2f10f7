// What the organization's people and tasks used, and which tasks may run nothing more because a budget is
// used up.
#include <set>

#include "actors/body.h"
#include "actors/budget.h"
#include "actors/json_read.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"

namespace troupe::actors::organization_actor {
namespace {

constexpr auto everybody = "";  // the row of the organization itself

budget budget_of(const view& v, std::string_view person) {
  budget b;
  v.each(
      "SELECT tokens, cost FROM budgets WHERE person = ?",
      [&](const storage::row& r) {
        b = {r.get<std::optional<std::int64_t>>(0), r.get<std::optional<double>>(1)};
      },
      person);
  return b;
}

used spent_by(const view& v, std::string_view person) {
  used u;
  v.each(
      "SELECT tokens, cost, currency FROM spent WHERE person = ?",
      [&](const storage::row& r) {
        u = {r.get<std::int64_t>(0), r.get<double>(1), r.get<std::string>(2)};
      },
      person);
  return u;
}

std::string breach(const view& v, const std::string& person) {
  const auto whose = person.empty() ? std::string("the organization") : person;
  return budget_of(v, person).breach(spent_by(v, person), whose);
}

// Why nothing may run in a task of that owner; empty when it may.
std::string why_held(const view& v, const std::string& owner) {
  if (auto why = breach(v, everybody); !why.empty())
    return why + ": an administrator raises it (org.set_budget), and the work goes on";
  if (auto why = breach(v, owner); !why.empty())
    return why + ": an administrator raises it (org.set_budget), or another owner goes on with the task";
  return {};
}

void tell(turn& t, const std::string& task, const std::string& owner) {
  const auto why = why_held(t, owner);
  if (why == t.one<std::string>("SELECT why FROM held WHERE task = ?", task).value_or("")) return;
  if (why.empty())
    t.run("DELETE FROM held WHERE task = ?", task);
  else
    t.run("INSERT OR REPLACE INTO held (task, why) VALUES (?, ?)", task, why);
  t.send(t.self().child("task", task), "task.apply_budget", {{"why", why}});
}

// Those that do something, and those that were stopped. A task that rests hears of it when it wants to run.
void tell_all(turn& t) {
  std::vector<std::pair<std::string, std::string>> tasks;
  t.each(
      "SELECT task, owner FROM summaries WHERE status IN ('queued', 'provisioning', 'running', "
      "'needs_input') OR task "
      "IN (SELECT task FROM held)",
      [&](const storage::row& r) { tasks.emplace_back(r.get<std::string>(0), r.get<std::string>(1)); });
  for (const auto& [task, owner] : tasks) tell(t, task, owner);
}

void add(turn& t, std::string_view person, std::int64_t tokens, double cost, const std::string& currency) {
  t.run(
      "INSERT INTO spent (person, tokens, cost, currency) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (person) DO "
      "UPDATE SET "
      "tokens = tokens + ?2, cost = cost + ?3, currency = CASE ?4 WHEN '' THEN currency ELSE ?4 END",
      person, tokens, cost, currency);
}

// Adds what is new of one person's; whether that used a budget up.
bool count(turn& t, const std::string& task, const json& one) {
  const auto person = text_or(one, "person", "");
  const auto tokens = number_field(one, "tokens");
  const auto cost = real_field(one, "cost");
  used before;
  t.each(
      "SELECT tokens, cost FROM usage WHERE task = ? AND person = ?",
      [&](const storage::row& r) {
        before.tokens = r.get<std::int64_t>(0);
        before.cost = r.get<double>(1);
      },
      task, person);
  if (person.empty() || (tokens <= before.tokens && cost <= before.cost)) return false;
  t.run("INSERT OR REPLACE INTO usage (task, person, tokens, cost) VALUES (?, ?, ?, ?)", task, person, tokens,
        cost);
  const bool free_before = breach(t, everybody).empty() && breach(t, person).empty();
  for (const auto& whose : {std::string(everybody), person})
    add(t, whose, std::max<std::int64_t>(tokens - before.tokens, 0), std::max(cost - before.cost, 0.0),
        text_or(one, "currency", ""));
  return free_before && !(breach(t, everybody).empty() && breach(t, person).empty());
}

}  // namespace

void apply_usage(turn& t, const std::string& task, const json& summary) {
  bool used_up = false;
  for (const auto& one : field(summary, "usage")) used_up = count(t, task, one) || used_up;
  if (used_up) return tell_all(t);
  const auto status = text_or(summary, "status", "");
  const bool active =
      status == "queued" || status == "provisioning" || status == "running" || status == "needs_input";
  if (active || t.one<int>("SELECT 1 FROM held WHERE task = ?", task))
    tell(t, task, text_or(summary, "owner", ""));
}

void forget_usage(turn& t, const std::string& task) {
  t.run("DELETE FROM usage WHERE task = ?", task);
  t.run("DELETE FROM held WHERE task = ?", task);
}

answer set_budget(turn& t, const json& body) {
  const auto person = text_or(body, "person", everybody);
  if (!person.empty() && role_of(t, person).empty())
    return not_found(person + " is no member of this organization");
  auto b = budget_of(t, person);
  b.change(body);
  if (b.empty())
    t.run("DELETE FROM budgets WHERE person = ?", person);
  else
    t.run("INSERT OR REPLACE INTO budgets (person, tokens, cost) VALUES (?, ?, ?)", person, b.tokens, b.cost);
  tell_all(t);
  return done();
}

json usage(const view& v) {
  json people = json::array();
  v.each(
      "SELECT person, tokens, cost, currency FROM spent WHERE person <> '' ORDER BY tokens DESC, person "
      "LIMIT 200",
      [&](const storage::row& r) {
        people.push_back({{"person", r.get<std::string>(0)},
                          {"tokens", r.get<std::int64_t>(1)},
                          {"cost", r.get<double>(2)},
                          {"currency", r.get<std::string>(3)}});
      });
  const auto all = spent_by(v, everybody);
  return {
      {"tokens", all.tokens}, {"cost", all.cost}, {"currency", all.currency}, {"people", std::move(people)}};
}

json budgets(const view& v) {
  json rows = json::array();
  v.each("SELECT person FROM budgets ORDER BY person LIMIT 1000", [&](const storage::row& r) {
    const auto person = r.get<std::string>(0);
    auto row = budget_of(v, person).to_json();
    if (!person.empty()) row["person"] = person;
    row["used_up"] = !breach(v, person).empty();
    rows.push_back(std::move(row));
  });
  return rows;
}

}  // namespace troupe::actors::organization_actor
