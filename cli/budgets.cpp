#include "cli/budgets.h"

#include <memory>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/named_values.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

struct options {
  std::string name, person, tokens, cost;
};

std::string cost_text(const json& used) {
  const auto cost = used.value("cost", 0.0);
  return cost > 0 ? fmt::format("{:.2f} {}", cost, plain(used.value("currency", ""))) : "-";
}

std::string budget_text(const json& budget) {
  std::string text;
  if (budget.contains("tokens")) text = fmt::format("{} tokens", budget["tokens"].dump());
  if (budget.contains("cost"))
    text += fmt::format("{}{:.2f}", text.empty() ? "" : ", ", budget["cost"].get<double>());
  return text.empty() ? "-" : text;
}

json wanted(const options& o) {
  json body = json::object();
  if (!o.tokens.empty()) body["tokens"] = number_or_none(o.tokens, "--tokens", true);
  if (!o.cost.empty()) body["cost"] = number_or_none(o.cost, "--cost", false);
  if (body.empty()) throw misused("neither --tokens nor --cost was given", "none takes a budget away");
  return body;
}

void add_amounts(CLI::App& to, const std::shared_ptr<options>& o) {
  to.add_option("--tokens", o->tokens, "tokens that may be used in all; none takes it away");
  to.add_option("--cost", o->cost,
                "money that may be used in all, in the currency that agents report; none takes it away");
}

void usage(context& c) {
  const auto org = c.server().snapshot(c.org_key());
  const auto& used = org.at("usage");
  const auto& budgets = org.at("budgets");
  if (c.print_json({{"usage", used}, {"budgets", budgets}})) return;
  table t({"WHO", "TOKENS", "COST", "BUDGET"});
  const auto row = [&](const std::string& person, const json& one) {
    std::string budget = "-";
    for (const auto& b : budgets) {
      if (b.value("person", "") != person) continue;
      budget = budget_text(b);
      if (b.value("used_up", false)) budget = c.out.paint(style::red, budget + "  used up");
    }
    t.row({person.empty() ? plain(c.org()) : plain(person), one.value("tokens", json(0)).dump(),
           cost_text(one), budget});
  };
  row("", used);
  std::set<std::string> shown;
  for (const auto& one : used.at("people")) {
    row(one.value("person", ""), one);
    shown.insert(one.value("person", ""));
  }
  for (const auto& b : budgets)
    if (b.contains("person") && !shown.contains(b.value("person", "")))
      row(b.value("person", ""), json::object());
  c.out.write(t.text(c.out));
}

}  // namespace

void add_org_budget(CLI::App& org, context& c) {
  auto o = std::make_shared<options>();
  action(org, "usage", "tokens and money used, by person, and the budgets", "  troupe org usage\n",
         [&c] { usage(c); });
  auto* set =
      action(org, "budget",
             "limit what may be used; what runs is stopped when it is used up, and goes on when it is raised",
             "  troupe org budget --cost 100\n  troupe org budget --person ada --tokens 5000000\n"
             "  troupe org budget --cost none\n",
             [&c, o] {
               auto body = wanted(*o);
               if (!o->person.empty()) body["person"] = o->person;
               const auto done = c.server().command(c.org_key(), "org.set_budget", body);
               if (!c.print_json(done)) c.out.line("set");
             });
  set->add_option("--person", o->person, "of one member: of the tasks that this person owns");
  add_amounts(*set, o);
}

void add_task_budget(CLI::App& task, context& c) {
  auto o = std::make_shared<options>();
  auto* set = action(
      task, "budget",
      "limit what a task may use; it is stopped when that is used up, and goes on when it is raised",
      "  troupe task budget fix-login --cost 5\n  troupe task budget fix-login --cost none\n", [&c, o] {
        const auto done = c.server().command(c.task_key(o->name), "task.set_budget", wanted(*o));
        if (!c.print_json(done)) c.out.line("set");
      });
  set->add_option("TASK", o->name, "its id, branch, title or key")->required();
  add_amounts(*set, o);
}

void show_usage(terminal& to, const json& snapshot) {
  const auto used = snapshot.value("usage", json::object());
  const auto tokens = used.value("tokens", std::int64_t{0});
  const auto budget = snapshot.value("budget", json::object());
  if (tokens == 0 && used.value("cost", 0.0) <= 0 && budget.empty()) return;
  to.line(fmt::format("  used {} tokens, {}{}", tokens, cost_text(used),
                      budget.empty() ? "" : fmt::format(" of {}", budget_text(budget))));
}

}  // namespace troupe::cli
