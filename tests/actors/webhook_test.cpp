// What an organization's webhook is told, and how that shows.
#include "tests/actors/workshop.h"

using namespace troupe;
using namespace troupe::testing;

TEST_CASE("a webhook is told when a task needs input, has finished and has failed, and of nothing else") {
  workshop w;
  w.must("org/acme", "org.set_webhook", {{"url", "https://x.org/hook"}, {"secret", "hook"}});
  w.make_task();
  auto a = w.begin();
  a.print({agent::request(1, "execute", "make")});
  const auto needs = w.h.effect("webhook.post");
  CHECK(needs->body()["url"] == "https://x.org/hook");
  CHECK(needs->body()["secret"] == "hook");
  CHECK(needs->body()["event"]["event"] == "needs_input");
  CHECK(needs->body()["event"]["organization"] == "acme");
  CHECK(needs->body()["event"]["title"] == "Fix the login");
  CHECK(needs->body()["event"]["task"] == w.task.substr(w.task.rfind('/') + 1));
  CHECK(needs->body().dump().find("make") == std::string::npos);
  needs->succeed({{"status", 200}});
  w.h.await("org/acme", [](const json& s) { return s["webhook"].contains("delivered_at"); });
  w.end_turn(a);
  const auto finished = w.h.effect("webhook.post");
  CHECK(finished->body()["event"]["event"] == "finished");
  finished->succeed({{"status", 204}});
  w.no_changes();
  w.watch->fail({.status = 404, .code = "not_found", .detail = "the supervisor is gone"});
  const auto failed = w.h.effect("webhook.post");
  CHECK(failed->body()["event"]["event"] == "failed");
  CHECK(failed->body()["event"]["error"].get<std::string>().find("supervisor is gone") != std::string::npos);
  failed->fail({.status = 422, .code = "webhook_refused", .detail = "it answered 410"});
  const auto s = w.h.await("org/acme", [](const json& o) { return o["webhook"].contains("error"); });
  CHECK(s["webhook"]["error"] == "it answered 410");
  CHECK(s["webhook"]["waiting"] == 0);
  CHECK(w.h.waiting("webhook.post") == 0);
}

TEST_CASE("a webhook hears only what was asked for, and nothing once it is taken away") {
  workshop w;
  CHECK(w.refused("org/acme", "org.set_webhook", {{"url", "ftp://x.org"}}) == "invalid_body");
  CHECK(w.refused("org/acme", "org.set_webhook", {{"url", "https://ada:word@x.org/"}}) == "invalid_body");
  w.must("org/acme", "org.set_webhook", {{"url", "https://x.org/hook"}, {"events", {"finished"}}});
  w.make_task();
  auto a = w.begin();
  a.print({agent::request(1, "execute", "make")});
  w.await_status(w.task, "needs_input");
  w.end_turn(a);
  CHECK(w.h.effect("webhook.post")->body()["event"]["event"] == "finished");
  w.no_changes();
  w.await_status(w.task, "idle");
  w.must("org/acme", "org.set_webhook", {{"url", nullptr}});
  CHECK(w.h.snapshot("org/acme")["webhook"].is_null());
  w.must(w.session, "session.prompt", {{"text", "more"}});
  w.prompt = w.h.effect("agent.prompt");
  w.end_turn(a);
  w.no_changes();
  w.await_status(w.task, "idle");
  w.h.await("org/acme", [](const json& s) { return s["tasks"][0]["status"] == "idle"; });
  CHECK(w.h.waiting("webhook.post") == 0);
}

TEST_CASE("notifications that nobody answers do not pile up") {
  workshop w;
  w.must("org/acme", "org.set_webhook", {{"url", "https://x.org/hook"}, {"events", {"failed"}}});
  for (int i = 0; i < 101; ++i) {
    w.make_task();
    w.h.effect("git.mirror")->fail({.status = 502, .code = "git_failed", .detail = "the remote hung up"});
    w.await_status(w.task, "error");
  }
  const auto s = w.h.await("org/acme", [](const json& o) { return o["webhook"].contains("error"); });
  CHECK(s["webhook"]["waiting"] == 100);
  CHECK(s["webhook"]["error"].get<std::string>().find("100 notifications wait") != std::string::npos);
}
