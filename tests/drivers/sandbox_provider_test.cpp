// One contract, held by every provider; and what only the local one promises.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "drivers/sandbox/fake_provider.h"
#include "drivers/sandbox/leftovers.h"
#include "drivers/sandbox/local_provider.h"

using namespace troupe;
using namespace troupe::drivers;
namespace asio = wire::asio;
namespace fs = std::filesystem;

namespace {

// Two threads that run the network, as in the server.
class loop {
 public:
  loop() : work_(asio::make_work_guard(io_)) {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { io_.run(); });
  }
  ~loop() {
    work_.reset();
    io_.stop();
    for (auto& t : threads_) t.join();
  }
  wire::executor executor() { return io_.get_executor(); }

  template <class T>
  attempt<T> wait(provider::later<T> call) {
    auto done = std::make_shared<std::promise<attempt<T>>>();
    auto later = done->get_future();
    asio::co_spawn(asio::make_strand(io_), finish(std::move(call), done), asio::detached);
    REQUIRE(later.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
    return later.get();
  }

 private:
  template <class T>
  static asio::awaitable<void> finish(provider::later<T> call,
                                      std::shared_ptr<std::promise<attempt<T>>> done) {
    auto result = co_await std::move(call);
    done->set_value(std::move(result));
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::thread> threads_;
};

const is_known nobody = [](const auto&, const auto&) { return false; };

struct local_world {
  local_world() {
    char name[] = "/tmp/troupe-local-XXXXXX";
    data = ::mkdtemp(name);
    http = std::make_unique<wire::client>(threads.executor());
    provider = make();
  }
  ~local_world() {
    if (fs::exists(data)) (void)prune({.sandboxd = SANDBOXD_PROGRAM, .data = data}, nobody);
    provider.reset();
    http->close();
    fs::remove_all(data);
  }
  std::shared_ptr<local_provider> make(std::vector<std::pair<std::uint16_t, host_port>> forwards = {}) {
    local_options options;
    options.forwards = std::move(forwards);
    options.data = data;
    options.sandboxd = SANDBOXD_PROGRAM;
    options.limits.memory_mb_least = 64;
    auto made = local_provider::make(threads.executor(), *http, options);
    REQUIRE(made);
    return *made;
  }
  bool isolates() const {
    if (provider->tier() != "none") return true;
    MESSAGE("skipped, no sandbox here: ", provider->probes().dump());
    return false;
  }

  loop threads;
  fs::path data;
  std::unique_ptr<wire::client> http;
  std::shared_ptr<local_provider> provider;
};

sandbox_request wanted(const std::string& id = "b1", std::uint32_t uid = 1'500'000'001) {
  sandbox_request out;
  out.sandbox = "org/acme/sandbox/" + id;
  out.nonce = "nonce-of-" + id;
  out.uid = uid + static_cast<std::uint32_t>(::getpid()) % 100'000;
  out.requirements.network.value.what = egress_rule::kind::nothing;
  return out;
}

// The contract itself.
void keeps_the_contract(loop& threads, provider& p) {
  const auto handle = p.handle_of("org/acme/sandbox/b1", "nonce-of-b1");
  auto nothing = threads.wait(p.inspect(handle));
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().why.code == "not_found");

  auto made = threads.wait(p.create(wanted()));
  if (!made) MESSAGE(made.error().why.detail);
  REQUIRE(made);
  CHECK(made->handle == handle);
  CHECK_FALSE(made->adopted);
  auto again = threads.wait(p.create(wanted()));
  REQUIRE(again);
  CHECK(again->handle == handle);
  CHECK(again->adopted);

  CHECK(threads.wait(p.pause(handle))->state == "paused");
  CHECK(threads.wait(p.pause(handle))->state == "paused");
  CHECK(threads.wait(p.inspect(handle))->state == "paused");
  CHECK(threads.wait(p.resume(handle))->state == "running");
  CHECK(threads.wait(p.resume(handle))->state == "running");

  auto same_uid = wanted("b2");
  auto refused = threads.wait(p.create(same_uid));
  if (!refused)
    CHECK(refused.error().why.code == "quota");
  else
    (void)threads.wait(p.destroy(refused->handle));

  CHECK(threads.wait(p.kill(handle)));
  CHECK(threads.wait(p.kill(handle)));
  CHECK(threads.wait(p.inspect(handle))->state == "stopped");
  CHECK_FALSE(threads.wait(p.pause(handle)));
  auto started = threads.wait(p.create(wanted()));
  REQUIRE(started);
  CHECK_FALSE(started->adopted);
  CHECK(threads.wait(p.inspect(handle))->state == "running");

  CHECK(*threads.wait(p.destroy(handle)));
  CHECK_FALSE(*threads.wait(p.destroy(handle)));
  CHECK(threads.wait(p.inspect(handle)).error().why.code == "not_found");
  CHECK(threads.wait(p.pause(handle)).error().why.code == "not_found");
}

}  // namespace

