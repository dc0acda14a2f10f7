// What the task's sessions used, by who owned it then, and what stops them when a budget is used up.
#include "actors/budget.h"

#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/task/handlers.h"
#include "actors/text.h"

namespace troupe::actors::tasks {
namespace {

constexpr int shown_people = 100;

used sum(const view& v) {
  used u;
  v.each("SELECT coalesce(sum(tokens), 0), coalesce(sum(cost), 0.0), coalesce(max(currency), '') FROM usage",
         [&](const auto& row) {
           u = {row.template get<std::int64_t>(0), row.template get<double>(1),
                row.template get<std::string>(2)};
         });
  return u;
}

}  // namespace

void count_usage(turn& t, const record& r, const json& before, const json& now) {
  const auto tokens = number_field(now, "total_tokens") - number_field(before, "total_tokens");
  const auto cost = real_field(now, "cost") - real_field(before, "cost");
  if (tokens <= 0 && cost <= 0) return;
  t.run(
      "INSERT INTO usage (person, tokens, cost, currency) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (person) DO "
      "UPDATE SET "
      "tokens = tokens + ?2, cost = cost + ?3, currency = CASE ?4 WHEN '' THEN currency ELSE ?4 END",
      r.owner, std::max<std::int64_t>(tokens, 0), std::max(cost, 0.0), text_field(now, "currency"));
}

json usage_by_person(const view& v) {
  json rows = json::array();
  v.each(
      "SELECT person, tokens, cost, currency FROM usage ORDER BY tokens DESC, person LIMIT ?",
      [&](const auto& row) {
        rows.push_back({{"person", row.template get<std::string>(0)},
                        {"tokens", row.template get<std::int64_t>(1)},
                        {"cost", row.template get<double>(2)},
                        {"currency", row.template get<std::string>(3)}});
      },
      shown_people);
  return rows;
}

json usage_of(const view& v) {
  const auto u = sum(v);
  return {{"tokens", u.tokens}, {"cost", u.cost}, {"currency", u.currency}, {"people", usage_by_person(v)}};
}

std::string why_held(const view& v, const record& r) {
  if (const auto why = budget::from_json(r.budget).breach(sum(v), "the task"); !why.empty())
    return why + ": task.set_budget raises it, and the work goes on";
  return r.held;
}

std::optional<problem> refuse_when_held(const view& v, const record& r) {
  if (auto why = why_held(v, r); !why.empty()) return conflict("budget_exhausted", std::move(why));
  return std::nullopt;
}

answer set_budget(turn& t, const json& body) {
  auto r = load(t);
  auto b = budget::from_json(r.budget);
  b.change(body);
  r.budget = b.to_json();
  advance(t, r);
  return done();
}

answer apply_budget(turn& t, const json& body) {
  auto r = load(t);
  r.held = body.at("why");
  advance(t, r);
  return done();
}

}  // namespace troupe::actors::tasks
