// The organization's webhook: told when a task needs somebody, has finished or has failed.
#include <algorithm>

#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"
#include "actors/text.h"

namespace troupe::actors::organization_actor {
namespace {

constexpr std::int64_t max_waiting = 100;

// What a change of status means to somebody who is not looking.
std::string event_of(const std::string& before, const std::string& now) {
  if (before == now) return {};
  if (now == "needs_input") return "needs_input";
  if (now == "error") return "failed";
  const bool worked = before == "running" || before == "needs_input";
  return worked && now == "idle" ? "finished" : "";
}

}  // namespace

answer set_webhook(turn& t, const json& body) {
  const auto url = text_of(body, "url");
  if (!url) {
    t.run("DELETE FROM webhook");
    return done();
  }
  t.run(
      "INSERT INTO webhook (id, url, secret, events) VALUES (1, ?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET "
      "url = ?1, "
      "secret = ?2, events = ?3, error = '', failed_at = 0",
      *url, text_or(body, "secret", ""),
      body.value("events", json{"needs_input", "finished", "failed"}).dump());
  return done();
}

void notify(turn& t, const std::string& before, const json& summary) {
  const auto event = event_of(before, text_or(summary, "status", ""));
  if (event.empty()) return;
  std::string url, secret;
  std::int64_t waiting = 0;
  t.each(
      "SELECT url, secret, waiting FROM webhook WHERE EXISTS (SELECT 1 FROM json_each(events) WHERE value = "
      "?)",
      [&](const storage::row& r) {
        url = r.get<std::string>(0);
        secret = r.get<std::string>(1);
        waiting = r.get<std::int64_t>(2);
      },
      event);
  if (url.empty()) return;
  if (waiting >= max_waiting) {
    t.run(
        "UPDATE webhook SET failed_at = ?, error = ?", t.now_ms(),
        std::to_string(max_waiting) + " notifications wait for an answer already, so one more was not sent");
    return;
  }
  json told{{"event", event}, {"organization", t.self().id()}, {"time", t.now_ms()}};
  for (const auto* name : {"task", "title", "branch", "repository", "status", "owner", "error"})
    if (const auto value = text_of(summary, name)) told[name] = *value;
  json body{{"url", url}, {"event", std::move(told)}};
  if (!secret.empty()) body["secret"] = secret;
  t.start({.kind = "webhook.post",
           .body = std::move(body),
           .then = "org.apply_webhook",
           .context = {{"url", url}}});
  t.run("UPDATE webhook SET waiting = waiting + 1");
}

answer apply_webhook(turn& t, const json& body) {
  const auto o = outcome::of(body);
  t.run("UPDATE webhook SET waiting = max(waiting - 1, 0)");
  // Of another URL that was there before.
  if (t.one<std::string>("SELECT url FROM webhook").value_or("") != o.context.value("url", "")) return done();
  if (o.ok())
    t.run("UPDATE webhook SET delivered_at = ?, error = ''", t.now_ms());
  else
    t.run("UPDATE webhook SET failed_at = ?, error = ?", t.now_ms(),
          clip(o.error().detail, organization_limits::summary_error));
  return done();
}

json webhook(const view& v) {
  json shown;
  v.each("SELECT url, secret, events, waiting, delivered_at, failed_at, error FROM webhook",
         [&](const storage::row& r) {
           shown = {{"url", r.get<std::string>(0)},
                    {"events", json::parse(r.get<std::string>(2))},
                    {"waiting", r.get<std::int64_t>(3)}};
           if (const auto secret = r.get<std::string>(1); !secret.empty()) shown["secret"] = secret;
           if (const auto at = r.get<std::int64_t>(4); at > 0) shown["delivered_at"] = at;
           if (const auto at = r.get<std::int64_t>(5); at > 0) shown["failed_at"] = at;
           if (const auto error = r.get<std::string>(6); !error.empty()) shown["error"] = error;
         });
  return shown;
}

}  // namespace troupe::actors::organization_actor
