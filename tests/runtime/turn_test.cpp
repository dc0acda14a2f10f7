#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "runtime/at_work.h"
#include "runtime/inspect.h"
#include "tests/runtime/world.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

// As if the process had ended: nothing was closed. With `by`, in a stretch of the actor and by that signal.
void end_process(world& w, const key& k, int by) {
  const auto data = w.is->data(), copy = w.data.path() / "copy";
  std::filesystem::copy(data, copy, std::filesystem::copy_options::recursive);
  w.end();
  std::filesystem::remove_all(data);
  std::filesystem::rename(copy, data);
  const auto child = ::fork();
  if (child == 0) {
    // No core file and no report of a sanitizer: this crash is wanted.
    for (const int s : {SIGSEGV, SIGABRT}) ::signal(s, SIG_DFL);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    at_work all(data / "at-work");
    const at_work::mark mark(all, k);
    ::raise(by);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  w.begin();
  w.threads->run();
}

}  // namespace

TEST_CASE("a parent makes its child, and the child's push reaches the parent") {
  world w;
  w.open({"a"});
  CHECK(w.account("a")["amount"] == 100);
  CHECK(w.query("bank/b", "bank.list").result() == json{{"a", 100}});
}

TEST_CASE("who hears that a child was made can speak to it at once") {
  world w;
  w.open({});
  json heard;
  bool exists = false;
  w.is->command({.to = key("bank/b"),
                 .id = "make",
                 .name = "bank.make",
                 .body = {{"account", "a"}, {"amount", 7}},
                 .principal = "ada"},
                [&](const reply&) {
                  exists = w.is->exists(key("bank/b/account/a"));
                  w.is->query({.to = key("bank/b/account/a"),
                               .name = "account.read",
                               .body = json::object(),
                               .principal = "ada"},
                              [&](const reply& r) { heard = r.ok() ? r.result() : json(r.error()); });
                });
  w.threads->run();
  CHECK(exists);
  CHECK(heard.value("amount", 0) == 7);
}

TEST_CASE("an unknown key is not made by being spoken to") {
  world w;
  const auto r = w.command("bank/nowhere", "bank.make", {{"account", "a"}, {"amount", 1}});
  CHECK(r.error().status == 404);
  CHECK_FALSE(std::filesystem::exists(w.is->folder(key("bank/nowhere"))));
}

TEST_CASE("the same id again answers the same and changes nothing") {
  world w;
  w.open({"a"});
  const auto first = w.command("bank/b/account/a", "account.deposit", {{"amount", 5}}, "once");
  const auto again = w.command("bank/b/account/a", "account.deposit", {{"amount", 5}}, "once");
  CHECK(first.result() == again.result());
  CHECK(first.turn == again.turn);
  CHECK(w.account("a")["amount"] == 105);
}

TEST_CASE("the same id is another command for another principal") {
  world w;
  w.open({"a"});
  w.command("bank/b/account/a", "account.deposit", {{"amount", 5}}, "once", "ada");
  w.command("bank/b/account/a", "account.deposit", {{"amount", 5}}, "once", "bob");
  CHECK(w.account("a")["amount"] == 110);
}

TEST_CASE("an id used for another body is refused and changes nothing") {
  world w;
  w.open({"a"});
  w.command("bank/b/account/a", "account.deposit", {{"amount", 5}}, "once");
  CHECK(w.command("bank/b/account/a", "account.deposit", {{"amount", 6}}, "once").error().code ==
        "id_reused");
  CHECK(w.account("a")["amount"] == 105);
}

TEST_CASE("commands are forgotten when they are old enough and enough newer ones are kept") {
  world w([](host_options& o) {
    o.limits.remember_commands = 1h;
    o.limits.remember_commands_at_least = 100;
  });
  w.open({"a"});
  const key a("bank/b/account/a");
  const auto kept = [&](const char* table) {
    const auto answer = inspector(*w.is).query(a, std::string("SELECT count(*) AS n FROM ") + table);
    return std::get<json>(answer).at("rows").at(0).at(0).get<int>();
  };
  const auto deposits = [&](int count) {
    for (int i = 0; i < count; ++i) w.command(a.str(), "account.deposit", {{"amount", 1}});
  };
  deposits(3000);
  CHECK(kept("rt_inbox") > 3000);
  w.threads->advance(2h);
  deposits(1600);
  CHECK(kept("rt_inbox") < 2200);
  CHECK(kept("rt_inbox") >= 1600);
  CHECK(kept("rt_changes") <= kept("rt_inbox"));
  w.threads->advance(2h);
  deposits(600);
  w.threads->advance(2h);
  deposits(300);
  CHECK(kept("rt_inbox") < 700);
  CHECK(w.account("a")["amount"] == 100 + 3000 + 1600 + 600 + 300);
}

