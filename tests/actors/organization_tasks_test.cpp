#include <set>

#include "tests/actors/instance.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;

namespace {

struct with_repository : acme {
  with_repository() { add_repository("widgets"); }

  json only_task() { return h.snapshot("org/acme")["tasks"][0]; }
  json list(json body = json::object()) {
    const auto r = h.ask("org/acme", "org.list_tasks", std::move(body));
    REQUIRE_MESSAGE(r.ok(), words(r));
    return r.result();
  }
  // Imports tasks with these titles, in this order, a second apart.
  std::vector<std::string> import(const std::vector<std::string>& titles) {
    std::vector<std::string> ids;
    for (const auto& title : titles) {
      now.advance(std::chrono::seconds(1));
      const auto r =
          org("org.import_tasks", {{"tasks", {{{"repository", "widgets"}, {"description", title}}}}});
      REQUIRE_MESSAGE(r.ok(), words(r));
      ids.push_back(r.result()["tasks"][0]["task"]);
    }
    return ids;
  }
};

std::vector<std::string> titles(const json& page) {
  std::vector<std::string> out;
  for (const auto& t : page["tasks"]) out.push_back(t["title"]);
  return out;
}

using strings = std::vector<std::string>;

json summary(const std::string& task, std::string_view status, std::int64_t at) {
  return {{"task", task}, {"title", "Renamed"}, {"status", status}, {"updated_at", at}};
}

}  // namespace

TEST_CASE("what a task will be called is what it is called, as long as nobody takes the branch") {
  with_repository i;
  const json wanted{{"repository", "widgets"}, {"description", "Fix the login. It fails on Mondays."}};
  const auto preview = i.h.ask("org/acme", "org.preview_task", wanted).result();
  CHECK(preview == json{{"title", "Fix the login"}, {"branch", "troupe/fix-the-login"}});
  const auto made = i.org("org.create_task", wanted).result();
  CHECK(made["title"] == preview["title"]);
  CHECK(made["branch"] == preview["branch"]);
  const auto next = i.h.ask("org/acme", "org.preview_task", wanted).result();
  CHECK(next["branch"] == i.org("org.create_task", wanted).result()["branch"]);
  CHECK(next["branch"] != made["branch"]);
}

TEST_CASE("a task has its title and branch in the answer, and its actor gets what it needs") {
  with_repository i;
  REQUIRE(i.org("org.update_repository",
                {{"repository", "widgets"}, {"setup_command", "make"}, {"environment", {{"A", "1"}}}})
              .ok());
  const auto made = i.org(
      "org.create_task", {{"repository", "widgets"}, {"description", "Fix the login. It fails on Mondays."}});
  REQUIRE(made.ok());
  CHECK(made.result()["title"] == "Fix the login");
  CHECK(made.result()["branch"] == "troupe/fix-the-login");
  const auto told = i.heard(made.result()["task"], "task.initialize");
  CHECK(told["title"] == "Fix the login");
  CHECK(told["branch"] == "troupe/fix-the-login");
  CHECK(told["existing_branch"] == false);
  CHECK(told["description"] == "Fix the login. It fails on Mondays.");
  CHECK(told["prompt"] == "Fix the login. It fails on Mondays.");
  CHECK(told["owner"] == "ada");
  CHECK(told["created_by"] == "ada");
  CHECK(told["agent"] == "scripted");
  CHECK(told["provider"] == "local");
  CHECK(told["repository"] == json{{"name", "widgets"},
                                   {"url", "/srv/git/widgets"},
                                   {"base_branch", "main"},
                                   {"setup_command", "make"},
                                   {"environment", {{"A", "1"}}},
                                   {"network", {{"rule", "public"}}}});
}

