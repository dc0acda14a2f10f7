#include "tests/cli/town.h"

#include <signal.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>

namespace troupe::cli::testing {

using namespace std::chrono_literals;

namespace {

constexpr auto patience = 60s;

// A turn takes about 300 ms, so that many a disaster hits one.
std::string script(const std::string& name, bool asks) {
  std::string text = "say begin " + name + "\n";
  if (asks) text += "ask may I go on with " + name + "\n";
  return text + "run for i in 1 2 3 4 5 6; do echo " + name + "-$i; sleep 0.05; done; echo " + name +
         " >> done.txt\nsay end " + name + "\n";
}

// «begin p1» also stands in «begin p12».
bool tells(const std::string& text, const std::string& what) {
  const auto at = text.find(what);
  if (at == std::string::npos) return false;
  const auto after = at + what.size();
  return after >= text.size() || text[after] < '0' || text[after] > '9';
}

std::string slurp(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

// Those below it too, children first.
std::vector<pid_t> with_children(pid_t pid) {
  std::vector<pid_t> all;
  std::istringstream children(
      slurp("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children"));
  for (pid_t child; children >> child;)
    for (const auto p : with_children(child)) all.push_back(p);
  all.push_back(pid);
  return all;
}

}  // namespace

town::town(int tasks) {
  const auto repository = home_ / "repository";
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"git", "init", "-q", "-b", "main", repository.string()},
           {"git", "-C", repository.string(), "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q",
            "--allow-empty", "-m", "first"}}) {
    REQUIRE(run(home_, words).exit_code == 0);
  }
  start();
  insist("access", "access.create_organization", {{"organization", "o"}, {"display_name", "O"}}, "org");
  insist("org/o", "org.add_repository", {{"url", repository.string()}}, "repo");
  until("the repository is ready", [&] {
    const auto all = server().snapshot("org/o").at("repositories");
    if (all.empty() || all[0].value("state", "") != "ready") return false;
    repository_ = all[0].at("repository");
    return true;
  });
  for (int n = 0; n < tasks; ++n) {
    const auto name = "first-" + std::to_string(n);
    const auto made = insist("org/o", "org.create_task",
                             {{"repository", repository_},
                              {"description", script(name, false)},
                              {"mode", "full"},
                              {"agent", "scripted"}},
                             "task-" + std::to_string(n));
    keys_.push_back("org/o/task/" + made.at("task").get<std::string>());
    expected_[keys_.back()].insert(name);
  }
  until("every task has its session", [&] {
    sessions_.clear();
    for (const auto& k : keys_) {
      const auto task = server().snapshot(k);
      for (const auto& s : task.at("sessions"))
        sessions_[k] = k + "/session/" + s.at("session").get<std::string>();
    }
    return sessions_.size() == keys_.size();
  });
}

town::~town() {
  thaw();
}

void town::start() {
  server_ = std::make_unique<serving>(home_, "data",
                                      std::vector<std::string>{"--repo-root", home_.path().string()});
}

void town::kill() {
  server_->kill();
  api_.reset();
}

std::vector<town::place> town::places() {
  std::vector<place> all;
  std::error_code ec;
  for (const auto& at : std::filesystem::directory_iterator(home_ / "data" / "org" / "o" / "sandbox", ec)) {
    const auto said = json::parse(slurp(at.path() / "run" / "supervisor.json"), nullptr, false);
    if (!said.is_object() || said.value("state", "") != "running") continue;
    place p{said.at("supervisor").at("pid").get<pid_t>(), {}};
    for (const auto& g : said.at("groups")) groups_.insert(g.get<std::string>());
    if (::kill(p.supervisor, 0) != 0 ||
        slurp("/proc/" + std::to_string(p.supervisor) + "/cmdline").find(home_.path()) == std::string::npos)
      continue;
    p.all = with_children(p.supervisor);
    all.push_back(std::move(p));
  }
  return all;
}

void town::lose_a_sandbox(std::mt19937_64& random) {
  const auto all = places();
  if (all.empty()) return;
  ::kill(all[random() % all.size()].supervisor, SIGKILL);
  ++losses_;
}

