// Backups: made by the server while it serves, or of a folder at rest; restored; verified.
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "actors/audit_log/chain.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/kinds.h"
#include "cli/subcommand.h"
#include "runtime/backup.h"
#include "runtime/compact.h"
#include "runtime/host.h"
#include "runtime/verify.h"

namespace troupe::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds look_again{100};

struct options {
  std::string place, from, to, folder;
  bool full = false;
};

// One line that is written over, where somebody looks.
class progress_line {
 public:
  explicit progress_line(context& c) : c_(c), shown_(!c.as_json && ::isatty(STDERR_FILENO)) {}
  ~progress_line() {
    if (shown_) c_.err.write("\r\x1b[K");
  }
  void say(std::string_view what, std::uint64_t done, std::uint64_t all) {
    if (shown_ && all > 0)
      c_.err.write(fmt::format("\r\x1b[K{}  {} of {}", plain(std::string(what)), done, all));
  }

 private:
  context& c_;
  const bool shown_;
};

backup_options options_for(progress_line& line) {
  return {.also = backed_up_beside_actors(),
          .kinds = names_of_kinds(),
          .progress = [&line](std::string_view what, std::size_t done, std::size_t all) {
            line.say(what, done, all);
            return true;
          }};
}

template <class F>
auto told(F f) {
  try {
    return f();
  } catch (const data_folder_in_use& e) {
    throw failure(e.what(), "its server makes backups itself: `troupe backup DIR` without --data finds it");
  } catch (const storage::error& e) {
    throw failure(e.what());
  } catch (const std::system_error& e) {
    throw failure(e.what(), "the user who runs this needs to read the one folder and write the other");
  }
}

// Asks the server, which knows when to hold what passes between actors.
json by_server(context& c, const fs::path& place) {
  c.server().send("POST", "/v1/host/backup", {{"place", place.string()}});
  progress_line line(c);
  for (;;) {
    const auto state = c.server().get("/v1/host/backup");
    const auto is = state.value("state", "");
    if (is == "done") return state.at("result");
    if (is == "failed") throw failure(state.value("error", "the backup failed"));
    if (is != "running") throw failure("the server forgot the backup: was it started again?");
    line.say(state.value("what", ""), state.value("done", std::uint64_t{0}),
             state.value("all", std::uint64_t{0}));
    std::this_thread::sleep_for(look_again);
  }
}

bool served(context& c) {
  try {
    c.server().get("/v1/health");
    return true;
  } catch (const failure&) {
    return false;
  }
}

void make_backup(context& c, const options& o) {
  const auto place = fs::absolute(o.place).lexically_normal();
  json made;
  if (served(c)) {
    made = by_server(c, place);
  } else {
    const fs::path data = c.data.empty() ? ".troupe" : c.data;
    if (!fs::exists(data / "host.sqlite"))
      throw failure(fmt::format("no server runs here, and {} is no data folder", fs::absolute(data).string()),
                    "start the server, name it with --server, or name its folder with --data");
    progress_line line(c);
    made = to_json(told([&] { return back_up(data, place, options_for(line)); }));
  }
  if (c.print_json(made)) return;
  const auto n = [&](const char* name) { return made.value(name, std::uint64_t{0}); };
  c.out.line(fmt::format("{} {}", c.out.paint(style::green, "✔"),
                         c.out.paint(style::bold, plain(made.value("at", "")))));
  c.out.line(fmt::format("  {} actors: {} copied ({}), {} as before; messages between actors waited {} ms",
                         n("actors"), n("copied"), bytes(n("bytes")), n("unchanged"), n("held_ms")));
  for (const auto& k : made.value("damaged", json::array()))
    c.out.line(fmt::format("  {} {} is broken and was copied as it is: `troupe verify` says what is wrong",
                           c.out.paint(style::red, "✘"), plain(k.get<std::string>())));
}

void check_audit(const key& k, storage::reader& db, const std::function<void(std::string)>& broken) {
  if (k.kind() != "audit-log") return;
  actors::chain_check chain;
  for (const auto& row : db.run("SELECT data FROM rt_entries WHERE stream = 'entries' ORDER BY seq").rows) {
    const auto* text = std::get_if<std::string>(&row[0]);
    if (const auto fault = chain.next(json::parse(text ? *text : "", nullptr, false)))
      return broken("audit trail: " + *fault);
  }
  const auto head = db.run("SELECT hash FROM entries ORDER BY seq DESC LIMIT 1").rows;
  if (!head.empty() && std::get<std::string>(head[0][0]) != chain.hash())
    broken("audit trail: its table and its stream end differently");
}

verify_result checked(context& c, const fs::path& folder, bool full) {
  progress_line line(c);
  return told([&] {
    return verify(folder, {.depth = full ? storage::check_depth::full : storage::check_depth::quick,
                           .kinds = names_of_kinds(),
                           .also = check_audit,
                           .progress = [&](std::size_t done, std::size_t all) {
                             line.say("actors", done, all);
                             return true;
                           }});
  });
}