TEST_CASE("a task shows in the list in the turn that makes it") {
  with_repository i;
  const auto made =
      i.org("org.create_task", {{"repository", "widgets"}, {"description", "Fix the login"}}).result();
  const auto t = i.only_task();
  CHECK(t["task"] == made["task"]);
  CHECK(t["branch"] == "troupe/fix-the-login");
  CHECK(t["status"] == "queued");
  CHECK(i.h.snapshot("org/acme")["counts"] == json{{"queued", 1}});
}

TEST_CASE("tasks of one description get branches of their own") {
  with_repository i;
  i.add_repository("gadgets");
  std::set<std::string> branches;
  for (int n = 0; n < 3; ++n)
    branches.insert(
        i.org("org.create_task", {{"repository", "widgets"}, {"description", "Fix"}}).result()["branch"]);
  CHECK(branches == std::set<std::string>{"troupe/fix", "troupe/fix-2", "troupe/fix-3"});
  CHECK(i.org("org.create_task", {{"repository", "gadgets"}, {"description", "Fix"}}).result()["branch"] ==
        "troupe/fix");
}

TEST_CASE("an explicit title and branch are taken as they are, an existing branch is continued on") {
  with_repository i;
  const auto made = i.org("org.create_task", {{"repository", "widgets"},
                                              {"description", "x"},
                                              {"title", "My title"},
                                              {"branch", "feature/y"},
                                              {"existing_branch", true}})
                        .result();
  CHECK(made["title"] == "My title");
  CHECK(made["branch"] == "feature/y");
  CHECK(i.heard(made["task"], "task.initialize")["existing_branch"] == true);
  CHECK(code(i.org("org.create_task",
                   {{"repository", "widgets"}, {"description", "x"}, {"branch", "feature/y"}})) ==
        "branch_taken");
  CHECK(code(i.org("org.create_task", {{"repository", "widgets"}, {"description", "x"}, {"branch", "-x"}})) ==
        "invalid_branch");
  CHECK(code(i.org("org.create_task",
                   {{"repository", "widgets"}, {"description", "x"}, {"existing_branch", true}})) ==
        "branch_missing");
}

TEST_CASE("settings of the organization are the defaults of its tasks") {
  with_repository i;
  REQUIRE(i.org("org.update_settings", {{"default_agent", "claude"},
                                        {"default_model", "big"},
                                        {"branch_prefix", "ai-"},
                                        {"default_provider", "unsafe"},
                                        {"requirements", {{"memory_mb", 2048}}}})
              .ok());
  const auto made = i.org("org.create_task", {{"repository", "widgets"}, {"description", "Fix"}}).result();
  CHECK(made["branch"] == "ai-fix");
  const auto told = i.heard(made["task"], "task.initialize");
  CHECK(told["agent"] == "claude");
  CHECK(told["model"] == "big");
  CHECK(told["provider"] == "unsafe");
  CHECK(told["requirements"] == json{{"memory_mb", 2048}});
  const auto own = i.make_task({{"agent", "scripted"}, {"requirements", {{"pids", 10}}}, {"prompt", ""}});
  const auto other = i.heard(own, "task.initialize");
  CHECK(other["agent"] == "scripted");
  CHECK(other["requirements"] == json{{"pids", 10}});
  CHECK(!other.contains("prompt"));
}

TEST_CASE("a task of a repository that nobody added, or for somebody who is no member, is refused") {
  with_repository i;
  CHECK(i.org("org.create_task", {{"repository", "none"}, {"description", "x"}}).error().status == 404);
  CHECK(code(i.org("org.create_task", {{"repository", "widgets"}, {"description", "x"}, {"owner", "eve"}})) ==
        "owner_not_a_member");
  CHECK(code(i.org("org.create_task", {{"repository", "widgets"}})) == "invalid_body");
  CHECK(i.h.snapshot("org/acme")["task_count"] == 0);
}

