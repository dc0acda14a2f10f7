// Looks into actors through /v1/inspect: for operators, and for whoever writes a new kind of actor.
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

struct options {
  std::string key, prefix, kind, after, sql;
  int limit = 50;
  std::uint64_t from = 0;
  bool awake = false, asleep = false, changes = false;
};

std::string shown(const json& value) {
  if (value.is_null()) return "-";
  if (value.is_number_float()) return fmt::format("{:.1f}", value.get<double>());
  return plain(value.is_string() ? value.get<std::string>()
                                 : value.dump(-1, ' ', false, json::error_handler_t::replace));
}

/// Whether something is said to be so: true, or the reason why.
bool holds(const json& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end() || at->is_null()) return false;
  return at->is_boolean() ? at->get<bool>() : !at->is_string() || !at->get<std::string>().empty();
}

std::uint64_t number(const json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_number() ? at->get<std::uint64_t>() : 0;
}

std::string inspect_path(const std::string& key, const char* below = "") {
  return fmt::format("/v1/inspect/actors/{}{}", wire::percent_encode(key, true), below);
}

void actors(context& c, const options& o) {
  wire::query q;
  q.add("limit", std::to_string(o.limit));
  if (!o.prefix.empty()) q.add("prefix", o.prefix);
  if (!o.kind.empty()) q.add("kind", o.kind);
  if (!o.after.empty()) q.add("after", o.after);
  if (o.awake || o.asleep) q.add("awake", o.awake ? "true" : "false");
  const auto found = c.server().get("/v1/inspect/actors?" + q.encode());
  if (c.print_json(found)) return;
  table t({"KEY", "KIND", "AWAKE", "ACTIVE", "SIZE", "MAILBOX", "OUTBOX", "EFFECTS", "TIMERS", "STATE"},
          {1, 8, 7, 5, 6, 4, 3, 2});
  for (const auto& one : found.at("actors")) {
    const bool sick = holds(one, "quarantined");
    t.row({shown(one.at("key")), shown(one.at("kind")),
           holds(one, "awake") ? c.out.paint(style::green, "awake") : "",
           one.contains("last_active") && one["last_active"].is_number() ? ago(one["last_active"], now_ms())
                                                                         : "-",
           bytes(number(one, "bytes")), std::to_string(number(one, "mailbox")),
           std::to_string(number(one, "outbox")), std::to_string(number(one, "effects")),
           std::to_string(number(one, "timers")),
           sick                      ? c.out.paint(style::red, "quarantined")
           : number(one, "failures") ? "failed before"
                                     : ""});
  }
  c.out.write(t.text(c.out));
  if (found.contains("next") && found["next"].is_string()) {
    c.out.line(c.out.paint(style::dim, fmt::format("more: --after {}", found["next"].get<std::string>())));
  }
}

void tree(terminal& out, const json& value, int depth) {
  const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  for (const auto& [name, inner] : value.items()) {
    if (inner.is_object() && !inner.empty()) {
      out.line(fmt::format("{}{}", indent, out.paint(style::bold, plain(name))));
      tree(out, inner, depth + 1);
    } else if (inner.is_array() && !inner.empty() && inner.front().is_object()) {
      out.line(fmt::format("{}{}", indent, out.paint(style::bold, plain(name))));
      for (const auto& one : inner) out.line(cut(fmt::format("{}  {}", indent, shown(one)), out.width()));
    } else {
      out.line(fmt::format("{}{} {}", indent, out.paint(style::dim, padded(plain(name), 20)), shown(inner)));
    }
  }
}

void actor(context& c, const std::string& key) {
  const auto found = c.server().get(inspect_path(key));
  if (c.print_json(found)) return;
  tree(c.out, found, 0);
}

void history(context& c, const options& o) {
  wire::query q;
  q.add("after", std::to_string(o.from));
  q.add("limit", std::to_string(o.limit));
  const auto found = c.server().get(inspect_path(o.key, "/history") + "?" + q.encode());
  if (c.print_json(found)) return;
  for (const auto& one : found.at("history")) {
    const bool good = one.value("ok", true);
    const auto by =
        one.contains("principal") && one["principal"].is_string() ? one["principal"].get<std::string>() : "";
    c.out.line(fmt::format(
        "{} {}  turn {}  {} {}  {}  {}", c.out.paint(style::dim, std::to_string(number(one, "seq"))),
        c.out.paint(style::dim, one["time"].is_number() ? local_time(one["time"]) : shown(one["time"])),
        number(one, "turn"), good ? c.out.paint(style::green, "✔") : c.out.paint(style::red, "✘"),
        c.out.paint(style::bold, shown(one.at("name"))),
        plain(by.empty() ? shown(one.value("from", json())) : by),
        c.out.paint(style::dim, fmt::format("{} µs", number(one, "duration_us")))));
    const auto room = c.out.width();
    if (one.contains("body")) c.out.line(cut("    body   " + shown(one["body"]), room));
    if (one.contains("result")) c.out.line(cut("    result " + shown(one["result"]), room));
    if (one.contains("error"))
      c.out.line(cut("    " + c.out.paint(style::red, "error  " + shown(one["error"])), room));
    if (!o.changes) continue;
    for (const auto& change : one.value("changes", json::array()))
      c.out.line(cut("    row    " + shown(change), room));
  }
  if (found.contains("next") && !found["next"].is_null()) {
    c.out.line(c.out.paint(style::dim, fmt::format("more: --after {}", shown(found["next"]))));
  }
}