void show(context& c, const fs::path& folder, const verify_result& r) {
  json findings = json::array();
  for (const auto& f : r.findings) findings.push_back({{"actor", f.actor}, {"what", f.what}});
  const json all{{"folder", folder.string()}, {"actors", r.actors},   {"bytes", r.bytes},
                 {"pairs", r.pairs},          {"waiting", r.waiting}, {"findings", findings}};
  if (!c.print_json(all)) {
    for (const auto& f : r.findings)
      c.out.line(fmt::format("{} {}  {}", c.out.paint(style::red, "✘"),
                             c.out.paint(style::bold, plain(f.actor)), plain(f.what)));
    if (r.whole())
      c.out.line(fmt::format(
          "{} {} actors ({}) are whole; {} pairs agree on what was sent, {} messages are under way",
          c.out.paint(style::green, "✔"), r.actors, bytes(r.bytes), r.pairs, r.waiting));
  }
  if (!r.whole())
    throw failure(fmt::format("{} things are wrong in {}", r.findings.size(), folder.string()),
                  "restore the newest backup that is whole: troupe verify BACKUP, then troupe restore");
}

void verify_folder(context& c, const options& o) {
  fs::path folder = !o.folder.empty() ? o.folder : c.data.empty() ? ".troupe" : c.data;
  if (!fs::exists(folder)) throw failure(fmt::format("there is no folder {}", fs::absolute(folder).string()));
  if (!fs::exists(folder / "backup.json")) {
    if (const auto all = backups_in(folder); !all.empty()) folder = all.back();
  }
  if (fs::exists(folder / "backup.json")) folder /= "data";
  show(c, folder, checked(c, folder, o.full));
}

void restore_backup(context& c, const options& o) {
  const fs::path to = o.to.empty() ? fs::path(c.data) : fs::path(o.to);
  if (to.empty()) throw failure("where to is not said", "name a new data folder with --to DIR");
  restore_result made;
  {
    progress_line line(c);
    made = told([&] { return restore(o.from, to, options_for(line)); });
  }
  if (c.print_json(to_json(made))) return;
  c.out.line(fmt::format("{} {} of {}", c.out.paint(style::green, "✔"),
                         c.out.paint(style::bold, made.data.string()), made.from.string()));
  c.out.line(fmt::format("  {} actors, {} of them go on with something when it is served", made.actors,
                         made.with_work));
  c.out.line(
      fmt::format("  next         put secrets.key back, then troupe serve --data {}", made.data.string()));
}

void compact_folder(context& c) {
  const fs::path data = c.data.empty() ? ".troupe" : c.data;
  compact_result r;
  try {
    progress_line line(c);
    r = compact(data, {.kinds = names_of_kinds(), .progress = [&](std::size_t done, std::size_t all) {
                         line.say("files", done, all);
                         return true;
                       }});
  } catch (const data_folder_in_use& e) {
    throw failure(e.what(),
                  "stop its server first: files are written anew, which their actors would wait for");
  } catch (const storage::error& e) {
    throw failure(e.what());
  }
  if (c.print_json({{"files", r.files},
                    {"smaller", r.smaller},
                    {"before", r.before},
                    {"after", r.after},
                    {"left", r.left}}))
    return;
  c.out.line(fmt::format("{} {} of {} files are smaller: {} before, {} after", c.out.paint(style::green, "✔"),
                         r.smaller, r.files, bytes(r.before), bytes(r.after)));
  for (const auto& why : r.left) c.out.line(fmt::format("  left as it is: {}", plain(why)));
}

}  // namespace

void add_backup(CLI::App& app, context& c) {
  auto o = std::make_shared<options>();
  action(app, "backup", "copy all actors as of one moment, while they work; what did not change is linked",
         "  troupe backup /backups/troupe\n  troupe backup /backups/troupe --data /srv/troupe\n",
         [&c, o] { make_backup(c, *o); })
      ->add_option("DIR", o->place, "where backups are kept: each becomes a folder in it, named by its time")
      ->required();
  auto* restored = action(app, "restore", "make a data folder of a backup",
                          "  troupe restore /backups/troupe --to /srv/troupe\n"
                          "  troupe restore /backups/troupe/2026-01-31T03-00-00Z --to /srv/troupe\n",
                          [&c, o] { restore_backup(c, *o); });
  restored->add_option("BACKUP", o->from, "one backup, or the folder of several: the newest")->required();
  restored->add_option("--to", o->to, "the data folder to make; it must not be there, or be empty");
  action(app, "compact",
         "give the disk back what deleted rows left free, in a data folder whose server is stopped",
         "  troupe compact --data /srv/troupe\n", [&c] { compact_folder(c); });
  auto* verified =
      action(app, "verify", "whether a data folder or a backup is whole: files, messages, index, audit trail",
             "  troupe verify --data /srv/troupe\n  troupe verify /backups/troupe --full\n",
             [&c, o] { verify_folder(c, *o); });
  verified->add_option("DIR", o->folder,
                       "a data folder, a backup, or the folder of several (default: --data, or .troupe)");
  verified->add_flag("--full", o->full, "compare indexes with tables, too");
}

}  // namespace troupe::cli