TEST_CASE("one id of a command makes one task") {
  with_repository i;
  const json body{{"repository", "widgets"}, {"description", "Fix"}};
  const auto first = i.h.call_with_id("org/acme", "org.create_task", body, "once");
  const auto again = i.h.call_with_id("org/acme", "org.create_task", body, "once");
  CHECK(first.result() == again.result());
  CHECK(i.h.snapshot("org/acme")["task_count"] == 1);
}

TEST_CASE("two hundred imported tasks make no actor, and the first touch of one makes one") {
  with_repository i;
  auto tasks = json::array();
  for (int n = 0; n < 200; ++n)
    tasks.push_back({{"repository", "widgets"}, {"description", "Task number " + std::to_string(n)}});
  const auto imported = i.org("org.import_tasks", {{"tasks", tasks}});
  REQUIRE(imported.ok());
  CHECK(i.h.snapshot("org/acme")["task_count"] == 200);
  for (const auto& t : imported.result()["tasks"]) CHECK(!i.h->exists(key(i.key_of(t["task"]))));

  const std::string touched = imported.result()["tasks"][7]["task"];
  CHECK(i.org("org.materialize_task", {{"task", touched}}).result()["created"] == true);
  CHECK(i.heard(touched, "task.initialize")["title"] == "Task number 7");
  CHECK(i.org("org.materialize_task", {{"task", touched}}).result()["created"] == false);
  CHECK(i.h.as_host("org/acme", "org.materialize_task", {{"task", touched}}).ok());
  std::size_t actors = 0;
  for (const auto& t : imported.result()["tasks"]) actors += i.h->exists(key(i.key_of(t["task"])));
  CHECK(actors == 1);
  CHECK(i.org("org.materialize_task", {{"task", "none"}}).error().status == 404);
}

TEST_CASE("a list of tasks with one that is wrong imports none") {
  with_repository i;
  const auto r = i.org("org.import_tasks", {{"tasks",
                                             {{{"repository", "widgets"}, {"description", "a"}},
                                              {{"repository", "none"}, {"description", "b"}}}}});
  CHECK(r.error().status == 404);
  CHECK(i.h.snapshot("org/acme")["task_count"] == 0);
}

TEST_CASE("what a task says of itself shows in the organization, with counts by status") {
  with_repository i;
  const auto task = i.make_task();
  auto s = summary(task, "running", to_ms(i.now.now()) + 5);
  s.update({{"position", nullptr},
            {"step", "checkout"},
            {"sandbox_state", "running"},
            {"sessions",
             {{{"session", "s1"},
               {"title", "One"},
               {"agent", "scripted"},
               {"status", "running"},
               {"pending_permissions", 2}}}},
            {"diff", {{"files", 1}, {"additions", 2}, {"deletions", 3}}},
            {"owner", "ada"},
            {"error", nullptr}});
  i.say(task, "org/acme", "org.apply_task_summary", s);
  const auto seen = i.await([](const json& shown) {
    return shown["counts"] == json{{"running", 1}};
  })["tasks"][0];
  for (const auto* same :
       {"title", "status", "step", "sandbox_state", "sessions", "diff", "owner", "updated_at"})
    CHECK_MESSAGE(seen[same] == s[same], same);
  CHECK(seen["branch"] == "troupe/fix-the-login");
}

TEST_CASE("a task cannot speak for another") {
  with_repository i;
  const auto one = i.make_task(), other = i.make_task();
  i.say(one, "org/acme", "org.apply_task_summary", summary(other, "error", 1));
  i.say(one, "org/acme", "org.apply_task_removed", {{"task", other}});
  i.say(one, "org/acme", "org.apply_task_summary", summary(one, "idle", 1));
  const auto s = i.await([](const json& shown) { return shown["counts"].contains("idle"); });
  CHECK(s["counts"] == json{{"idle", 1}, {"queued", 1}});
}

