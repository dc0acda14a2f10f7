// Looks into actors, of a running server or of a data folder at rest: for operators, and for whoever writes a
// new kind of actor.
#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/inspect_live.h"
#include "cli/inspect_source.h"
#include "cli/inspect_view.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

struct options {
  std::string key, below, prefix, kind, after, sql, table, row, sort = "key", form = "text";
  int limit = 50, last = 0, times = 0;
  std::uint64_t from = 0, to = 0, turn = 0;
  std::int64_t id = 0;
  double slow_ms = 0, seconds = 1;
  bool awake = false, asleep = false, changes = false, as_tree = false, each = false;
};

/// Whether something is said to be so: true, or the reason why.
bool holds(const json& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end() || at->is_null()) return false;
  return at->is_boolean() ? at->get<bool>() : !at->is_string() || !at->get<std::string>().empty();
}

/// Its last kind and id, below those above it.
std::string indented(const std::string& key) {
  const auto slashes = static_cast<std::size_t>(std::ranges::count(key, '/'));
  const auto depth = slashes / 2;
  if (depth == 0) return key;
  auto at = key.rfind('/');
  if (slashes % 2 == 1) at = key.rfind('/', at - 1);
  return std::string(depth * 2, ' ') + key.substr(at + 1);
}

void sort_actors(json& actors, const std::string& by) {
  if (by == "key") return;
  const std::string member = by == "size" ? "bytes" : by == "active" ? "last_active" : by;
  std::stable_sort(actors.begin(), actors.end(), [&](const json& a, const json& b) {
    if (by == "kind") return a.value("kind", "") < b.value("kind", "");
    return number_in(a, member.c_str()) > number_in(b, member.c_str());
  });
}

void actors(context& c, const options& o) {
  wire::query q;
  q.add("limit", std::to_string(o.limit));
  if (!o.prefix.empty()) q.add("prefix", o.prefix);
  if (!o.kind.empty()) q.add("kind", o.kind);
  if (!o.after.empty()) q.add("after", o.after);
  if (o.awake || o.asleep) q.add("awake", o.awake ? "true" : "false");
  auto found = source_of(c)->all("actors", q);
  sort_actors(found.at("actors"), o.sort);
  if (c.print_json(found)) return;
  table t({"KEY", "KIND", "AWAKE", "ACTIVE", "SIZE", "TURNS", "MAILBOX", "OUTBOX", "EFFECTS", "STATE"},
          {1, 8, 7, 5, 6, 4, 3, 2});
  for (const auto& one : found.at("actors")) {
    const auto key = plain(one.at("key").get<std::string>());
    t.row({o.as_tree ? indented(key) : key, shown(one.at("kind")),
           holds(one, "awake") ? c.out.paint(style::green, "awake") : "",
           one.contains("last_active") && one["last_active"].is_number() ? ago(one["last_active"], now_ms())
                                                                         : "-",
           bytes(number_in(one, "bytes")), std::to_string(number_in(one, "turn")),
           std::to_string(number_in(one, "mailbox")), std::to_string(number_in(one, "outbox")),
           std::to_string(number_in(one, "effects")),
           holds(one, "quarantined") ? c.out.paint(style::red, "quarantined") : ""});
  }
  c.out.write(t.text(c.out));
  if (found.contains("next") && found["next"].is_string())
    c.out.line(c.out.paint(style::dim, fmt::format("more: --after {}", found["next"].get<std::string>())));
}

void history(context& c, const options& o) {
  wire::query q;
  q.add("after", std::to_string(o.from));
  q.add("limit", std::to_string(o.last > 0 ? o.last : o.limit));
  if (o.last > 0) q.add("newest", "true");
  const auto found = source_of(c)->one(o.key, "history", q);
  if (c.print_json(found)) return;
  for (const auto& one : found.at("history")) write_command(c.out, one, o.changes);
  if (found.contains("next") && !found["next"].is_null())
    c.out.line(c.out.paint(style::dim, fmt::format("more: --after {}", shown(found["next"]))));
}

