#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/subcommand.h"
#include "net/gateway/secrets.h"
#include "runtime/data_lock.h"
#include "runtime/host.h"

namespace troupe::cli {

namespace fs = std::filesystem;
using gateway::sealing_key;

namespace {

/// What is typed without being shown, or what a pipe brings, without the line end that programs add.
std::string read_value(terminal& to) {
  std::string value;
  if (termios before{}; ::tcgetattr(STDIN_FILENO, &before) == 0) {
    auto silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    to.write("value (it is not shown): ");
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    std::getline(std::cin, value);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    to.line();
  } else {
    value.assign(std::istreambuf_iterator<char>(std::cin), {});
    if (value.ends_with('\n')) value.pop_back();
  }
  if (value.empty())
    throw misused("the value is empty", "type it, or pipe it: troupe secret set NAME < FILE");
  return value;
}

std::string path(context& c, const std::string& name = {}) {
  auto whole = "/v1/secrets/" + wire::percent_encode(c.org());
  return name.empty() ? whole : whole + "/" + wire::percent_encode(name);
}

sealing_key key_in(const char* variable) {
  const char* hex = std::getenv(variable);
  if (!hex || !*hex)
    throw misused(fmt::format("{} is not set", variable),
                  "TROUPE_SECRETS_KEY is the key until now, TROUPE_SECRETS_NEW_KEY the one from now on, 64 "
                  "hex digits each");
  return sealing_key::from_hex(hex);
}

void rotate(context& c) {
  const fs::path data = c.data.empty() ? ".troupe" : c.data;
  if (!fs::exists(data / "host.sqlite"))
    throw failure(fmt::format("{} is no data folder", data.string()),
                  "name it: troupe secret rotate --data DIR");
  std::size_t sealed = 0;
  try {
    const data_lock lock(data);
    const auto files = data / "secrets";
    sealed =
        std::getenv("TROUPE_SECRETS_KEY")
            ? gateway::seal_anew(files, key_in("TROUPE_SECRETS_NEW_KEY").after(key_in("TROUPE_SECRETS_KEY")))
            : gateway::rotate_sealing_key(files, data / "secrets.key");
  } catch (const data_folder_in_use& why) {
    throw failure(why.what(), "stop its server first: it has the key in use");
  } catch (const failure&) {
    throw;
  } catch (const std::runtime_error& why) {
    throw failure(why.what(), "nothing was lost; the same command goes on");
  }
  if (!c.print_json({{"sealed", sealed}}))
    c.out.line(
        fmt::format("{} secrets sealed with a new key; keep a copy of it away from the backups", sealed));
}

void list(context& c) {
  const auto found = c.server().get(path(c));
  if (c.print_json(found)) return;
  if (found.at("secrets").empty()) return c.out.line("no secret yet: troupe secret set NAME");
  table t({"SECRET", "CHANGED"});
  for (const auto& one : found["secrets"])
    t.row({plain(one.value("name", "")), ago(one.value("updated_at", std::int64_t{0}), now_ms())});
  c.out.write(t.text(c.out));
}

}  // namespace

void add_secret(CLI::App& app, context& c) {
  auto* secret = group(app, "secret", "passwords and keys of an organization: written, never read back",
                       "  troupe secret set github\n  troupe secret set deploy-key < ~/.ssh/deploy\n"
                       "  troupe repo set widgets --credential github --env API_KEY=secret:api-key\n");
  auto name = std::make_shared<std::string>();
  const auto named = [&](const char* word, const char* what, const std::string& example,
                         std::function<void()> run) {
    action(*secret, word, what, example, std::move(run))->add_option("NAME", *name, "its name")->required();
  };
  auto host = std::make_shared<std::string>();
  auto* set = action(*secret, "set", "store one, typed or piped in; it takes the place of what was there",
                     "  troupe secret set github\n  printf %s \"$TOKEN\" | troupe secret set github\n"
                     "  troupe secret set --git github.com < ~/.ssh/my-key\n",
                     [&c, name, host] {
                       if (name->empty() == host->empty())
                         throw misused("either a name or --git HOST", "troupe secret set --help shows both");
                       if (!host->empty())
                         *name = fmt::format("git_{}_{}", *host, c.principal().value("user", ""));
                       c.server().send("PUT", path(c, *name), {{"value", read_value(c.err)}});
                       if (!c.print_json({{"name", *name}})) c.out.line(fmt::format("set {}", *name));
                     });
  set->add_option("NAME", *name, "its name");
  set->add_option(
      "--git", *host,
      "your own credential for a git host: tasks that you own show it there, and nowhere else; needs no "
      "administrator");
  action(*secret, "rotate", "seal all of a data folder with a new key, while its server is stopped",
         "  troupe secret rotate --data /srv/troupe\n"
         "  TROUPE_SECRETS_KEY=OLD TROUPE_SECRETS_NEW_KEY=NEW troupe secret rotate --data /srv/troupe\n",
         [&c] { rotate(c); });
  action(*secret, "list", "their names", "  troupe secret list\n", [&c] { list(c); });
  named("remove", "forget one", "  troupe secret remove github\n", [&c, name] {
    c.server().send("DELETE", path(c, *name), nullptr);
    if (!c.print_json({{"name", *name}})) c.out.line(fmt::format("removed {}", *name));
  });
}

}  // namespace troupe::cli
