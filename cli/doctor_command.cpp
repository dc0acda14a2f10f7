#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/machine.h"
#include "cli/sandbox_view.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

constexpr std::size_t name_columns = 26;  // of the longest probe

check check_server(context& c) {
  const auto place = find_server(c.server_url, c.token, c.data);
  if (!place)
    return {"server", check::outcome::weak, "none is known here", "only commands that need none work",
            "troupe serve"};
  try {
    api server(*place, std::chrono::seconds(5));
    const auto health = server.get("/v1/health");
    return {"server", check::outcome::good,
            fmt::format("{} is {} ({})", place->url, plain(health.value("status", "")), place->from), "", ""};
  } catch (const failure& why) {
    return {"server", check::outcome::weak, why.what(), "commands that need it fail", why.hint()};
  }
}

void show(context& c, const check& one) {
  const auto mark = one.result == check::outcome::good   ? c.out.paint(style::green, "✔")
                    : one.result == check::outcome::weak ? c.out.paint(style::yellow, "!")
                                                         : c.out.paint(style::red, "✘");
  const auto name = plain(one.name);
  c.out.line(one.detail.empty()
                 ? fmt::format("{} {}", mark, name)
                 : fmt::format("{} {} {}", mark, padded(name, name_columns), plain(one.detail)));
  const auto room = c.out.width();
  const std::string indent(name_columns + 3, ' ');
  if (!one.consequence.empty())
    c.out.write(wrapped(plain("means: " + one.consequence), room, indent, indent + "       "));
  if (!one.remedy.empty())
    c.out.write(wrapped(plain("do:    " + one.remedy), room, indent, indent + "       "));
}

void doctor(context& c, const std::string& sandboxd) {
  const auto isolated = probe_isolation(sandboxd);
  std::vector<check> all{check_server(c), check_descriptors(), check_disk(c.data),
                         check_program("git", "no repository can be cloned in a sandbox")};
  for (auto& one : isolated.checks()) all.push_back(std::move(one));

  bool bad = false;
  json rows = json::array();
  for (const auto& one : all) {
    bad = bad || one.result == check::outcome::bad;
    rows.push_back(to_json(one));
    if (!c.as_json) show(c, one);
  }
  const json items =
      isolated.report.is_object() ? isolated.report.value("items", json::object()) : json::object();
  if (!c.print_json({{"checks", rows}, {"tier", isolated.tier}, {"items", items}})) {
    if (!items.empty()) c.out.line("\nwhat a sandbox is promised here");
    for (const auto& [name, item] : items.items()) {
      const auto state = item.value("state", "");
      c.out.line(fmt::format("  {} {} {}", padded(plain(name), 16),
                             c.out.paint(state == "enforced"      ? style::green
                                         : state == "best_effort" ? style::yellow
                                                                  : style::dim,
                                         padded(state == "best_effort" ? "best effort" : plain(state), 12)),
                             c.out.paint(style::dim, plain(item.value("by", "")))));
    }
  }
  if (bad) throw failure("something that Troupe needs is missing", "see the lines with ✘");
}

}  // namespace

void add_doctor(CLI::App& app, context& c) {
  auto sandboxd = std::make_shared<std::string>();
  auto* made =
      action(app, "doctor", "what this machine offers, what is missing, what to do about it",
             "  troupe doctor\n  troupe doctor --json | less\n", [&c, sandboxd] { doctor(c, *sandboxd); });
  made->add_option("--sandboxd", *sandboxd, "the program sandboxd (default: found beside this one)");
}

}  // namespace troupe::cli
