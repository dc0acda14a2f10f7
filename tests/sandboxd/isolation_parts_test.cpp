// The parts of isolation that need no sandbox.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "sandboxd/isolation/bwrap.h"
#include "sandboxd/isolation/cgroups.h"
#include "sandboxd/isolation/control.h"
#include "sandboxd/isolation/identity.h"
#include "sandboxd/isolation/seccomp.h"
#include "sandboxd/isolation/spec.h"

using namespace troupe::sandboxd;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

bwrap_plan good_plan() {
  bwrap_plan plan;
  plan.host_uid = plan.host_gid = 200001;
  plan.program = "/x/sandboxd";
  plan.workspace = "/x/work";
  plan.home = "/x/home";
  plan.seccomp_fd = 4;
  plan.command = {"/opt/troupe/bin/sandboxd", "init"};
  return plan;
}

bool refused(const bwrap_plan& plan) {
  return std::holds_alternative<std::string>(bwrap_arguments(plan));
}

struct temporary_folder {
  temporary_folder() {
    char name[] = "/tmp/troupe-parts-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~temporary_folder() { fs::remove_all(path); }
  fs::path path;
};

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

json good_spec() {
  return {{"key", "org/a/sandbox/b"}, {"nonce", "0123456789abcdef"}, {"folder", "/data/b"},
          {"socket", "/run/x.sock"},  {"tier", "namespaces+uid"},    {"uid", 200001}};
}

std::string wrong(json text) {
  auto result = spec_from_json(text);
  auto* why = std::get_if<std::string>(&result);
  return why ? *why : "";
}

}  // namespace

TEST_CASE("bubblewrap is never run with the uid or the group of root") {
  CHECK_FALSE(refused(good_plan()));
  auto plan = good_plan();
  plan.host_uid = 0;
  CHECK(refused(plan));
  plan = good_plan();
  plan.host_gid = 0;
  CHECK(refused(plan));
}

TEST_CASE("a sandbox without a system call filter is refused") {
  auto plan = good_plan();
  plan.seccomp_fd = -1;
  CHECK(refused(plan));
}

TEST_CASE("a mount over what the sandbox is made of is refused") {
  for (const char* to : {"/", "/usr", "/usr/bin", "/etc/passwd", "/proc/sys", "/dev/null", "/workspace",
                         "/home/agent", "/run/troupe/net", "/opt/troupe/bin/sandboxd", "relative"}) {
    auto plan = good_plan();
    plan.mounts.push_back({"/x/m", to, false});
    CAPTURE(to);
    CHECK(refused(plan));
  }
  auto plan = good_plan();
  plan.mounts.push_back({"/x/m", "/mirror", false});
  CHECK_FALSE(refused(plan));
}

TEST_CASE("a user namespace is asked for by name and nesting is off") {
  const auto words = std::get<std::vector<std::string>>(bwrap_arguments(good_plan()));
  for (const char* needed : {"--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent",
                             "--clearenv", "--new-session", "--seccomp"})
    CHECK(std::count(words.begin(), words.end(), needed) == 1);
}

TEST_CASE("a spec comes back from its JSON as it was") {
  auto text = good_spec();
  text["network"] = {{"mode", "proxy"}, {"port", 4000}, {"forwards", {{{"port", 9}, {"socket", "f"}}}}};
  text["limits"] = {{"memory", 1u << 30}, {"disk", 5u}, {"pids", 7u}, {"cpus", 1.5}};
  text["mounts"] = {{{"from", "/a"}, {"to", "/mirror"}, {"writable", true}}};
  text["environment"] = {{"A", "b"}};
  const auto first = std::get<sandbox_spec>(spec_from_json(text));
  const auto second = std::get<sandbox_spec>(spec_from_json(to_json(first)));
  CHECK(to_json(first) == to_json(second));
  CHECK(second.limits.cpus == 1.5);
  CHECK(second.forwards.size() == 1);
  CHECK(second.mounts.at(0).writable);
}

TEST_CASE("a spec that is not one is refused and the place is named") {
  CHECK(wrong(good_spec()) == "");
  auto text = good_spec();
  text["uid"] = 0;
  CHECK(wrong(text).find("/uid") == 0);
  text = good_spec();
  text["nonce"] = "../../../../escape";
  CHECK(wrong(text).find("/nonce") == 0);
  text = good_spec();
  text["folder"] = "/data/../etc";
  CHECK(wrong(text).find("/folder") == 0);
  text = good_spec();
  text["socket"] = "/" + std::string(107, 'x');
  CHECK(wrong(text).find("/socket") == 0);
  text = good_spec();
  text["limits"] = {{"memory", -1}};
  CHECK(wrong(text).find("/limits/memory") == 0);
  CHECK(wrong(json::array()) != "");
}