TEST_CASE("a recorded problem is the same problem again") {
  world w;
  w.open({"a"});
  const auto first = w.command("bank/b/account/a", "account.fail", json::object(), "bad");
  CHECK(first.error().code == "no");
  CHECK(w.command("bank/b/account/a", "account.fail", json::object(), "bad").error() == first.error());
}

TEST_CASE("a failing command fails alone and leaves nothing behind") {
  world w;
  w.open({"a"});
  std::vector<reply> got;
  int n = 0;
  for (const char* name : {"account.deposit", "account.fail", "account.deposit"}) {
    w.is->command({.to = key("bank/b/account/a"),
                   .id = "x" + std::to_string(++n),
                   .name = name,
                   .body = {{"amount", 1}},
                   .principal = "ada"},
                  [&](reply r) { got.push_back(std::move(r)); });
  }
  w.threads->run();
  REQUIRE(got.size() == 3);
  CHECK_FALSE(got[1].ok());
  CHECK(got[0].turn == got[2].turn);
  CHECK(w.account("a")["amount"] == 102);
  CHECK(w.query("bank/b", "bank.list").result()["a"] == 100);
}

TEST_CASE("a handler that throws fails its command with a code and loses nothing else") {
  world w;
  w.open({"a"});
  CHECK(w.command("bank/b/account/a", "account.fail", {{"throw", true}}).error().code == "handler_failed");
  CHECK(w.account("a")["amount"] == 100);
}

TEST_CASE(
    "an actor in whose stretch three processes in a row crashed starts quarantined, its neighbours do not") {
  world w;
  w.open({"a", "b"});
  for (const int signal : {SIGSEGV, SIGABRT, SIGSEGV}) {
    CHECK(w.query("bank/b/account/a", "account.read").ok());
    end_process(w, key("bank/b/account/a"), signal);
  }
  CHECK(w.query("bank/b/account/a", "account.read").error().code == "quarantined");
  CHECK(w.query("bank/b/account/b", "account.read").ok());
}

TEST_CASE("a process that is killed from outside blames no actor, however often") {
  world w;
  w.open({"a"});
  for (int n = 0; n < 9; ++n) end_process(w, key("bank/b/account/a"), SIGKILL);
  CHECK(w.query("bank/b/account/a", "account.read").ok());
}

TEST_CASE("three throws within ten minutes quarantine the actor, and it can be released") {
  world w;
  w.open({"a", "b"});
  for (int i = 0; i < 3; ++i) w.command("bank/b/account/a", "account.fail", {{"throw", true}});
  const auto refused = w.command("bank/b/account/a", "account.deposit", {{"amount", 1}});
  CHECK(refused.error().code == "quarantined");
  CHECK(refused.error().detail.find("its handlers failed 3 times") != std::string::npos);
  CHECK(w.command("bank/b/account/b", "account.deposit", {{"amount", 1}}).ok());
  CHECK(w.is->retry_quarantined(key("bank/b/account/a")));
  CHECK(w.command("bank/b/account/a", "account.deposit", {{"amount", 1}}).ok());
}

TEST_CASE("a body that does not fit its schema is refused with every violation and changes nothing") {
  world w;
  w.open({});
  const auto r = w.command("bank/b", "bank.make", {{"account", ""}, {"amount", -1}});
  CHECK(r.error().status == 422);
  CHECK(r.error().code == "invalid_body");
  CHECK(r.error().violations.size() == 2);
  CHECK(r.error().detail.find("/amount: ") != std::string::npos);
  const auto odd = w.command("bank/b", "bank.make", {{"account", 7}, {"more", 1}}).error().violations;
  const auto told = [&](const violation& one) { return std::ranges::find(odd, one) != odd.end(); };
  CHECK(told({"/account", "is not of type string"}));
  CHECK(told({"", "more is not known here"}));
  CHECK(w.query("bank/b", "bank.list").result() == json::object());
}

TEST_CASE("what is not for clients is refused to them") {
  world w;
  w.open({"a"});
  CHECK(w.command("bank/b/account/a", "account.receive", {{"amount", 1}}).error().status == 403);
  CHECK(w.command("bank/b/account/a", "account.unheard_of").error().code == "unknown_command");
}