void at_turn(context& c, const options& o) {
  wire::query q;
  q.add("turn", std::to_string(o.turn));
  if (!o.table.empty()) q.add("table", o.table);
  const auto found = source_of(c)->one(o.key, "at", q);
  if (c.print_json(found)) return;
  const auto when = found.value("time", json());
  c.out.line(fmt::format("{} after turn {} of {}{}", plain(o.key), number_in(found, "turn"),
                         number_in(found, "last"), when.is_number() ? ", " + local_time(when) : ""));
  for (const auto& [name, t] : found.at("tables").items()) {
    c.out.line(c.out.paint(style::bold,
                           fmt::format("\n{}  {} rows{}", plain(name), t.at("rows").size(),
                                       t.value("truncated", false) ? ", and more than may be shown" : "")));
    if (!t.at("rows").empty()) write_rows(c.out, t.at("rows"));
  }
}

void diff(context& c, const options& o) {
  wire::query q;
  q.add("from", std::to_string(o.from));
  q.add("to", std::to_string(o.to));
  const auto found = source_of(c)->one(o.key, "diff", q);
  if (c.print_json(found)) return;
  c.out.line(fmt::format("{} from turn {} to turn {}: {} commands, {} rows differ", plain(o.key),
                         number_in(found, "from"), number_in(found, "to"), number_in(found, "commands"),
                         found.at("changes").size()));
  for (const auto& change : found.at("changes")) write_change(c.out, change);
  if (found.value("truncated", false))
    c.out.line(
        c.out.paint(style::yellow, "a table has more rows than may be looked at: there may be more changes"));
}

void why(context& c, const options& o) {
  wire::query q;
  q.add("table", o.table);
  q.add("row", o.row);
  q.add("limit", std::to_string(o.limit));
  const auto found = source_of(c)->one(o.key, "why", q);
  if (c.print_json(found)) return;
  if (found.at("changes").empty()) {
    return c.out.line(fmt::format(
        "no command since turn {} changed {}[{}] of {}; is that its key, as `troupe inspect at` shows it?",
        number_in(found, "oldest"), plain(o.table), plain(o.row), plain(o.key)));
  }
  for (const auto& one : found.at("changes")) {
    write_command(c.out, one, false);
    write_change(c.out, one.at("change"));
  }
}

void query(context& c, const options& o) {
  const auto found = source_of(c)->sql(o.key, o.sql);
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

void queue(context& c, const options& o) {
  const auto found = source_of(c)->one(o.key, "queue", {});
  if (c.print_json(found)) return;
  c.out.line(fmt::format("{} wait at {}", number_in(found, "in_all"), plain(o.key)));
  if (!found.at("queue").empty())
    write_rows(c.out, found["queue"], {"lane", "type", "name", "from", "principal", "id"});
}

void waiting(context& c, const std::string& what, const std::vector<std::string>& columns, const options& o) {
  wire::query q;
  if (!o.below.empty()) q.add("below", o.below);
  const auto found = source_of(c)->all(what, q);
  if (c.print_json(found)) return;
  if (found.at(what).empty())
    return c.out.line(fmt::format("no {}, looked at {} actors", what, number_in(found, "actors")));
  write_rows(c.out, found.at(what), columns);
  if (found.value("truncated", false))
    c.out.line(c.out.paint(style::yellow, "there are more; name a key or the beginning of some"));
}

void dead(context& c, const options& o) {
  wire::query q;
  if (!o.below.empty()) q.add("below", o.below);
  const auto found = source_of(c)->all("dead", q);
  if (c.print_json(found)) return;
  for (const auto& one : found.at("quarantined"))
    c.out.line(fmt::format("{}  {}  {}", c.out.paint(style::red, "quarantined"), shown(one.at("key")),
                           shown(one.at("why"))));
  auto messages = found.at("messages");
  for (auto& one : messages) one["error"] = one["error"].is_object() ? one["error"].value("detail", "") : "";
  if (!messages.empty()) write_rows(c.out, messages, {"actor", "id", "time", "target", "name", "error"});
  if (found.at("quarantined").empty() && messages.empty()) c.out.line("nothing is dead");
  c.out.line(c.out.paint(
      style::dim,
      fmt::format("looked at {} actors{}", number_in(found, "looked_at"),
                  found.value("truncated", false) ? ", those active last; name a key for others" : "")));
}

void retry(context& c, const options& o, const char* what) {
  const auto path = "/v1/inspect/actors/" + wire::percent_encode(o.key, true);
  if (o.id > 0) {
    const auto done = c.server().send("POST", path + "/dead", {{"id", o.id}, {"do", what}});
    if (c.print_json(done)) return;
    return c.out.line(fmt::format("{} to {}: {}", shown(done.at("name")), shown(done.at("target")),
                                  std::string_view(what) == "retry" ? "sent again" : "dropped"));
  }
  const auto done = c.server().send("POST", path + "/retry", json::object());
  if (c.print_json(done)) return;
  c.out.line(done.value("released", false) ? "released" : "it was not quarantined");
}

void graph(context& c, const options& o) {
  wire::query q;
  if (!o.below.empty()) q.add("below", o.below);
  const auto found = source_of(c)->all("graph", q);
  const auto edges = graph_of(found, o.each);
  if (c.print_json(
          {{"edges", edges}, {"looked_at", found.at("looked_at")}, {"truncated", found.at("truncated")}}))
    return;
  if (o.form == "dot") return c.out.write(graph_as_dot(edges));
  if (o.form == "svg") return c.out.write(graph_as_svg(edges));
  if (edges.empty()) return c.out.line("nobody has sent anything to anybody");
  write_rows(c.out, edges, {"from", "to", "messages", "waiting"});
}

}  // namespace

