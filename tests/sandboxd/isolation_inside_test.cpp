// What a process inside a real sandbox can and cannot do. Skipped, with the probe's reason, where none can be
// made.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include <doctest/doctest.h>

#include "sandboxd/descriptor.h"
#include "sandboxd/isolation/record.h"
#include "tests/sandboxd/isolation_kit.h"

using namespace isolation_kit;
using namespace troupe;
using nlohmann::json;

#define NEEDS_A_SANDBOX()                             \
  if (!why_not().empty()) {                           \
    MESSAGE("skipped, no sandbox here: ", why_not()); \
    return;                                           \
  }

TEST_CASE("every promise that the probe checks from inside holds") {
  NEEDS_A_SANDBOX();
  const auto report = isolation_kit::sandboxd({"probe", "--json"});
  int checked = 0;
  for (const auto& probe : report["probes"]) {
    if (probe["probe"].get<std::string>().rfind("inside_", 0) != 0) continue;
    CAPTURE(probe.dump());
    CHECK(probe["result"] == "ok");
    ++checked;
  }
  CHECK(checked >= 9);
}

TEST_CASE("the host cannot be read, written or seen from inside") {
  NEEDS_A_SANDBOX();
  box b;
  std::ofstream(b.folder() / "secret") << "of the host";
  const auto path = (b.folder() / "secret").string();
  CHECK(b.sh("cat " + path).code != 0);
  CHECK(b.sh("cat /etc/shadow").code != 0);
  CHECK(b.sh("ls /root").code != 0);
  CHECK(b.sh("touch /usr/bin/x || touch /etc/x || touch /x || touch /opt/troupe/bin/x").code != 0);
  CHECK(b.sh("ls " + b.folder().string()).code != 0);
  // Its own PID 1 and helpers and the command itself: nothing of the host's hundreds.
  const auto seen = b.sh("ls -d /proc/[0-9]* | wc -l");
  CHECK(std::stoi(seen.out) < 10);
  CHECK(b.sh("cat /proc/1/environ").code != 0);
  CHECK(b.sh("ls /proc/1/fd").code != 0);
  CHECK(b.sh("echo fine > /workspace/file && cat /workspace/file").out == "fine\n");
}

TEST_CASE("nothing of the server's environment is inside") {
  NEEDS_A_SANDBOX();
  ::setenv("TROUPE_TEST_SECRET", "leaked", 1);
  box b([](auto& spec) { spec.environment.emplace_back("GIVEN", "yes"); });
  ::unsetenv("TROUPE_TEST_SECRET");
  const auto seen = b.sh("env");
  CHECK(seen.out.find("leaked") == std::string::npos);
  CHECK(seen.out.find("GIVEN=yes") != std::string::npos);
}

TEST_CASE("no descriptor of the supervisor or of init reaches a process inside") {
  NEEDS_A_SANDBOX();
  box b;
  const auto seen = b.sh("ls /proc/self/fd");
  CHECK(seen.out == "0\n1\n2\n3\n");  // 3 is that folder itself
}

TEST_CASE("a server on the host's loopback cannot be reached from inside") {
  NEEDS_A_SANDBOX();
  sandboxd::descriptor listening{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(::listen(listening.get(), 8) == 0);
  socklen_t size = sizeof(address);
  ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size);
  const auto to = "/dev/tcp/127.0.0.1/" + std::to_string(ntohs(address.sin_port));
  box b;
  CHECK(b.sh("bash -c 'echo x > " + to + "'").code != 0);
  CHECK(std::system(("bash -c 'echo x > " + to + "'").c_str()) == 0);  // from outside it does answer
  CHECK(b.sh("bash -c 'echo x > /dev/tcp/8.8.8.8/53'").code != 0);
}

TEST_CASE("an agent cannot reach its supervisor's socket, spool or record") {
  NEEDS_A_SANDBOX();
  box b;
  // Neither by the paths on the host, nor by any socket that can be found inside.
  CHECK(b.sh("test -e " + b.spec().socket.string()).code != 0);
  CHECK(b.sh("test -e " + b.spec().run().string()).code != 0);
  CHECK(b.sh("find / -xdev -type s 2>/dev/null; find /run /tmp /workspace /home -type s").out == "");
  CHECK(b.sh("grep -c . /proc/net/unix").out.substr(0, 1) <= "9");
  CHECK(b.sh("cat /proc/net/unix").out.find(b.folder().string()) == std::string::npos);
}