TEST_CASE("the fake provider keeps the contract") {
  loop threads;
  fake_provider p;
  keeps_the_contract(threads, p);
}

TEST_CASE("the local provider keeps the contract") {
  local_world w;
  if (!w.isolates()) return;
  keeps_the_contract(w.threads, *w.provider);
  CHECK_FALSE(fs::exists(w.data / "org/acme/sandbox/b1"));
  CHECK(fs::is_empty(w.data / "sockets"));
  CHECK((!fs::exists(w.data / "sandbox-uids") || fs::is_empty(w.data / "sandbox-uids")));
}

TEST_CASE("a scripted failure after the act looks like a lost answer, and asking again finds the work done") {
  loop threads;
  fake_provider p;
  p.script("create", {.delay = std::chrono::milliseconds(5), .failure = transport("lost"), .after = true});
  CHECK(threads.wait(p.create(wanted())).error().again);
  CHECK(threads.wait(p.create(wanted()))->adopted);
  CHECK(p.alive() == 1);
}

TEST_CASE("a sandbox outlives the provider that made it and another one adopts it") {
  local_world w;
  if (!w.isolates()) return;
  auto made = w.threads.wait(w.provider->create(wanted()));
  REQUIRE(made);
  w.provider = w.make();
  CHECK(w.threads.wait(w.provider->inspect(made->handle))->state == "running");
  auto again = w.threads.wait(w.provider->create(wanted()));
  REQUIRE(again);
  CHECK(again->adopted);
  REQUIRE(w.provider->find(made->handle));
  wire::request health;
  health.target = "/v1/health";
  wire::blocking_client http;
  CHECK(http.fetch(w.provider->find(made->handle)->at, health)->status == 200);
}

TEST_CASE("what is forwarded to every sandbox is reached from one without a network, and shows") {
  local_world w;
  if (!w.isolates()) return;
  asio::io_context apart;
  asio::ip::tcp::acceptor gateway(apart, {asio::ip::address_v4::loopback(), 0});
  const auto port = gateway.local_endpoint().port();
  w.provider = w.make({{7900, {"127.0.0.1", port}}});
  auto made = w.threads.wait(w.provider->create(wanted()));
  REQUIRE(made);
  CHECK(made->items["network"].effective == "none, 127.0.0.1:7900 to 127.0.0.1:" + std::to_string(port));
  wire::request ask;
  ask.method = "POST";
  ask.target = "/v1/processes/run";
  ask.headers.set("Content-Type", "application/json");
  const nlohmann::json body{{"command", "bash"},
                            {"args", {"-c", "exec 3<>/dev/tcp/127.0.0.1/7900 && head -c 5 <&3"}},
                            {"timeoutMs", 20000}};
  ask.body = body.dump();
  auto answer = asio::co_spawn(
      w.threads.executor(),
      w.http->fetch(w.provider->find(made->handle)->at, std::move(ask), std::chrono::seconds(30)),
      asio::use_future);
  asio::ip::tcp::socket caller(apart);
  gateway.async_accept(caller, [](const auto&) {});
  apart.run_for(std::chrono::seconds(20));
  REQUIRE(caller.is_open());
  asio::write(caller, asio::buffer(std::string("hello")));
  const auto got = answer.get();
  REQUIRE(got);
  CHECK(nlohmann::json::parse(got->bytes())["stdout"] == "hello");
}

TEST_CASE("ten calls at once for one sandbox make one") {
  local_world w;
  if (!w.isolates()) return;
  std::vector<std::future<bool>> calls;
  for (int i = 0; i < 10; ++i)
    calls.push_back(std::async(std::launch::async, [&] {
      auto made = w.threads.wait(w.provider->create(wanted()));
      return made && !made->adopted;
    }));
  int anew = 0;
  for (auto& call : calls) anew += call.get();
  CHECK(anew == 1);
}

TEST_CASE("files other than its own stay in the folder of a destroyed sandbox") {
  local_world w;
  if (!w.isolates()) return;
  auto made = w.threads.wait(w.provider->create(wanted()));
  REQUIRE(made);
  std::ofstream(w.data / "org/acme/sandbox/b1/actor.sqlite") << "rows";
  CHECK(*w.threads.wait(w.provider->destroy(made->handle)));
  CHECK(fs::exists(w.data / "org/acme/sandbox/b1/actor.sqlite"));
  CHECK_FALSE(fs::exists(w.data / "org/acme/sandbox/b1/run"));
  CHECK_FALSE(fs::exists(w.data / "org/acme/sandbox/b1/work"));
}