void query(context& c, const options& o) {
  const auto found = c.server().send("POST", inspect_path(o.key, "/query"), {{"sql", o.sql}});
  if (c.print_json(found)) return;
  std::vector<std::string> heads;
  for (const auto& name : found.at("columns")) heads.push_back(shown(name));
  table t(heads);
  for (const auto& row : found.at("rows")) {
    std::vector<std::string> cells;
    for (const auto& cell : row) cells.push_back(cut(shown(cell), 60));
    t.row(std::move(cells));
  }
  c.out.write(t.text(c.out));
  if (found.value("truncated", false))
    c.out.line(c.out.paint(style::yellow, "there are more rows than may be shown"));
}

void tail(context& c, const std::string& prefix) {
  auto connection = c.connect();
  connection.subscribe("$host#events");
  while (true) {
    const auto frame = connection.next(std::chrono::steady_clock::now() + std::chrono::hours(1));
    if (!frame || frame->value("op", "") != "entries") continue;
    for (const auto& one : frame->at("entries")) {
      const auto& turn = one.contains("data") ? one["data"] : one;
      if (!turn.value("actor", "").starts_with(prefix)) continue;
      if (c.print_json(turn)) continue;
      for (const auto& command : turn.value("commands", json::array())) {
        const bool good = command.value("ok", true);
        c.out.line(fmt::format(
            "{}  {}  {} {}  {}  {}",
            c.out.paint(style::dim, turn.contains("time") && turn["time"].is_number()
                                        ? local_time(turn["time"]).substr(11)
                                        : ""),
            padded(plain(turn.value("actor", "")), 36),
            good ? c.out.paint(style::green, "✔") : c.out.paint(style::red, "✘"),
            c.out.paint(style::bold, plain(command.value("name", ""))), plain(command.value("principal", "")),
            c.out.paint(style::dim, good ? fmt::format("{} µs", number(command, "duration_us"))
                                         : plain(command.value("code", "")))));
      }
    }
  }
}

}  // namespace

void add_inspect(CLI::App& app, context& c) {
  auto* inspect =
      group(app, "inspect", "look into actors: what they hold, what happened to them",
            "  troupe inspect actors --kind task\n  troupe inspect history org/acme --changes\n"
            "  troupe inspect query org/acme 'select * from tasks'\n  troupe inspect tail org/acme/task\n");
  auto o = std::make_shared<options>();

  auto* listed = action(*inspect, "actors", "the actors of the host",
                        "  troupe inspect actors --prefix org/acme --awake\n", [&c, o] { actors(c, *o); });
  listed->add_option("--prefix", o->prefix, "only keys that begin so");
  listed->add_option("--kind", o->kind, "only this kind");
  listed->add_flag("--awake", o->awake, "only those in memory");
  listed->add_flag("--asleep", o->asleep, "only those on disk alone")->excludes("--awake");
  listed->add_option("--limit", o->limit, "how many")->capture_default_str();
  listed->add_option("--after", o->after, "the key that the page before ended with");

  const auto keyed = [&](const char* name, const char* what, const char* example, std::function<void()> run) {
    auto* made = action(*inspect, name, what, example, std::move(run));
    made->add_option("KEY", o->key, "an actor, as in org/acme/task/t1")->required();
    return made;
  };
  keyed("actor", "one actor: revision, tables, outbox, effects, timers, peers",
        "  troupe inspect actor org/acme\n", [&c, o] { actor(c, o->key); });
  auto* past = keyed("history", "the commands that an actor applied, with body, result and rows",
                     "  troupe inspect history org/acme --limit 5 --changes\n", [&c, o] { history(c, *o); });
  past->add_option("--after", o->from, "the number that the page before ended with");
  past->add_option("--limit", o->limit, "how many")->capture_default_str();
  past->add_flag("--changes", o->changes, "the rows that each command changed, too");
  keyed("query", "a read-only SQL statement on an actor's own file",
        "  troupe inspect query org/acme/task/t1 \"select name from sqlite_schema where type = 'table'\"\n",
        [&c, o] { query(c, *o); })
      ->add_option("SQL", o->sql, "one statement; it reads, for at most 2 s and 10,000 rows")
      ->required();
  keyed("retry", "release a quarantined actor once the cause is gone",
        "  troupe inspect retry org/acme/task/t1\n", [&c, o] {
          const auto done = c.server().send("POST", inspect_path(o->key, "/retry"), json::object());
          if (c.print_json(done)) return;
          c.out.line(done.value("released", false) ? "released" : "it was not quarantined");
        });
  action(*inspect, "host", "the host: awake actors, turns, latencies", "  troupe inspect host\n", [&c] {
    const auto found = c.server().get("/v1/inspect/host");
    if (!c.print_json(found)) tree(c.out, found, 0);
  });
  action(*inspect, "tail", "turns as they are committed", "  troupe inspect tail org/acme/task\n", [&c, o] {
    tail(c, o->prefix);
  })->add_option("PREFIX", o->prefix, "only actors whose key begins so");
}

}  // namespace troupe::cli