TEST_CASE("limits cannot be raised from inside") {
  NEEDS_A_SANDBOX();
  box b;
  CHECK(b.sh("bash -c 'ulimit -H -u'").out == "128\n");
  CHECK(b.sh("bash -c 'ulimit -H -u 100000'").code != 0);
  CHECK(b.sh("bash -c 'ulimit -H -f unlimited'").code != 0);
  CHECK(b.sh("bash -c 'ulimit -c'").out == "0\n");
  CHECK(b.sh("head -c 80000000 /dev/zero > /workspace/large").code != 0);
}

TEST_CASE("user namespaces cannot be nested") {
  NEEDS_A_SANDBOX();
  box b;
  CHECK(b.sh("unshare -U true").code != 0);
  CHECK(b.sh("unshare -m true").code != 0);
  CHECK(b.sh("bwrap --ro-bind / / true").code != 0);
}

TEST_CASE("a process that sets up its own session is killed with its tree") {
  NEEDS_A_SANDBOX();
  box b;
  // Forks away twice, with its own session and no parent: it must still be found.
  const auto made = b.call(
      "POST", "/v1/processes",
      {{"command", "/bin/sh"}, {"args", {"-c", "(setsid sh -c 'sleep 4321 & sleep 4322' &) ; sleep 4323"}}});
  const auto id = made.value("id", "");
  REQUIRE(!id.empty());
  auto sleepers = [&] { return b.sh("ps -eo args | grep -c '^sleep 43'").out; };
  REQUIRE(eventually([&] { return sleepers() == "3\n"; }));
  b.call("POST", "/v1/processes/" + id + "/kill", json::object());
  CHECK(eventually([&] { return sleepers() == "0\n"; }));
}

TEST_CASE("a fork bomb stops at the limit and its sandbox can be ended") {
  NEEDS_A_SANDBOX();
  box b;
  const auto bomb = b.sh("i=0; while [ $i -lt 400 ]; do sleep 4444 & i=$((i+1)); done; echo all", 20);
  CHECK(bomb.out.find("all") == std::string::npos);
  const auto end = b.reap(true);
  CHECK(end.value("ok", false));
  CHECK(b.traces() == "");
}

