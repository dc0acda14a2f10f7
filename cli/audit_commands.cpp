#include <memory>

#include <fmt/format.h>

#include "cli/audit_view.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

struct filter {
  std::string repository, task, branch, kind, principal;
  int limit = 50;
};

json body_of(context& c, const filter& f) {
  json body{{"limit", std::min(f.limit, 500)}};
  if (!f.repository.empty()) body["repository"] = f.repository;
  if (!f.task.empty()) body["task"] = last_id(c.task_key(f.task));
  if (!f.branch.empty()) body["branch"] = f.branch;
  if (!f.kind.empty()) body["kind"] = f.kind;
  if (!f.principal.empty()) body["principal"] = f.principal;
  return body;
}

void list(context& c, const filter& f) {
  const auto found = c.server().query(c.org_key() + "/audit-log", "audit.list", body_of(c, f));
  if (c.print_json(found)) return;
  const auto& entries = found.at("entries");
  if (entries.empty()) return c.out.line("no entry");
  // The newest come first from the server, the newest are read last on a terminal.
  for (auto at = entries.rbegin(); at != entries.rend(); ++at) c.out.line(audit_line(c.out, *at));
  if (!found.at("next").is_null())
    c.out.line(c.out.paint(style::dim, "older entries are left out: --limit N"));
}

bool matches(const json& entry, const json& wanted) {
  for (const auto* name : {"repository", "task", "branch", "principal"}) {
    if (wanted.contains(name) && entry.value(name, json()) != wanted[name]) return false;
  }
  const auto kind = wanted.value("kind", "");
  const auto is = entry.value("kind", "");
  return kind.empty() || (kind.ends_with('.') ? is.starts_with(kind) : is == kind);
}

void tail(context& c, const filter& f) {
  const auto wanted = body_of(c, f);
  const auto log = c.org_key() + "/audit-log";
  const auto range = c.server().snapshot(log).value("entries", std::uint64_t{0});
  auto connection = c.connect();
  connection.subscribe(log + "#entries", range > 10 ? range - 10 : 0);
  while (true) {
    const auto frame = connection.next(std::chrono::steady_clock::now() + std::chrono::hours(1));
    if (!frame) continue;
    if (frame->value("op", "") == "gone") throw failure("the audit log is gone");
    if (frame->value("op", "") != "entries") continue;
    for (const auto& one : frame->at("entries")) {
      const auto& entry = one.contains("data") ? one["data"] : one;
      if (!matches(entry, wanted)) continue;
      if (!c.print_json(entry)) c.out.line(audit_line(c.out, entry));
    }
  }
}

void verify(context& c) {
  const auto log = c.org_key() + "/audit-log";
  std::uint64_t after = 0, checked = 0;
  while (true) {
    const auto part = c.server().query(log, "audit.verify", {{"after", after}, {"limit", 2000}});
    checked += part.value("checked", std::uint64_t{0});
    if (!part.at("broken_at").is_null()) {
      if (c.print_json(part)) throw failure("the chain is broken");
      throw failure(
          fmt::format("entry {} does not follow from the one before it: {}", part["broken_at"].dump(),
                      plain(part.at("why").is_string() ? part["why"].get<std::string>() : "")),
          "an entry was removed or altered outside Troupe: compare with a backup");
    }
    const auto last = part.value("last", after);
    if (last <= after || last >= part.value("end", std::uint64_t{0})) {
      if (!c.print_json(part))
        c.out.line(fmt::format("{} entries, each follows from the one before it", checked));
      return;
    }
    after = last;
  }
}

void export_all(context& c) {
  const auto log = c.org_key() + "/audit-log";
  for (std::uint64_t after = 0;;) {
    const auto page = c.server().entries(log, "entries", after, 256);
    const auto& entries = page.at("entries");
    for (const auto& one : entries) {
      c.out.line(
          (one.contains("data") ? one["data"] : one).dump(-1, ' ', false, json::error_handler_t::replace));
      after = one.at("seq").get<std::uint64_t>();
    }
    if (entries.empty() || after >= page.value("end", std::uint64_t{0})) return;
  }
}

}  // namespace

void add_audit(CLI::App& app, context& c) {
  auto* audit =
      group(app, "audit", "who did what in an organization, chained by hash",
            "  troupe audit list --kind task. --limit 20\n  troupe audit tail\n  troupe audit verify\n"
            "  troupe audit export > acme.jsonl\n");
  auto f = std::make_shared<filter>();
  const auto filters = [&](CLI::App* to) {
    to->add_option("--repo", f->repository, "only of this repository");
    to->add_option("--task", f->task, "only of this task");
    to->add_option("--branch", f->branch, "only of this branch");
    to->add_option("--kind", f->kind, "task.created, or task. for everything of tasks");
    to->add_option("--by", f->principal, "only by this user");
  };
  auto* listed = action(*audit, "list", "the newest entries", "  troupe audit list --task t1\n",
                        [&c, f] { list(c, *f); });
  filters(listed);
  listed->add_option("--limit", f->limit, "how many, at most 500")->capture_default_str();
  filters(action(*audit, "tail", "the last entries and each new one", "  troupe audit tail --kind session.\n",
                 [&c, f] { tail(c, *f); }));
  action(*audit, "verify", "whether an entry was removed or altered", "  troupe audit verify\n",
         [&c] { verify(c); });
  action(*audit, "export", "all entries as JSON Lines", "  troupe audit export > acme.jsonl\n",
         [&c] { export_all(c); });
}

}  // namespace troupe::cli