TEST_CASE(
    "through the mounted proxy a program inside gets the proxy's word, and the ledger has its request") {
  local_world w;
  if (!w.isolates()) return;
  auto what = wanted();
  what.requirements.network.value.what = egress_rule::kind::public_addresses;
  auto made = w.threads.wait(w.provider->create(what));
  REQUIRE(made);
  wire::request run;
  run.method = "POST";
  run.target = "/v1/processes/run";
  run.headers.set("Content-Type", "application/json");
  run.body =
      R"({"command":"bash","args":["-c","exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n' >&3; cat <&3; env | grep -i ^https_proxy"]})";
  wire::blocking_client http;
  const auto answer = http.fetch(w.provider->find(made->handle)->at, run);
  REQUIRE(answer);
  const auto out = nlohmann::json::parse(answer->bytes()).value("stdout", "");
  CHECK(out.find("403") != std::string::npos);
  CHECK(out.find("HTTPS_PROXY=http://127.0.0.1:3128") != std::string::npos);
  CHECK(w.provider->handle_of(what.sandbox, what.nonce) == made->handle);
}

TEST_CASE("a uid outside of the range and a mount of no mirror are refused") {
  local_world w;
  if (!w.isolates()) return;
  auto what = wanted();
  what.mounts.push_back({"mirror:../../etc", "/mirror", true});
  CHECK(w.threads.wait(w.provider->create(what)).error().why.code == "invalid");
  what.mounts = {{"mirror:nothing", "/mirror", true}};
  CHECK(w.threads.wait(w.provider->create(what)).error().why.code == "not_found");
  what.mounts.clear();
  what.uid = 0;
  if (w.provider->tier() == "namespaces+uid")
    CHECK(w.threads.wait(w.provider->create(what)).error().why.code == "invalid");
}