TEST_CASE("a long error is cut between characters") {
  with_repository i;
  const auto task = i.make_task();
  auto s = summary(task, "error", 1);
  for (std::string text; text.size() < 3000;) s["error"] = text += "ß";
  i.say(task, "org/acme", "org.apply_task_summary", s);
  const std::string seen =
      i.await([](const json& shown) { return shown["counts"].contains("error"); })["tasks"][0]["error"];
  CHECK(seen.size() <= organization_limits::summary_error);
  CHECK(seen.ends_with("ß…"));
}

TEST_CASE("deleting tells the task, and it is gone when the task says so") {
  with_repository i;
  const auto task = i.make_task();
  CHECK(i.org("org.delete_task", {{"task", task}, {"discard", true}}).result()["state"] == "deleting");
  CHECK(i.heard(task, "task.delete")["discard"] == true);
  CHECK(i.only_task()["deleting"] == true);
  CHECK(code(i.org("org.delete_task", {{"task", task}})) == "wrong_state");
  i.say(task, "org/acme", "org.apply_task_removed", {{"task", task}});
  const auto s = i.await([](const json& shown) { return shown["tasks"].empty(); });
  CHECK(s["counts"].empty());
  CHECK(i.org("org.delete_task", {{"task", task}}).error().status == 404);
}

TEST_CASE("a task that refuses to be deleted stays, and its summary says why") {
  with_repository i;
  const auto task = i.make_task();
  REQUIRE(i.h.as_host(i.key_of(task), "task.refuse",
                      {{"code", "not_pushed"}, {"detail", "3 commits are not pushed"}})
              .ok());
  REQUIRE(i.org("org.delete_task", {{"task", task}}).ok());
  const auto t = i.await([](const json& shown) { return !shown["tasks"][0]["error"].is_null(); })["tasks"][0];
  CHECK(t["deleting"] == false);
  CHECK(t["error"] == "not deleted: 3 commits are not pushed");
}

TEST_CASE("a task without an actor is deleted at once, one whose actor is gone when that is found out") {
  with_repository i;
  const auto listed = i.import({"Mend"})[0];
  CHECK(i.org("org.delete_task", {{"task", listed}}).result()["state"] == "deleted");
  const auto task = i.make_task();
  REQUIRE(i.h.as_host(i.key_of(task), "task.leave").ok());
  REQUIRE(i.org("org.delete_task", {{"task", task}}).ok());
  i.await([](const json& shown) { return shown["tasks"].empty(); });
}

TEST_CASE("tasks are listed the latest first, in pages without gap or repeat") {
  with_repository i;
  i.import({"a", "b", "c", "d", "e"});
  strings seen;
  json cursor;
  int pages = 0;
  for (; pages < 10; ++pages) {
    json body{{"limit", 2}};
    if (!cursor.is_null()) body["cursor"] = cursor;
    const auto page = i.list(body);
    for (const auto& t : titles(page)) seen.push_back(t);
    cursor = page["next"];
    if (cursor.is_null()) break;
  }
  CHECK(pages == 2);
  CHECK(seen == strings{"e", "d", "c", "b", "a"});
}