TEST_CASE("on a v2 host limits are written to one folder below the own group") {
  temporary_folder t;
  const auto own = t.path / "system.slice" / "troupe.service";
  fs::create_directories(own / "troupe" / "sb-1");
  std::ofstream(own / "cgroup.controllers") << "cpu memory pids io\n";
  for (const auto& folder : {own, own / "troupe"})
    std::ofstream(folder / "cgroup.subtree_control") << "cpu memory pids\n";
  for (const char* name :
       {"memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.freeze", "cgroup.kill"})
    std::ofstream(own / "troupe" / "sb-1" / name);
  const auto found = cgroups::find({"25 30 0:22 / " + t.path.string() + " rw - cgroup2 cgroup2 rw\n",
                                    "0::/system.slice/troupe.service\n"});
  REQUIRE(found.size() == 1);
  CHECK(found[0].version == 2);
  CHECK(found[0].base == own);
  cgroups groups(found, "sb-1");
  limits_spec limits;
  limits.memory_bytes = 1 << 30;
  limits.pids = 77;
  limits.cpus = 1.5;
  REQUIRE(groups.create(limits).ok());
  const auto mine = own / "troupe" / "sb-1";
  CHECK(text_of(mine / "memory.max") == "1073741824");
  CHECK(text_of(mine / "memory.swap.max") == "0");
  CHECK(text_of(mine / "pids.max") == "77");
  CHECK(text_of(mine / "cpu.max") == "150000 100000");
  CHECK(groups.enforces("memory"));
  CHECK(groups.can_freeze());
  std::ofstream(mine / "memory.events") << "low 0\noom 2\noom_kill 3\n";
  std::ofstream(mine / "memory.current") << "4096\n";
  CHECK(groups.use().out_of_memory == 3);
  CHECK(groups.use().memory_bytes == 4096);
}

TEST_CASE("a server that stands in its leaf makes sandboxes beside it") {
  const auto found = cgroups::find({"25 30 0:22 / /cg rw - cgroup2 cgroup2 rw\n", "0::/a/troupe-server\n"});
  REQUIRE(found.size() == 1);
  CHECK(found[0].base == "/cg/a");
}

TEST_CASE("on a hybrid host each controller has its hierarchy and v2 freezes") {
  const auto found =
      cgroups::find({"1 0 0:1 / /c/memory rw - cgroup cgroup rw,memory\n"
                     "2 0 0:2 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                     "3 0 0:3 / /c/unified rw - cgroup2 cgroup2 rw\n"
                     "4 0 0:4 / /c/systemd rw - cgroup cgroup rw,name=systemd\n",
                     "3:memory:/outer/one\n2:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n"});
  REQUIRE(found.size() == 3);
  cgroups groups(found, "sb-2");
  CHECK(groups.enforces("memory"));
  CHECK(groups.enforces("cpu"));
  CHECK_FALSE(groups.enforces("pids"));
  CHECK(groups.can_freeze());
  CHECK(groups.folders().at(0) == "/c/memory/outer/one/troupe/sb-2");
}

TEST_CASE("a control message carries descriptors, and one of a mebibyte arrives whole") {
  auto pair = make_control_pair();
  REQUIRE(pair.ok());
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  descriptor read{ends[0]}, write{ends[1]};
  const std::string text(1 << 20, 'x');
  REQUIRE(send_packet(pair->supervisor.get(), text, {write.get()}).ok());
  auto got = receive_packet(pair->init.get());
  REQUIRE(got.ok());
  CHECK(got->text == text);
  REQUIRE(got->fds.size() == 1);
  CHECK((::fcntl(got->fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  REQUIRE(::write(got->fds[0].get(), "y", 1) == 1);
  char c = 0;
  CHECK(::read(read.get(), &c, 1) == 1);
  CHECK(c == 'y');
  pair->supervisor.reset();
  CHECK(receive_packet(pair->init.get()).error().number == ENOTCONN);
}

TEST_CASE("the system call filter compiles to a program that can be read from its start") {
  auto filter = compile_seccomp({});
  REQUIRE(filter.ok());
  struct stat info {};
  REQUIRE(::fstat(filter->get(), &info) == 0);
  CHECK(info.st_size > 100);
  CHECK(info.st_size % 8 == 0);
  CHECK(::lseek(filter->get(), 0, SEEK_CUR) == 0);
}

TEST_CASE("a process is told from another that has its number") {
  auto me = identify(::getpid());
  REQUIRE(me);
  CHECK(hold(*me));
  auto other = *me;
  other.started += 1;
  CHECK_FALSE(hold(other));
  other = *me;
  other.boot = "another";
  CHECK_FALSE(hold(other));
  CHECK(kill_and_wait(other, std::chrono::seconds(1)));  // nobody to kill, and we live
}