namespace {

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Whoever inherits its end may not have taken note of it yet.
bool lives(pid_t pid) {
  const auto stat = text_of("/proc/" + std::to_string(pid) + "/stat");
  const auto close = stat.rfind(')');
  return close != std::string::npos && stat.find_first_of("ZX", close) != close + 2;
}

// As it will be in a while: what is younger than a minute may be in the making.
void age(const fs::path& file) {
  const timespec times[2] = {{::time(nullptr) - 120, 0}, {::time(nullptr) - 120, 0}};
  REQUIRE(::utimensat(AT_FDCWD, file.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

// "what where" of each thing, of those that concern this test.
std::set<std::string> told(const nlohmann::json& found, const fs::path& data) {
  std::set<std::string> out;
  for (const auto& one : found)
    if (const auto where = one.value("where", ""); where.starts_with(data.string()))
      out.insert(one.value("what", "") + " " + where.substr(data.native().size() + 1));
  return out;
}

}  // namespace

TEST_CASE("what no row knows of sandboxes is found and ended, and what one knows is left alone") {
  local_world w;
  if (!w.isolates()) return;
  const auto kept = w.threads.wait(w.provider->create(wanted("b1")));
  const auto lost = w.threads.wait(w.provider->create(wanted("b2", 1'500'100'001)));
  REQUIRE(kept);
  REQUIRE(lost);
  const auto b2 = w.data / "org/acme/sandbox/b2", b4 = w.data / "org/acme/sandbox/b4";
  const auto record = nlohmann::json::parse(text_of(b2 / "run" / "supervisor.json"));
  std::set<std::string> left = {"sandbox org/acme/sandbox/b2"};
  // A folder without an intent, with what a person mounted into it; a socket, a claim and a control group of
  // nobody.
  fs::create_directories(b4 / "work" / "mounted");
  left.insert("folder org/acme/sandbox/b4");
  const bool mounts =
      ::geteuid() == 0 && ::mount("none", (b4 / "work" / "mounted").c_str(), "tmpfs", 0, "") == 0;
  if (mounts) left.insert("mount org/acme/sandbox/b4/work/mounted");
  for (const auto* name : {"sockets/stray.sock", "sandbox-uids/1"}) {
    fs::create_directories((w.data / name).parent_path());
    std::ofstream(w.data / name) << "local:org/acme/sandbox/b9#gone";
    age(w.data / name);
  }
  left.insert({"socket sockets/stray.sock", "claim sandbox-uids/1"});
  std::ofstream(w.data / "sockets/new.sock") << "";  // in the making, as far as anybody can tell
  if (w.provider->tier() == "namespaces+uid")
    for (const auto& file : fs::directory_iterator(w.data / "sandbox-uids"))
      if (text_of(file).find("b2") != std::string::npos) {
        age(file);
        left.insert("claim sandbox-uids/" + file.path().filename().string());
      }

  const is_known rows = [&](const std::string& sandbox, const std::string& life) {
    return sandbox == "org/acme/sandbox/b1" && (life.empty() || life == "nonce-of-b1");
  };
  const auto seen = prune({.sandboxd = SANDBOXD_PROGRAM, .data = w.data, .dry_run = true}, rows);
  REQUIRE(seen);
  CHECK(told(seen->found, w.data) == left);
  CHECK(w.threads.wait(w.provider->inspect(lost->handle))->state == "running");

  const auto done = prune({.sandboxd = SANDBOXD_PROGRAM, .data = w.data}, rows);
  REQUIRE(done);
  CHECK(told(done->found, w.data) == left);
  CHECK(done->failed.empty());
  CHECK_FALSE(fs::exists(b2));
  CHECK_FALSE(fs::exists(b4));
  CHECK_FALSE(fs::exists(w.data / "sockets/stray.sock"));
  CHECK(fs::exists(w.data / "sockets/new.sock"));
  CHECK(text_of("/proc/self/mountinfo").find(b4.string()) == std::string::npos);
  for (const auto* who : {"supervisor", "init"}) CHECK_FALSE(lives(record.at(who).at("pid").get<pid_t>()));
  for (const auto& group : record.at("groups")) CHECK_FALSE(fs::exists(group.get<std::string>()));
  CHECK(w.threads.wait(w.provider->inspect(kept->handle))->state == "running");
  CHECK(prune({.sandboxd = SANDBOXD_PROGRAM, .data = w.data}, rows)->found.empty());
}

TEST_CASE(
    "a supervisor whose folder was taken away is ended with all that it held, and nobody else's with it") {
  local_world w, other;
  if (!w.isolates()) return;
  const auto made = w.threads.wait(w.provider->create(wanted("b1")));
  const auto orphan = other.threads.wait(other.provider->create(wanted("b2", 1'500'100'001)));
  REQUIRE(made);
  REQUIRE(orphan);
  const auto run = other.data / "org/acme/sandbox/b2/run";
  const auto record = nlohmann::json::parse(text_of(run / "supervisor.json"));
  const auto pid = record.at("supervisor").at("pid").get<pid_t>();
  fs::remove_all(other.data);
  const auto prune_w = [&](bool whole_machine) {
    const is_known all = [](const auto&, const auto&) { return true; };
    auto done = prune({.sandboxd = SANDBOXD_PROGRAM, .data = w.data, .whole_machine = whole_machine}, all);
    REQUIRE(done);
    return done->found;
  };
  CHECK(prune_w(false).empty());
  CHECK(lives(pid));
  CHECK(told(prune_w(true), other.data) ==
        std::set<std::string>{"process org/acme/sandbox/b2/run/intent.json"});
  CHECK_FALSE(lives(pid));
  CHECK_FALSE(lives(record.at("init").at("pid").get<pid_t>()));
  for (const auto& group : record.at("groups")) CHECK_FALSE(fs::exists(group.get<std::string>()));
  CHECK(w.threads.wait(w.provider->inspect(made->handle))->state == "running");
}

TEST_CASE("a control group that has been empty for a minute is removed; a fresh one and one in use are not") {
  local_world w;
  if (!w.isolates()) return;
  const auto made = w.threads.wait(w.provider->create(wanted()));
  REQUIRE(made);
  const auto record = nlohmann::json::parse(text_of(w.data / "org/acme/sandbox/b1/run" / "supervisor.json"));
  if (record.at("groups").empty()) return;  // as a user without groups of its own
  const fs::path used = record.at("groups")[0].get<std::string>();
  const auto fresh = used.parent_path() / ("sb-" + std::to_string(::getpid()) + "fresh"),
             old = used.parent_path() / ("sb-" + std::to_string(::getpid()) + "old");
  fs::create_directory(fresh);
  fs::create_directory(old);
  age(old);
  age(used);
  const auto done = prune({.sandboxd = SANDBOXD_PROGRAM, .data = w.data, .whole_machine = true},
                          [](const auto&, const auto&) { return true; });
  REQUIRE(done);
  CHECK(fs::exists(fresh));
  CHECK_FALSE(fs::exists(old));
  CHECK(fs::exists(used));
  fs::remove(fresh);
}
