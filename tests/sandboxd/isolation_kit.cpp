#include "tests/sandboxd/isolation_kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "sandboxd/isolation/cgroups.h"
#include "sandboxd/isolation/record.h"

namespace isolation_kit {

namespace fs = std::filesystem;
using namespace troupe;
using nlohmann::json;

bool eventually(const std::function<bool()>& what) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!what()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

json sandboxd(const std::vector<std::string>& arguments) {
  std::string line = SANDBOXD_PROGRAM;
  for (const auto& word : arguments) line += " '" + word + "'";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe{::popen(line.c_str(), "r"), ::pclose};
  std::string text;
  char piece[4096];
  for (std::size_t n; pipe && (n = ::fread(piece, 1, sizeof(piece), pipe.get())) > 0;) text.append(piece, n);
  return json::parse(text, nullptr, false);
}

const std::string& why_not() {
  static const std::string why = [] {
    const auto report = sandboxd({"probe", "--json"});
    if (!report.is_object()) return std::string("sandboxd probe gave no JSON");
    if (report["tier"] != "none") return std::string();
    for (const auto& probe : report["probes"])
      if (probe["result"] != "ok")
        return probe["probe"].get<std::string>() + ": " + probe["detail"].get<std::string>();
    return std::string("tier none");
  }();
  return why;
}

box::box(const std::function<void(sandboxd::sandbox_spec&)>& change) {
  static std::atomic<unsigned> number{0};
  char name[] = "/tmp/troupe-box-XXXXXX";
  if (!::mkdtemp(name)) throw std::runtime_error("mkdtemp");
  folder_ = name;
  const auto mine = ++number;
  spec_.key = "org/test/sandbox/b" + std::to_string(mine);
  char nonce[33];
  snprintf(nonce, sizeof(nonce), "test%08x%08x", static_cast<unsigned>(::getpid()), mine);
  spec_.nonce = nonce;
  spec_.folder = folder_ / "b";
  spec_.socket = folder_ / "s.sock";
  spec_.level = ::geteuid() == 0 ? sandboxd::tier::namespaces_and_uid : sandboxd::tier::namespaces;
  spec_.uid = spec_.gid = 700'000'000 + static_cast<unsigned>(::getpid()) % 100'000 * 100 + mine;
  spec_.limits.memory_bytes = 512 << 20;
  spec_.limits.pids = 128;
  spec_.limits.disk_bytes = 64 << 20;
  if (change) change(spec_);
  fs::create_directories(spec_.folder);
  const auto made = start();
  if (!made.value("ok", false)) {
    const auto why = made.dump();
    reap(true);
    fs::remove_all(folder_);
    throw std::runtime_error("supervise: " + why);
  }
}

box::~box() {
  reap(true);
  std::error_code ec;
  fs::remove_all(folder_, ec);
}

json box::start() {
  std::ofstream(folder_ / "spec.json") << sandboxd::to_json(spec_).dump();
  return isolation_kit::sandboxd({"supervise", "--spec", (folder_ / "spec.json").string()});
}

json box::reap(bool files) {
  std::vector<std::string> arguments = {"reap", "--spec", (folder_ / "spec.json").string()};
  if (files) arguments.push_back("--files");
  return isolation_kit::sandboxd(arguments);
}

json box::call(const std::string& method, const std::string& target, const json& body, int* status) {
  wire::request request;
  request.method = method;
  request.target = target;
  if (!body.is_null()) {
    request.headers.set("Content-Type", "application/json");
    request.body = body.dump();
  }
  auto answer = http_.fetch(wire::endpoint::unix_file(spec_.socket.string()), std::move(request));
  if (status) *status = answer ? answer->status : 0;
  if (!answer) return {{"failure", answer.error().text}};
  return json::parse(answer->bytes(), nullptr, false);
}

finished box::sh(const std::string& command, int seconds) {
  const auto ran = call("POST", "/v1/processes/run",
                        {{"command", "/bin/sh"}, {"args", {"-c", command}}, {"timeoutMs", seconds * 1000}});
  finished out;
  if (!ran.is_object() || !ran.contains("exitCode")) {
    out.err = ran.dump();
    return out;
  }
  out.code = ran["exitCode"].is_number() ? ran["exitCode"].get<int>() : -2;
  out.out = ran.value("stdout", "");
  out.err = ran.value("stderr", "");
  return out;
}

std::string box::traces() const {
  std::string out;
  std::error_code ec;
  for (const auto& path : {spec_.socket, spec_.folder})
    if (fs::exists(path, ec)) out += path.string() + " is there; ";
  std::ifstream mounts("/proc/self/mountinfo");
  const std::string table{std::istreambuf_iterator<char>(mounts), {}};
  if (table.find(folder_.string()) != std::string::npos) out += "a mount is left; ";
  sandboxd::cgroups groups(sandboxd::cgroups::find(sandboxd::cgroup_sources::of_this_process()),
                           "sb-" + spec_.nonce);
  for (const auto& folder : groups.folders())
    if (fs::exists(folder, ec)) out += folder.string() + " is there; ";
  if (spec_.level != sandboxd::tier::namespaces_and_uid) return out;
  for (fs::directory_iterator it("/proc", ec), end; !ec && it != end; it.increment(ec)) {
    std::ifstream status(it->path() / "status");
    std::string word, state;
    std::uint32_t uid = 0;
    while (status >> word) {
      if (word == "State:") status >> state;
      if (word == "Uid:" && status >> uid) break;
    }
    // Whoever is dead and waits for the machine's PID 1 to take note is gone.
    if (uid == spec_.uid && state != "Z") out += "process " + it->path().filename().string() + " is left; ";
  }
  return out;
}

}  // namespace isolation_kit
