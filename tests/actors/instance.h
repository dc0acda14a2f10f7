// An instance with one organization, org/acme, whose owner is ada; tasks and sandboxes are puppets.
#pragma once

#include <string>

#include <doctest/doctest.h>

#include "actors/access/access.h"
#include "actors/audit_log/audit_log.h"
#include "actors/audit_log/auditor.h"
#include "actors/capacity/capacity.h"
#include "actors/organization/organization.h"
#include "tests/actors/puppets.h"
#include "tests/kit/actor_host.h"

namespace troupe::testing {

inline std::string code(const reply& r) {
  return r.ok() ? "" : r.error().code;
}
inline std::string words(const reply& r) {
  return r.ok() ? "" : r.error().detail;
}

struct acme {
  moved_clock now;
  actor_host h{{.kinds = {&actors::access(), &actors::capacity(), &actors::organization(),
                          &actors::audit_log(), &puppet_task(), &puppet_sandbox()},
                .effects = {"git.probe"},
                .audit = actors::make_auditor(),
                .time = &now}};

  acme() {
    REQUIRE(h.as_host("access", "access.initialize", {{"user", "ada"}}, true).ok());
    REQUIRE(h.as_host("capacity", "capacity.initialize", json::object(), true).ok());
    REQUIRE(h.call("access", "access.create_organization", {{"organization", "acme"}}).ok());
    await([](const json& shown) { return shown.contains("display_name"); });
    h.await("capacity", [](const json& shown) { return shown["organizations"].size() == 1; });
  }

  reply org(std::string_view name, json body, std::string principal = "ada") {
    return h.call("org/acme", name, std::move(body), std::move(principal));
  }
  json await(const std::function<bool(const json&)>& fits) { return h.await("org/acme", fits); }

  /// Adds a repository that answers with a default branch `main`.
  void add_repository(const std::string& name) {
    REQUIRE(org("org.add_repository", {{"repository", name}, {"url", "/srv/git/" + name}}).ok());
    h.effect("git.probe")->succeed({{"default_branch", "main"}, {"empty", false}});
    await([&](const json& shown) {
      for (const auto& r : shown["repositories"]) {
        if (r["repository"] == name) return r["state"] == "ready";
      }
      return false;
    });
  }

  /// Makes a task and waits for its actor; answers its id.
  std::string make_task(json more = json::object()) {
    json body{{"repository", "widgets"}, {"description", "Fix the login"}};
    body.update(more);
    const auto made = org("org.create_task", body);
    REQUIRE_MESSAGE(made.ok(), words(made));
    const std::string task = made.result()["task"];
    heard(task, "task.initialize");
    return task;
  }

  static std::string key_of(const std::string& task) { return "org/acme/task/" + task; }

  /// Waits until a puppet has heard `count` messages of a name; answers the body of the last one.
  json heard_at(const std::string& actor, std::string_view name, std::size_t count = 1) {
    json last;
    h.await(actor, [&](const json& shown) {
      std::size_t n = 0;
      for (const auto& m : shown["heard"]) {
        if (m["name"] != name) continue;
        last = m["body"];
        ++n;
      }
      return n >= count;
    });
    return last;
  }
  json heard(const std::string& task, std::string_view name, std::size_t count = 1) {
    return heard_at(key_of(task), name, count);
  }

  /// Lets a puppet send a message.
  void say(const std::string& task, std::string_view to, std::string_view name, json body) {
    REQUIRE(
        h.as_host(key_of(task), "task.say", {{"to", to}, {"name", name}, {"body", std::move(body)}}).ok());
  }
};

}  // namespace troupe::testing
