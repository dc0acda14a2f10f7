// A whole instance with org/acme, its owner ada, a repository and real tasks, sessions and sandboxes; the
// world outside (providers, git, agents) is played by the test.
#pragma once

#include <future>
#include <string>

#include <doctest/doctest.h>

#include "actors/access/access.h"
#include "actors/audit_log/audit_log.h"
#include "actors/audit_log/auditor.h"
#include "actors/capacity/capacity.h"
#include "actors/organization/organization.h"
#include "actors/sandbox/sandbox.h"
#include "actors/session/session.h"
#include "actors/task/task.h"
#include "tests/kit/actor_host.h"

namespace troupe::testing {

/// The agent's side of one connection: what it prints reaches the session in batches.
class agent {
 public:
  explicit agent(std::shared_ptr<feed_run> feed) : feed_(std::move(feed)) {}

  /// Prints these messages in one batch; returns once the session has taken them.
  void print(const std::vector<json>& messages) {
    auto entries = json::array();
    for (const auto& m : messages) entries.push_back({{"seq", ++seq_}, {"time", 0}, {"message", m}});
    deliver(std::move(entries));
  }
  void update(const json& u) { print({message(u)}); }
  void gap(int missing) { deliver(json::array({{{"seq", ++seq_}, {"gap", missing}}})); }
  static json message(const json& u) {
    return {
        {"jsonrpc", "2.0"}, {"method", "session/update"}, {"params", {{"sessionId", "a1"}, {"update", u}}}};
  }
  static json response(const std::string& id, const json& result) {
    return {{"jsonrpc", "2.0"}, {"id", id}, {"result", result}};
  }
  static json chunk(const std::string& text) {
    return {{"sessionUpdate", "agent_message_chunk"}, {"content", {{"type", "text"}, {"text", text}}}};
  }
  static json request(const json& id, const std::string& kind, const std::string& title) {
    return {{"jsonrpc", "2.0"},
            {"id", id},
            {"method", "session/request_permission"},
            {"params",
             {{"sessionId", "a1"},
              {"toolCall", {{"toolCallId", "call-" + id.dump()}, {"kind", kind}, {"title", title}}},
              {"options",
               {{{"kind", "allow_always"}, {"optionId", "forever"}, {"name", "Always"}},
                {{"kind", "allow_once"}, {"optionId", "yes"}, {"name", "Yes"}},
                {{"kind", "reject_once"}, {"optionId", "no"}, {"name", "No"}}}}}}};
  }
  feed_run& feed() { return *feed_; }

 private:
  void deliver(json entries) {
    auto taken = std::make_shared<std::promise<void>>();
    auto committed = taken->get_future();
    feed_->deliver(std::to_string(seq_), std::move(entries), [taken] { taken->set_value(); });
    REQUIRE(committed.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  }

  std::shared_ptr<feed_run> feed_;
  int seq_ = 0;
};

struct workshop {
  moved_clock now;
  actor_host h{{.kinds = {&actors::access(), &actors::capacity(), &actors::organization(),
                          &actors::audit_log(), &actors::task(), &actors::session(), &actors::sandbox()},
                .effects = {"git.probe",       "git.mirror",       "git.checkout",    "git.diff",
                            "git.commit",      "git.push",         "git.update",      "git.abort_update",
                            "git.save_work",   "git.restore_work", "sandbox.create",  "sandbox.start",
                            "sandbox.pause",   "sandbox.resume",   "sandbox.kill",    "sandbox.destroy",
                            "sandbox.inspect", "sandbox.run",      "sandbox.process", "sandbox.exec",
                            "agent.start",     "agent.prompt",     "agent.cancel",    "agent.answer",
                            "agent.set_mode",  "webhook.post",     "agent.set_model", "agent.stop"},
                .feeds = {"sandbox.watch", "agent.updates"},
                .audit = actors::make_auditor(),
                .time = &now}};
  std::string task, session, sandbox;  // keys of the ones that the helpers made last
  std::shared_ptr<feed_run> watch;     // of the sandbox
  std::shared_ptr<effect_run> prompt;  // that runs

  workshop() {
    REQUIRE(h.as_host("access", "access.initialize", {{"user", "ada"}}, true).ok());
    REQUIRE(h.as_host("capacity", "capacity.initialize", json::object(), true).ok());
    REQUIRE(h.call("access", "access.create_organization", {{"organization", "acme"}}).ok());
    h.await("org/acme", [](const json& s) { return s.contains("display_name"); });
    add_repository("widgets");
  }