void add_inspect(CLI::App& app, context& c) {
  auto* inspect =
      group(app, "inspect", "look into actors: what they hold, what happened to them, and why",
            "  troupe inspect actors --kind task\n  troupe inspect history org/acme --changes\n"
            "  troupe inspect why org/acme/task/t1 task 1\n  troupe inspect diff org/acme --from 3 --to 9\n"
            "  troupe inspect tail org/acme/task\n  troupe inspect graph --form svg > graph.svg\n\n"
            "Without a running server all but retry, drop, host, tail and top look into the folder of "
            "--data, or .troupe.\n");
  auto o = std::make_shared<options>();

  auto* listed = action(*inspect, "actors", "the actors of the host",
                        "  troupe inspect actors --prefix org/acme --awake\n  troupe inspect actors --tree\n"
                        "  troupe inspect actors --sort size --limit 1000\n",
                        [&c, o] { actors(c, *o); });
  listed->add_option("--prefix", o->prefix, "only keys that begin so");
  listed->add_option("--kind", o->kind, "only this kind");
  listed->add_flag("--awake", o->awake, "only those in memory");
  listed->add_flag("--asleep", o->asleep, "only those on disk alone")->excludes("--awake");
  auto* sorted =
      listed
          ->add_option("--sort", o->sort,
                       "by key, or within the page by kind, size, active, turn, mailbox, outbox, effects")
          ->check(CLI::IsMember({"key", "kind", "size", "active", "turn", "mailbox", "outbox", "effects"}));
  listed->add_flag("--tree", o->as_tree, "each below the one that its key lies in")->excludes(sorted);
  listed->add_option("--limit", o->limit, "how many, at most 1000")->capture_default_str();
  listed->add_option("--after", o->after, "the key that the page before ended with");

  const auto keyed = [&](const char* name, const char* what, const char* example, std::function<void()> run) {
    auto* made = action(*inspect, name, what, example, std::move(run));
    made->add_option("KEY", o->key, "an actor, as in org/acme/task/t1")->required();
    return made;
  };
  const auto below = [&](const char* name, const char* what, const char* example, std::function<void()> run) {
    auto* made = action(*inspect, name, what, example, std::move(run));
    made->add_option("BELOW", o->below, "a key, or what keys begin with (default: all)");
    return made;
  };
  keyed("actor", "one actor: revision, tables, outbox, effects, timers, peers",
        "  troupe inspect actor org/acme\n", [&c, o] {
          const auto found = source_of(c)->one(o->key, "", {});
          if (!c.print_json(found)) write_tree(c.out, found);
        });
  auto* past = keyed("history", "the commands that an actor applied, with body, result and rows",
                     "  troupe inspect history org/acme --last 5 --changes\n", [&c, o] { history(c, *o); });
  auto* onwards = past->add_option("--after", o->from, "the number that the page before ended with");
  past->add_option("--limit", o->limit, "how many")->capture_default_str();
  past->add_option("--last", o->last, "only so many, the newest")->excludes(onwards);
  past->add_flag("--changes", o->changes, "the rows that each command changed, before and after, too");
  auto* then = keyed("at", "an actor's rows as they were after a turn",
                     "  troupe inspect at org/acme 12 --table tasks\n", [&c, o] { at_turn(c, *o); });
  then->add_option("TURN", o->turn, "as history numbers them")->required();
  then->add_option("--table", o->table, "only this one");
  auto* between = keyed("diff", "what differs between an actor's rows after one turn and after another",
                        "  troupe inspect diff org/acme --from 3 --to 9\n", [&c, o] { diff(c, *o); });
  between->add_option("--from", o->from, "the earlier turn")->required();
  between->add_option("--to", o->to, "the later turn")->required();
  auto* reason = keyed("why", "the commands that changed a row, the last one first",
                       "  troupe inspect why org/acme tasks t1\n", [&c, o] { why(c, *o); });
  reason->add_option("TABLE", o->table, "one of the actor's own tables")->required();
  reason->add_option("ROW", o->row, "the value of its key; of several columns, a JSON array")->required();
  reason->add_option("--limit", o->limit, "how many")->capture_default_str();
  keyed("query", "a read-only SQL statement on an actor's own file",
        "  troupe inspect query org/acme/task/t1 \"select name from sqlite_schema where type = 'table'\"\n",
        [&c, o] { query(c, *o); })
      ->add_option("SQL", o->sql, "one statement; it reads, for at most 2 s and 10,000 rows")
      ->required();

  keyed("queue", "what waits in an actor's mailbox", "  troupe inspect queue org/acme\n",
        [&c, o] { queue(c, *o); });
  below("outbox", "messages that are not settled yet", "  troupe inspect outbox org/acme\n", [&c, o] {
    waiting(c, "outbox", {"actor", "target", "lane", "number", "name", "principal", "time"}, *o);
  });
  below(
      "effects", "work on the outside world that is under way or waits", "  troupe inspect effects\n",
      [&c, o] {
        waiting(c, "effects", {"actor", "kind", "resource", "attempt", "then", "time", "deadline", "id"}, *o);
      });
  below("feeds", "sources that actors follow", "  troupe inspect feeds org/acme\n", [&c, o] {
    waiting(c, "feeds", {"actor", "kind", "position", "then", "time", "id"}, *o);
  });
  below("timers", "alarms that are set", "  troupe inspect timers\n", [&c, o] {
    waiting(c, "timers", {"actor", "name", "due", "command"}, *o);
  });
  below("dead", "quarantined actors, and messages that were refused and that nobody waits for",
        "  troupe inspect dead org/acme\n", [&c, o] { dead(c, *o); });
  keyed("retry", "release a quarantined actor once the cause is gone; or send one of its dead messages again",
        "  troupe inspect retry org/acme/task/t1\n  troupe inspect retry org/acme 7\n",
        [&c, o] { retry(c, *o, "retry"); })
      ->add_option("ID", o->id, "of a dead message");
  keyed("drop", "forget a dead message", "  troupe inspect drop org/acme 7\n",
        [&c, o] { retry(c, *o, "drop"); })
      ->add_option("ID", o->id, "of the dead message")
      ->required()
      ->check(CLI::PositiveNumber);
  auto* drawn = below("graph", "who has sent how many messages to whom",
                      "  troupe inspect graph org/acme --form svg > graph.svg\n", [&c, o] { graph(c, *o); });
  drawn->add_option("--form", o->form, "text, dot (for Graphviz) or svg")
      ->check(CLI::IsMember({"text", "dot", "svg"}));
  drawn->add_flag("--each", o->each, "each actor by itself rather than kinds of them");

  action(*inspect, "host", "the host: awake actors, turns, latencies", "  troupe inspect host\n", [&c] {
    const auto found = c.server().get("/v1/inspect/host");
    if (!c.print_json(found)) write_tree(c.out, found);
  });
  auto* followed = action(
      *inspect, "tail", "turns as they are committed",
      "  troupe inspect tail org/acme/task\n  troupe inspect tail --kind session --slow 20\n", [&c, o] {
        follow_turns(c, {o->prefix, o->kind, o->slow_ms});
      });
  followed->add_option("PREFIX,--prefix", o->prefix, "only actors whose key begins so");
  followed->add_option("--kind", o->kind, "only this kind");
  followed->add_option("--slow", o->slow_ms, "only turns that took at least so many milliseconds");
  auto* busiest = action(*inspect, "top", "the busiest actors, live", "  troupe inspect top --every 2\n",
                         [&c, o] { watch_busiest(c, o->prefix, o->seconds, o->times); });
  busiest->add_option("--prefix", o->prefix, "only keys that begin so");
  busiest->add_option("--every", o->seconds, "seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  busiest->add_option("--times", o->times, "how often it is drawn (default: until interrupted)");
}

}  // namespace troupe::cli