TEST_CASE("the authorizer is asked at the door and again when the command is applied") {
  int asked = 0;
  world w([&](host_options& o) {
    o.authorize = [&](const std::string& who, const key&, std::string_view) {
      if (who != "eve") return verdict::allow;
      return ++asked == 1 ? verdict::allow : verdict::hidden;
    };
  });
  w.open({"a"});
  CHECK(w.command("bank/b/account/a", "account.deposit", {{"amount", 5}}, "e", "eve").error().status == 404);
  CHECK(asked == 2);
  CHECK(w.account("a")["amount"] == 100);
}

TEST_CASE("the revision moves only when the kind's own tables were written") {
  world w;
  w.open({"a"});
  const auto a = w.command("bank/b/account/a", "account.deposit", {{"amount", 1}});
  const auto b = w.command("bank/b/account/a", "account.note", {{"text", "stream only"}});
  CHECK(b.turn == a.turn + 1);
  CHECK(b.at.revision == a.at.revision);
  CHECK(w.command("bank/b/account/a", "account.fail").at.revision == a.at.revision);
}

TEST_CASE("a query cannot write, whatever its SQL says") {
  world w;
  w.open({"a"});
  w.query("bank/b/account/a", "account.read", {{"sneak", true}});
  CHECK(w.account("a")["amount"] == 100);
}

TEST_CASE("a query that never ends is stopped") {
  world w;
  w.open({"a"});
  const auto r = w.query("bank/b", "bank.list", {{"spin", true}});
  CHECK((r.error().code == "too_many_rows" || r.error().code == "query_too_slow"));
}

TEST_CASE("a handler that never ends is stopped and failed") {
  world w([](host_options& o) { o.limits.handler_deadline = std::chrono::milliseconds(50); });
  w.open({"a"});
  CHECK(w.command("bank/b/account/a", "account.slow").error().code == "handler_too_slow");
  CHECK(w.account("a")["amount"] == 100);
}

TEST_CASE("a pipelined query reads the write before it") {
  world w;
  w.open({"a"});
  std::optional<reply> read;
  w.is->command({.to = key("bank/b/account/a"),
                 .id = "w",
                 .name = "account.deposit",
                 .body = {{"amount", 7}},
                 .principal = "ada"},
                [](reply) {});
  w.is->query(
      {.to = key("bank/b/account/a"), .name = "account.read", .body = json::object(), .principal = "ada"},
      [&](reply r) { read = r; });
  w.threads->run();
  CHECK(read->result()["amount"] == 107);
}

TEST_CASE("a full mailbox answers 429 and loses nothing that was accepted") {
  world w([](host_options& o) { o.limits.mailbox_commands = 8; });
  w.open({"a"});
  int ok = 0, full = 0;
  for (int i = 0; i < 20; ++i) {
    w.is->command({.to = key("bank/b/account/a"),
                   .id = "m" + std::to_string(i),
                   .name = "account.deposit",
                   .body = {{"amount", 1}},
                   .principal = "ada"},
                  [&](reply r) { r.ok() ? ++ok : ++full; });
  }
  w.threads->run();
  CHECK(ok == 6);
  CHECK(full == 14);
  CHECK(w.account("a")["amount"] == 106);
}

TEST_CASE("what was answered is there after a restart") {
  world w;
  w.open({"a"});
  w.command("bank/b/account/a", "account.deposit", {{"amount", 5}}, "kept");
  w.restart();
  CHECK(w.account("a")["amount"] == 105);
  CHECK(w.command("bank/b/account/a", "account.deposit", {{"amount", 5}}, "kept").result()["amount"] == 105);
  CHECK(w.account("a")["amount"] == 105);
}

TEST_CASE("a start wakes nobody who left nothing to do, however many sleep") {
  world w([](host_options& o) { o.limits.idle_before_sleep = 2s; });
  w.open({});
  for (int i = 0; i < 60; ++i)
    w.command("bank/b", "bank.make", {{"account", "a" + std::to_string(i)}, {"amount", 1}});
  w.command("bank/b/account/a7", "account.remind", {{"in_ms", 3600000}});
  w.threads->advance(10s);
  CHECK(w.is->stats().awake == 0);
  w.restart();
  CHECK(w.is->stats().actors == 61);
  CHECK(w.is->stats().awake == 0);
}

TEST_CASE("a read wakes the one actor it is for") {
  world w([](host_options& o) { o.limits.idle_before_sleep = 2s; });
  w.open({"a", "b"});
  w.threads->advance(10s);
  w.query("bank/b/account/a", "account.read");
  CHECK(w.is->stats().awake == 1);
}

TEST_CASE("a second host on the same folder is refused") {
  world w;
  host_options o;
  o.data = w.data.path() / "data";
  CHECK_THROWS_AS(host{std::move(o)}, data_folder_in_use);
}