TEST_CASE("tasks are sorted by update, creation or title, either way") {
  with_repository i;
  const auto ids = i.import({"banana", "Apple", "cherry"});
  REQUIRE(i.org("org.materialize_task", {{"task", ids[0]}}).ok());
  i.heard(ids[0], "task.initialize");
  auto s = summary(ids[0], "idle", to_ms(i.now.now()) + 10'000);
  s["title"] = "banana";
  i.say(ids[0], "org/acme", "org.apply_task_summary", s);
  i.await([&](const json& shown) { return shown["tasks"][0]["task"] == ids[0]; });
  CHECK(titles(i.list()) == strings{"banana", "cherry", "Apple"});
  CHECK(titles(i.list({{"order", "ascending"}})) == strings{"Apple", "cherry", "banana"});
  CHECK(titles(i.list({{"sort", "created"}})) == strings{"cherry", "Apple", "banana"});
  CHECK(titles(i.list({{"sort", "title"}})) == strings{"Apple", "banana", "cherry"});
  CHECK(titles(i.list({{"sort", "title"}, {"order", "descending"}})) == strings{"cherry", "banana", "Apple"});
  const auto page = i.list({{"sort", "title"}, {"limit", 1}});
  CHECK(titles(i.list({{"sort", "title"}, {"limit", 1}, {"cursor", page["next"]}})) == strings{"banana"});
  CHECK(code(i.h.ask("org/acme", "org.list_tasks", {{"sort", "updated"}, {"cursor", page["next"]}})) ==
        "invalid_cursor");
  CHECK(code(i.h.ask("org/acme", "org.list_tasks", {{"cursor", "rubbish"}})) == "invalid_cursor");
}

TEST_CASE("tasks are filtered by repository, status, owner and text") {
  with_repository i;
  i.add_repository("gadgets");
  i.import({"Fix the login", "Paint the fence"});
  i.make_task({{"repository", "gadgets"}, {"description", "Fix the door"}});
  CHECK(titles(i.list({{"repository", "gadgets"}})) == strings{"Fix the door"});
  CHECK(titles(i.list({{"status", "queued"}})) == strings{"Fix the door"});
  CHECK(i.list({{"status", {"queued", "idle"}}})["tasks"].size() == 3);
  CHECK(i.list({{"text", "FIX"}})["tasks"].size() == 2);
  CHECK(titles(i.list({{"text", "paint-the"}})) == strings{"Paint the fence"});
  CHECK(i.list({{"owner", "bob"}})["tasks"].empty());
  CHECK(i.list({{"text", "100%"}})["tasks"].empty());
}

TEST_CASE("a snapshot shows the tasks that changed last and counts all of them") {
  with_repository i;
  for (int batch = 0; batch < 2; ++batch) {
    auto tasks = json::array();
    for (int n = 0; n < 150; ++n)
      tasks.push_back(
          {{"repository", "widgets"}, {"description", "Number " + std::to_string(batch * 150 + n)}});
    i.now.advance(std::chrono::seconds(1));
    REQUIRE(i.org("org.import_tasks", {{"tasks", tasks}}).ok());
  }
  const auto s = i.h.snapshot("org/acme");
  CHECK(s["tasks"].size() == organization_limits::snapshot_tasks);
  CHECK(s["task_count"] == 300);
  CHECK(s["counts"] == json{{"idle", 300}});
}

TEST_CASE("a search through more tasks than one look takes goes on where it ended, and finds all") {
  with_repository i;
  constexpr int batches = organization_limits::scanned_rows / 200 + 1;
  for (int batch = 0; batch < batches; ++batch) {
    auto tasks = json::array();
    for (int n = 0; n < 200; ++n) {
      // Titles of their own and one that is searched for in the oldest, the middle and the newest batch.
      const bool wanted = n == 7 && (batch == 0 || batch == batches / 2 || batch == batches - 1);
      const auto number = std::to_string(batch) + " " + std::to_string(n);
      tasks.push_back({{"repository", "widgets"}, {"description", (wanted ? "Needle " : "Hay ") + number}});
    }
    i.now.advance(std::chrono::seconds(1));
    REQUIRE(i.org("org.import_tasks", {{"tasks", tasks}}).ok());
  }
  strings found;
  int looks = 0;
  for (json cursor; looks < 5; ++looks) {
    json body{{"text", "needle"}};
    if (!cursor.is_null()) body["cursor"] = cursor;
    const auto page = i.list(body);
    for (const auto& title : titles(page)) found.push_back(title);
    cursor = page["next"];
    if (cursor.is_null()) break;
  }
  CHECK(looks == 1);
  const auto named = [&](int batch) { return "Needle " + std::to_string(batch) + " 7"; };
  CHECK(found == strings{named(batches - 1), named(batches / 2), named(0)});
}
