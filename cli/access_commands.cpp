#include <memory>

#include <fmt/format.h>

#include "actors/access/secret.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/sign_in.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

struct options {
  std::string user, display_name, label, id;
  bool admin = false;
  int days = 0;
};

void users(context& c, const options& o) {
  json body{{"limit", 500}};
  if (!o.label.empty()) body["text"] = o.label;
  const auto found = c.server().query("access", "access.list_users", body);
  if (c.print_json(found)) return;
  table t({"USER", "STATE", "INSTANCE", "TOKENS", "BROWSERS", "ORGANIZATIONS"});
  for (const auto& one : found.at("users")) {
    std::string in;
    for (const auto& [name, role] : one.at("organizations").items()) {
      in += fmt::format("{}{} ({})", in.empty() ? "" : ", ", plain(name), plain(role.get<std::string>()));
    }
    t.row({plain(one.value("user", "")), one.value("state", ""), one.value("admin", false) ? "admin" : "",
           std::to_string(one.value("tokens", 0)), std::to_string(one.value("sessions", 0)), in});
  }
  c.out.write(t.text(c.out));
}

void token(context& c, const options& o) {
  const auto secret = actors::make_secret("trp");
  json body{{"hash", actors::hash_of_secret(secret)}};
  if (!o.user.empty()) body["user"] = o.user;
  if (!o.label.empty()) body["label"] = o.label;
  if (o.days > 0) body["expires_at"] = now_ms() + std::int64_t{o.days} * 86'400'000;
  auto made = c.server().command("access", "access.create_token", body);
  made["secret"] = secret;
  if (c.print_json(made)) return;
  c.out.line(secret);
  c.err.line(
      c.err.paint(style::dim, fmt::format("for {}; shown this once, the server keeps its hash alone (id {})",
                                          made.value("user", ""), made.value("token", ""))));
}

void link(context& c, const options& o) {
  const auto word = actors::make_secret("link");
  json body{{"hash", actors::hash_of_secret(word)}};
  if (!o.user.empty()) body["user"] = o.user;
  auto made = c.server().command("access", "access.create_link", body);
  made["url"] = sign_in_url(c.server().place().url, word);
  if (c.print_json(made)) return;
  c.out.line(made["url"].get<std::string>());
  c.err.line(
      c.err.paint(style::dim, fmt::format("signs {} in once, within ten minutes", made.value("user", ""))));
}

void credentials(context& c, const options& o) {
  const auto found = c.server().query("access", "access.list_credentials", {{"user", o.user}});
  if (c.print_json(found)) return;
  table t({"ID", "WHAT", "MADE", "UNTIL", "LABEL"});
  const auto rows = [&](const char* list, const char* what) {
    for (const auto& one : found.at(list)) {
      t.row({one.value("id", ""), what, ago(one.value("created_at", std::int64_t{0}), now_ms()),
             one.at("expires_at").is_number() ? local_time(one["expires_at"]) : "-",
             plain(one.value("label", ""))});
    }
  };
  rows("tokens", "token");
  rows("sessions", "browser");
  c.out.write(t.text(c.out));
}

}  // namespace

void add_access(CLI::App& app, context& c) {
  auto* access = group(
      app, "access", "users of the instance, their tokens and sign-in links",
      "  troupe access add-user ada\n  troupe access link ada\n  troupe access token --label ci --days 90\n");
  auto o = std::make_shared<options>();

  action(*access, "users", "who may sign in", "  troupe access users\n", [&c, o] {
    users(c, *o);
  })->add_option("TEXT", o->label, "only those with this in their name");
  auto* add = action(*access, "add-user", "let somebody sign in",
                     "  troupe access add-user ada --name 'Ada L.'\n", [&c, o] {
                       json body{{"user", o->user}};
                       if (!o->display_name.empty()) body["display_name"] = o->display_name;
                       if (o->admin) body["admin"] = true;
                       const auto made = c.server().command("access", "access.create_user", body);
                       if (!c.print_json(made))
                         c.out.line(fmt::format("made {0}; next: troupe access link {0}", o->user));
                     });
  add->add_option("USER", o->user, "login name")->required();
  add->add_option("--name", o->display_name, "what people call it");
  add->add_flag("--admin", o->admin, "administrator of the instance");

  const auto simple = [&](const char* name, const char* what, const char* command, const char* field,
                          const char* option) {
    action(*access, name, what,
           fmt::format("  troupe access {} {}\n", name,
                       std::string_view(field) == "user" ? "ada" : "0123456789abcdef"),
           [&c, o, command, field] {
             const auto done = c.server().command(
                 "access", command, {{field, std::string_view(field) == "user" ? o->user : o->id}});
             if (!c.print_json(done)) c.out.line("done");
           })
        ->add_option(option, std::string_view(field) == "user" ? o->user : o->id, "which")
        ->required();
  };
  simple("disable", "sign a user out everywhere and let it in no more", "access.disable_user", "user",
         "USER");
  simple("enable", "let a disabled user in again", "access.enable_user", "user", "USER");
  simple("remove", "forget a disabled user", "access.remove_user", "user", "USER");
  simple("revoke", "end a token", "access.revoke_token", "token", "ID");
  simple("sign-out", "end a browser's session", "access.end_session", "session", "ID");
  action(*access, "credentials", "tokens and browsers of a user", "  troupe access credentials ada\n",
         [&c, o] { credentials(c, *o); })
      ->add_option("USER", o->user, "login name")
      ->required();

  auto* made = action(*access, "token", "make a token for programs; it is shown once",
                      "  troupe access token --label ci --days 90\n", [&c, o] { token(c, *o); });
  made->add_option("USER", o->user, "for whom (default: yourself)");
  made->add_option("--label", o->label, "what it is for");
  made->add_option("--days", o->days, "how long it lasts (default: until it is revoked)");
  action(*access, "link", "make a sign-in link for a browser", "  troupe access link ada\n", [&c, o] {
    link(c, *o);
  })->add_option("USER", o->user, "for whom (default: yourself)");
}

}  // namespace troupe::cli