TEST_CASE("paused, nothing inside runs; resumed, it goes on") {
  NEEDS_A_SANDBOX();
  box b;
  b.call(
      "POST", "/v1/processes",
      {{"command", "/bin/sh"}, {"args", {"-c", "while :; do echo x >> /workspace/count; sleep 0.01; done"}}});
  const auto file = b.spec().work() / "count";
  auto size = [&] {
    std::error_code ec;
    const auto n = std::filesystem::file_size(file, ec);
    return ec ? 0 : n;
  };
  REQUIRE(eventually([&] { return size() > 10; }));
  const auto paused = b.call("POST", "/v1/sandbox/pause");
  CHECK(paused.value("state", "") == "paused");
  CHECK(b.state().value("state", "") == "paused");
  const auto then = size();
  ::usleep(200'000);  // twenty turns of a loop that must not turn
  CHECK(size() == then);
  int status = 0;
  b.call("POST", "/v1/processes/run", {{"command", "true"}}, &status);
  CHECK(status >= 400);  // answered, not hung
  CHECK(b.call("POST", "/v1/sandbox/resume").value("state", "") == "running");
  CHECK(eventually([&] { return size() > then; }));
}

TEST_CASE("going over the memory limit kills inside and is reported") {
  NEEDS_A_SANDBOX();
  const auto report = isolation_kit::sandboxd({"probe", "--json"});
  if (report["items"]["memory"]["state"] != "enforced") {
    MESSAGE("skipped: memory is not enforced here");
    return;
  }
  // The kernel kills the largest, which has to be another than the daemon; AddressSanitizer makes that one
  // large.
#ifdef __SANITIZE_ADDRESS__
  constexpr std::int64_t limit = 768 << 20;
#else
  constexpr std::int64_t limit = 96 << 20;
#endif
  box b([](auto& spec) { spec.limits.memory_bytes = limit; });
  const auto more = std::to_string(3 * limit);
  const auto ran = b.sh("head -c " + more + " /dev/zero | tail -c " + more + " | wc -c");
  CHECK(ran.out != more + "\n");
  CHECK(b.state()["use"].value("out_of_memory", 0) >= 1);
  CHECK(b.sh("echo alive").out == "alive\n");
}

TEST_CASE("with its supervisor everything inside ends") {
  NEEDS_A_SANDBOX();
  box b;
  REQUIRE(b.sh("echo up").out == "up\n");
  const auto record = sandboxd::read_record(sandboxd::record_file(b.spec()));
  REQUIRE(record);
  CHECK(sandboxd::hold(record->init));
  REQUIRE(sandboxd::kill_and_wait(record->supervisor, std::chrono::seconds(5)));
  CHECK(eventually([&] { return !sandboxd::hold(record->init) && !sandboxd::hold(record->bwrap); }));
}

TEST_CASE("when PID 1 inside is killed the supervisor says so and still answers") {
  NEEDS_A_SANDBOX();
  box b;
  const auto record = sandboxd::read_record(sandboxd::record_file(b.spec()));
  REQUIRE(record);
  REQUIRE(sandboxd::kill_and_wait(record->init, std::chrono::seconds(5)));
  CHECK(eventually([&] { return b.state().value("state", "") == "ended"; }));
  CHECK(!b.state().value("why", "").empty());
}

TEST_CASE("a second supervisor of the same sandbox is refused") {
  NEEDS_A_SANDBOX();
  box b;
  const auto second = b.start();
  CHECK(second.value("ok", true) == false);
  CHECK(second.value("errno", 0) == EALREADY);
  CHECK(b.sh("echo still").out == "still\n");
}

TEST_CASE("ended it keeps its files, and started again it has them") {
  NEEDS_A_SANDBOX();
  box b;
  REQUIRE(b.sh("echo kept > /workspace/file").code == 0);
  CHECK(b.reap(false).value("was_alive", false));
  CHECK(std::filesystem::exists(b.spec().work() / "file"));
  REQUIRE(b.start().value("ok", false));
  CHECK(b.sh("cat /workspace/file").out == "kept\n");
}

TEST_CASE("destroyed it leaves no process, mount, control group, socket or folder, and twice is once") {
  NEEDS_A_SANDBOX();
  box b;
  b.sh("mkdir -p /workspace/a/b; ln -s / /workspace/root; sleep 4444 &");
  CHECK(b.reap(true).value("ok", false));
  CHECK(b.traces() == "");
  CHECK(b.reap(true).value("was_there", true) == false);
  CHECK(std::filesystem::exists("/usr/bin"));
}

TEST_CASE("a terminal inside is a terminal") {
  NEEDS_A_SANDBOX();
  box b;
  const auto made = b.call("POST", "/v1/processes",
                           {{"command", "/bin/sh"}, {"args", {"-c", "tty; stty size"}}, {"tty", true}});
  const auto id = made.value("id", "");
  REQUIRE(!id.empty());
  CHECK(eventually([&] { return b.call("GET", "/v1/processes/" + id).value("status", "") == "exited"; }));
  CHECK(b.call("GET", "/v1/processes/" + id).value("exitCode", -1) == 0);
}

TEST_CASE("a killed file server is replaced") {
  NEEDS_A_SANDBOX();
  box b;
  b.sh("kill -9 2 3 4 2>/dev/null");
  int status = 0;
  CHECK(eventually([&] {
    b.call("GET", "/v1/fs/entries?path=/workspace", nullptr, &status);
    return status == 200;
  }));
}

TEST_CASE("the tier none is refused without its flag") {
  NEEDS_A_SANDBOX();
  CHECK_THROWS(box([](auto& spec) { spec.level = sandboxd::tier::none; }));
}

TEST_CASE("from supervise to an answering sandbox takes tens of milliseconds") {
  NEEDS_A_SANDBOX();
  std::vector<double> times;
  for (int i = 0; i < 15; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    box b;
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
  }
  std::sort(times.begin(), times.end());
  MESSAGE("create to answering: p50 ", times[times.size() / 2], " ms, least ", times.front(), " ms");
  // The goal is 30 ms on a quiet machine; a busy one shows here too.
  CHECK(times.front() < 1000);
}
