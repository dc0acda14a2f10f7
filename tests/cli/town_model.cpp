#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>

#include "net/wire/client.h"
#include "tests/cli/town.h"

namespace troupe::cli::testing {

using namespace std::chrono_literals;
namespace asio = wire::asio;

namespace {

// «begin p1» also stands in «begin p12».
bool tells(const std::string& text, const std::string& what) {
  const auto at = text.find(what);
  if (at == std::string::npos) return false;
  const auto after = at + what.size();
  return after >= text.size() || text[after] < '0' || text[after] > '9';
}

}  // namespace

void town::verify() {
  for (const auto& k : keys_) {
    CAPTURE(k);
    const auto well = verify_transcript(sessions_.at(k), expected_.at(k));
    // What the agents really did, whatever the transcript says.
    std::map<std::string, int> done;
    std::istringstream lines(diff_text(server().query(k, "task.diff", json::object())));
    for (std::string line; std::getline(lines, line);) ++done[line];
    for (const auto& n : expected_.at(k)) {
      CAPTURE(n);
      CHECK(done["+" + n] <= 1);
      if (losses_ == 0 && !was_full_) CHECK(done["+" + n] == 1);
    }
    // A loss takes with it at most what the turn under way had done, and that of the turn before if it was
    // not saved yet.
    int missing = 0;
    for (const auto& n : well) missing += done["+" + n] == 0;
    if (!was_full_) CHECK(missing <= losses_);
  }
}

void town::measure_statuses() {
  const auto since = std::chrono::steady_clock::now();
  until("what is said of sandboxes is true", [&] {
    std::set<std::string> living;
    for (const auto& p : places()) living.insert(p.sandbox);
    const auto sandboxes = server().snapshot("org/o").at("sandboxes").at("recent");
    for (const auto& one : sandboxes) {
      const auto key = "org/o/sandbox/" + one.at("sandbox").get<std::string>();
      const auto state = server().snapshot(key).value("state", "");
      if ((state == "running") != living.contains(key) && state != "creating")
        throw failure(key + " is " + state);
    }
    for (const auto& k : keys_) {
      const auto task = server().snapshot(k);
      const auto status = task.value("status", "");
      if ((status == "running" || status == "needs_input") &&
          !living.contains(task["sandbox"].value("key", "")))
        throw failure(k + " is " + status);
    }
    return true;
  });
  slowest_truth_ = std::max(slowest_truth_, std::chrono::duration_cast<std::chrono::milliseconds>(
                                                std::chrono::steady_clock::now() - since));
}

void town::verify_processes() {
  for (const auto& w : processes_) {
    CAPTURE(w.sandbox);
    const auto s = server().snapshot(w.sandbox);
    int running = 0;
    for (const auto& p : s.at("processes")) running += p.at("status") == "running";
    CHECK(running == 2);
    std::string printed;
    std::uint64_t last = 0;
    for (json page; page = server().entries(w.sandbox, "log", last, 256), !page.at("entries").empty();)
      for (const auto& e : page.at("entries")) {
        CHECK(e.at("seq") == last + 1);
        last = e.at("seq").get<std::uint64_t>();
        const auto& data = e.at("data");
        CHECK(data.value("type", "") != "gap");
        if (data.value("process", "") == w.printing && data.value("type", "") == "log")
          printed += data.at("text").get<std::string>();
      }
    std::istringstream lines(printed.substr(0, printed.rfind('\n') + 1));
    int expected = 0;
    for (std::string line; std::getline(lines, line); ++expected)
      REQUIRE(line == "tick " + std::to_string(expected));
    CHECK(expected > 0);
    type(w, "echo $word-$((6*7))", "kept-by-this-shell-42");
  }
}

void town::type(const at_work& w, const std::string& line, const std::string& answer) {
  const auto file = server_file::read(home_ / "data" / server_file::name);
  REQUIRE(file);
  wire::blocking_client client;
  bool answered = false;
  client.run([&](wire::client& c) -> asio::awaitable<void> {
    wire::websocket_options options;
    options.extra.add("Authorization", "Bearer " + file->token);
    const auto at = "/sandboxes/o/" + w.sandbox.substr(w.sandbox.rfind('/') + 1) + "/v1/processes/" +
                    w.shell + "/terminal/ws";
    auto socket = co_await c.connect_websocket(*wire::endpoint::parse(server_->url()), at, options,
                                               wire::clock::now() + 20s);
    if (!socket) co_return;
    // Keys are messages of their own; the answer is binary.
    const auto typed = json{{"type", "input"}, {"data", line + "\n"}}.dump();
    if (!co_await socket->write(typed)) co_return;
    std::string shown;
    while (auto m = co_await socket->read()) {
      if (!m->text) shown += m->data;
      answered = shown.find(answer) != std::string::npos;
      if (answered) break;
    }
    co_await socket->close();
  });
  CHECK_MESSAGE(answered, w.shell);
}

void town::clean_up() {
  places();
  for (const auto& k : keys_) {
    insist("org/o", "org.delete_task", {{"task", k.substr(k.rfind('/') + 1)}, {"discard", true}},
           "delete-" + k);
  }
  until("tasks and sandboxes are gone", [&] {
    const auto org = server().snapshot("org/o");
    return org.value("task_count", -1) == 0 && org.at("sandboxes").value("count", -1) == 0;
  });
  const auto found = parsed(run_troupe(home_, {"sandbox", "prune", "--dry-run", "--json"})).at("found");
  json left = json::array();
  for (const auto& one : found)
    if (one.at("where").get<std::string>().starts_with(home_.path().string())) left.push_back(one);
  CHECK(left == json::array());
  MESSAGE("what sandboxes are was true ", slowest_truth_.count(), " ms after a start at the latest");
  CHECK(slowest_truth_ < 20s);  // 2 s on a machine that has time
  CHECK(server_->stop() == 0);
  CHECK(run(home_, {"pgrep", "-af", home_.path().string() + "/data/"}).out == "");
  CHECK(slurp("/proc/mounts").find(home_.path().string() + "/data/") == std::string::npos);
  for (const auto& g : groups_) CHECK_MESSAGE(!std::filesystem::exists(g), g);
}

std::set<std::string> town::verify_transcript(const std::string& session,
                                              const std::set<std::string>& names) {
  std::map<std::string, int> asked, begun, ended;
  std::set<std::string> well;
  int turns_begun = 0, turns_ended = 0, starts = 0;
  std::string outputs, under_way;
  std::uint64_t last = 0;
  for (;;) {
    const auto page = server().entries(session, "transcript", last, 256);
    if (page.at("entries").empty()) break;
    for (const auto& e : page.at("entries")) {
      CHECK(e.at("seq") == last + 1);
      last = e.at("seq").get<std::uint64_t>();
      const auto& data = e.at("data");
      const auto type = data.value("type", "");
      CHECK(type != "gap");
      if (type == "prompt") {
        ++turns_begun;
        const auto text = data.at("content").dump();
        for (const auto& n : names) {
          if (text.find("say begin " + n + "\\n") == std::string::npos) continue;
          ++asked[n];
          under_way = n;
        }
      }
      if (type == "turn_ended") {
        ++turns_ended;
        const auto reason = data.value("stop_reason", "");
        if (reason == "end_turn") well.insert(under_way);
        const bool lost = reason.starts_with("sandbox_") || reason == "agent_gone";
        CHECK_MESSAGE((reason == "end_turn" || (losses_ > 0 && lost) || was_full_), data.dump());
      }
      if (type == "agent_started") ++starts;
      if (type != "update") continue;
      const auto& update = data.at("update");
      if (update.value("sessionUpdate", "") == "agent_message_chunk") {
        const auto said = update.at("content").value("text", "");
        for (const auto& n : names) {
          begun[n] += tells(said, "begin " + n);
          ended[n] += tells(said, "end " + n);
        }
      }
      outputs += update.dump();
    }
  }
  if (losses_ == 0 && !was_full_) CHECK(starts == 1);
  if (losses_ == 0 && !was_full_) CHECK(well == names);
  CHECK(turns_begun == static_cast<int>(names.size()));
  CHECK(turns_ended == static_cast<int>(names.size()));
  for (const auto& n : names) {
    CAPTURE(n);
    CHECK(asked[n] == 1);
    CHECK(begun[n] <= 1);
    CHECK(ended[n] <= begun[n]);
    if (!well.contains(n)) continue;
    CHECK(ended[n] == 1);
    for (int i = 1; i <= 6; ++i) CHECK(outputs.find(n + "-" + std::to_string(i)) != std::string::npos);
  }
  return well;
}

}  // namespace troupe::cli::testing