void town::end_everything() {
  const auto all = places();
  kill();
  for (const auto& p : all)
    for (const auto pid : p.all) ::kill(pid, SIGKILL);
  losses_ += static_cast<int>(all.size());
}

void town::freeze_a_sandbox(std::mt19937_64& random) {
  const auto all = places();
  if (all.empty()) return;
  frozen_ = all[random() % all.size()].all;
  for (const auto pid : frozen_) ::kill(pid, SIGSTOP);
}

void town::thaw() {
  for (const auto pid : frozen_) ::kill(pid, SIGCONT);
  frozen_.clear();
}

json town::insist(const std::string& key, const std::string& name, const json& body, const std::string& id) {
  json result;
  until(name.c_str(), [&] {
    result = server().command(key, name, body, id);
    return true;
  });
  return result;
}

void town::prompt(int n, std::mt19937_64& random) {
  const auto& k = keys_[random() % keys_.size()];
  const auto name = "p" + std::to_string(n);
  const json body{{"text", script(name, n % 3 == 0)}};
  expected_[k].insert(name);
  sent_.push_back({sessions_.at(k), body, name});
  attempt([&] { server().command(sessions_.at(k), "session.prompt", body, name); });
}

void town::answer_permissions() {
  for (const auto& [k, session] : sessions_) {
    attempt([&] {
      for (const auto& p : server().snapshot(session).value("permissions", json::array())) {
        const auto id = p.at("permission").get<std::string>();
        server().command(session, "session.answer_permission", {{"permission", id}, {"answer", "allow_once"}},
                         "yes-" + id);
      }
    });
  }
}

void town::settle() {
  for (const auto& [session, body, id] : sent_) insist(session, "session.prompt", body, id);
  until("every session is idle and its queue empty", [&] {
    answer_permissions();
    for (const auto& [k, session] : sessions_) {
      const auto task = server().snapshot(k);
      if (losses_ > 0 && task.value("status", "") == "error") {
        server().command(k, "task.retry", json::object(), "retry-" + std::to_string(++retries_));
        throw failure("tried again: " + task.dump());
      }
      const auto s = server().snapshot(session);
      INFO(s.dump());
      REQUIRE(s.value("status", "") != "error");
      if (s.value("status", "") != "idle" || !s.at("queue").empty()) throw failure("not idle: " + s.dump());
      if (task.value("status", "") != "idle" || task.at("diff").value("refreshing", false))
        throw failure("not idle: " + task.dump());
    }
    return true;
  });
}

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
      if (losses_ == 0) CHECK(done["+" + n] == 1);
    }
    // A loss takes with it at most what the turn under way had done, and that of the turn before if it was
    // not saved yet.
    int missing = 0;
    for (const auto& n : well) missing += done["+" + n] == 0;
    CHECK(missing <= losses_);
  }
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
  CHECK(server_->stop() == 0);
  CHECK(run(home_, {"pgrep", "-af", home_.path().string() + "/data/"}).out == "");
  CHECK(slurp("/proc/mounts").find(home_.path().string()) == std::string::npos);
  for (const auto& g : groups_) CHECK_MESSAGE(!std::filesystem::exists(g), g);
}

api& town::server() {
  if (!api_) {
    const auto file = server_file::read(home_ / "data" / server_file::name);
    REQUIRE(file);
    api_ = std::make_unique<api>(place_of_server{server_->url(), file->token, "the test"}, 5s);
  }
  return *api_;
}

bool town::attempt(const std::function<void()>& f) {
  try {
    f();
    return true;
  } catch (const failure&) {
    return false;
  }
}

void town::until(const char* what, const std::function<bool()>& done) {
  std::string last;
  for (const auto end = std::chrono::steady_clock::now() + patience;
       std::chrono::steady_clock::now() < end;) {
    try {
      if (done()) return;
    } catch (const failure& why) {
      last = why.what();
      api_.reset();
    }
    std::this_thread::sleep_for(20ms);
  }
  FAIL("not in time: " << std::string(what) << "; " << last << "\n" << slurp(home_ / "serve.log"));
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
        CHECK_MESSAGE((reason == "end_turn" || (losses_ > 0 && lost)), data.dump());
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
  if (losses_ == 0) CHECK(starts == 1);
  if (losses_ == 0) CHECK(well == names);
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
