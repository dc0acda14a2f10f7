// One session at the keyboard, on a terminal that the test reads and types on.
#include <cstdio>

#include <doctest/doctest.h>

#include "tests/cli/program.h"

using namespace troupe::cli::testing;
using nlohmann::json;

namespace {

/// A server with one task whose sandbox is ready and whose agent was not prompted.
struct prepared {
  scratch home;
  std::unique_ptr<serving> server;
  bool ready = false;

  prepared() {
    make_repository(home);
    server = std::make_unique<serving>(home, "data",
                                       std::vector<std::string>{"--repo-root", home.path().string()});
    parsed(run_troupe(home, {"org", "create", "acme", "--json"}));
    parsed(run_troupe(home, {"repo", "add", "widgets", "--org", "acme", "--json"}));
    const auto r = run_troupe(
        home, {"task", "new", "say ready", "--title", "Chat", "--org", "acme", "--watch", "--yes"});
    ready = r.exit_code == 0;
    if (!ready) std::puts("[skipped] this machine makes no sandbox");
  }
};

}  // namespace

TEST_CASE("a chat streams, asks at the keyboard, queues, takes back, stops and leaves") {
  prepared p;
  if (!p.ready) return;
  at_terminal chat(p.home, {"session", "chat", "chat", "--org", "acme"});
  chat.await("ready");
  chat.await("› ");
  chat.type("say caf\xc3\xa9 au lait\r");
  chat.await("café au lait");
  chat.await("turn ended");

  chat.await("› ");
  chat.type("run echo asked-and-$((40 + 2))\r");
  chat.await("[y]");
  chat.type("y");
  chat.await("asked-and-42");
  chat.await("turn ended");

  chat.await("› ");
  chat.type("sleep 50\r");
  chat.await("\x1b[0msleep 50");
  chat.type("say one\r");
  chat.await("waits     say one");
  chat.type("say two\r");
  chat.await("waits     say two");
  chat.type("/drop 1\r");
  chat.await("taken back: say one");
  chat.type("\x03");
  chat.await("stopping");
  chat.await("cancelled");
  chat.await("two");
  chat.await("turn ended");

  chat.await("› ");
  chat.type("/nonsense\r");
  chat.await("\x1b[0m/nonsense");
  chat.await("[y]");
  chat.type("n");
  chat.await("rejected");
  chat.await("turn ended");
  chat.await("› ");
  chat.type("/quit\r");
  CHECK(chat.end() == 0);
  CHECK_FALSE(has(run_troupe(p.home, {"session", "transcript", "chat", "--org", "acme"}).out, "say one"));
}

TEST_CASE("Ctrl-C drops a line that is typed and Ctrl-D leaves; the session goes on") {
  prepared p;
  if (!p.ready) return;
  at_terminal chat(p.home, {"session", "chat", "chat", "--org", "acme"});
  chat.await("› ");
  chat.type("say never");
  chat.await("never");
  chat.type("\x03");
  chat.await("› ");
  chat.type("\x04");
  CHECK(chat.end() == 0);
  const auto session = parsed(run_troupe(p.home, {"session", "show", "chat", "--org", "acme", "--json"}));
  CHECK(session.at("status") == "idle");
  CHECK(session.at("turns") == 1);
}

TEST_CASE("without a keyboard a chat says what to use instead") {
  scratch home;
  const auto r = run_troupe(home, {"session", "chat", "org/a/task/t/session/s"});
  CHECK(r.exit_code == 2);
  CHECK(has(r.err, "troupe session prompt"));
}

TEST_CASE(
    "a shell in a sandbox has this terminal's size, is shared, left and taken up again, and tells how it "
    "ended") {
  prepared p;
  if (!p.ready) return;
  at_terminal first(p.home, {"sandbox", "shell", "chat", "--org", "acme", "--", "sh"}, 101);
  first.await("leaves it running");
  first.type("stty size; echo first-$((40 + 2))\r");
  first.await("101");
  first.await("first-42");
  first.type(
      "\x1d"
      "d");
  first.await("--process ");
  CHECK(first.end() == 0);
  auto process = first.shown().substr(first.shown().rfind("--process ") + 10);
  process = process.substr(0, process.find_first_of("\x1b\r\n "));
  at_terminal second(p.home, {"sandbox", "shell", "chat", "--org", "acme", "--process", process});
  second.await("first-42");
  at_terminal third(p.home, {"sandbox", "shell", "chat", "--org", "acme", "--process", process});
  third.await("first-42");
  third.type("echo third-$((40 + 3))\r");
  second.await("third-43");
  second.type("exit 7\r");
  second.await("ended with 7");
  third.await("ended with 7");
  CHECK(second.end() == 0);
  CHECK(third.end() == 0);
  const auto none = run_troupe(p.home, {"sandbox", "shell", "chat", "--org", "acme"});
  CHECK(none.exit_code == 2);
  CHECK(has(none.err, "needs a terminal"));
}