  void add_repository(const std::string& name, json more = json::object()) {
    json body{{"repository", name}, {"url", "/srv/git/" + name}};
    body.update(more);
    REQUIRE(h.call("org/acme", "org.add_repository", body).ok());
    h.effect("git.probe")->succeed({{"default_branch", "main"}, {"empty", false}});
    h.await("org/acme", [&](const json& s) {
      for (const auto& r : s["repositories"])
        if (r["repository"] == name) return r["state"] == "ready";
      return false;
    });
  }

  /// A command that must succeed; answers its result.
  json must(const std::string& to, std::string_view name, json body = json::object()) {
    const auto r = h.call(to, name, std::move(body));
    REQUIRE_MESSAGE(r.ok(), name, ": ", r.ok() ? "" : r.error().detail);
    return r.result();
  }
  /// The code of the problem that it gets.
  std::string refused(const std::string& to, std::string_view name, json body = json::object()) {
    const auto r = h.call(to, name, std::move(body));
    return r.ok() ? "" : r.error().code;
  }
  json await_status(const std::string& key, const std::string& status) {
    return h.await(key, [&](const json& s) { return s["status"] == status; });
  }

  void make_task(const std::string& first_message = "Fix the login", json more = json::object()) {
    json body{{"repository", "widgets"}, {"description", "Fix the login"}, {"prompt", first_message}};
    body.update(more);
    task = "org/acme/task/" + must("org/acme", "org.create_task", body)["task"].get<std::string>();
    const auto s =
        h.await(task, [&](const json& t) { return first_message.empty() || !t["sessions"].empty(); });
    if (!first_message.empty()) session = session_of(s, 0);
  }
  std::string session_of(const json& snapshot, std::size_t index) const {
    return task + "/session/" + snapshot["sessions"][index]["session"].get<std::string>();
  }

  void mirror() {
    h.effect("git.mirror")
        ->succeed({{"mirror", "mirror:widgets"}, {"default_branch", "main"}, {"branches", {"main"}}});
  }
  json create_sandbox(const std::string& handle = "local:1") {
    const auto run = h.effect("sandbox.create");
    run->succeed({{"handle", handle},
                  {"tier", "namespaces"},
                  {"items", {{"network", {{"state", "enforced"}}}}},
                  {"workspace", "/data/work"},
                  {"steps", json::array()}});
    watch = h.feed("sandbox.watch");
    sandbox = run->actor().str();
    return run->body();
  }
  void checkout() {
    h.effect("git.checkout")
        ->succeed({{"head", "c0"}, {"base", "c0"}, {"created", true}, {"path", "/workspace"}});
  }
  void no_changes() { diff(0); }
  void diff(int files, const std::string& head = "c0", json more = json::object()) {
    json list = json::array(), patches = json::object();
    for (int i = 0; i < files; ++i) {
      const auto path = "f" + std::to_string(i);
      list.push_back({{"path", path},
                      {"status", "added"},
                      {"additions", 2},
                      {"deletions", 1},
                      {"binary", false},
                      {"cut", false}});
      patches[path] = "+++ " + path;
    }
    json result{{"head", head},       {"files", list},   {"additions", 2 * files},
                {"deletions", files}, {"diff", patches}, {"dirty", files > 0}};
    result.update(more);
    h.effect("git.diff")->succeed(result);
  }
  void saved(const std::string& bundle = "w1.bundle") {
    h.effect("git.save_work")->succeed({{"commit", "w1"}, {"bundle", bundle}, {"bytes", 10}});
  }
  /// At rest, with this many changed files at this commit.
  void rest(int files, const std::string& head) {
    auto a = begin();
    end_turn(a);
    diff(files, head);
    if (files > 0) saved();
    await_status(task, "idle");
  }
  /// The newest operation, once it has ended.
  json ended_operation() {
    return h.await(task, [](const json& s) {
      return !s["operations"].empty() && s["operations"][0]["state"] != "running";
    })["operations"][0];
  }
  /// Everything up to the running agent's first prompt.
  agent begin(json started = json::object()) {
    mirror();
    create_sandbox();
    checkout();
    no_changes();
    return start_agent(std::move(started));
  }
  agent start_agent(json started = json::object()) {
    json result{{"agent_session", "a1"}, {"loaded", "new"}, {"capabilities", json::object()}};
    result.update(started);
    h.effect("agent.start")->succeed(result);
    agent a(h.feed("agent.updates"));
    prompt = h.effect("agent.prompt");
    return a;
  }
  void end_turn(agent& a, const std::string& reason = "end_turn") {
    a.print({agent::response(prompt->body()["request_id"], {{"stopReason", reason}})});
    prompt->succeed({{"stop_reason", reason}});
  }
  std::vector<json> transcript(const std::string& type = "") {
    std::vector<json> found;
    for (auto& e : h.entries(session, "transcript"))
      if (type.empty() || e["type"] == type) found.push_back(std::move(e));
    return found;
  }
};

}  // namespace troupe::testing
