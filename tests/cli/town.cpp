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

constexpr int sandbox_mb = 1024;

std::string work(const std::string& name) {
  return "run for i in 1 2 3 4 5 6; do echo " + name + "-$i; sleep 0.05; done; echo " + name +
         " >> done.txt\n";
}

// A turn takes about 300 ms, so that many a disaster hits one.
std::string script(const std::string& name, bool asks) {
  std::string text = "say begin " + name + "\n";
  if (asks) text += "ask may I go on with " + name + "\n";
  return text + work(name) + "say end " + name + "\n";
}

}  // namespace

std::string slurp(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

town::town(town_plan plan) : plan_(plan) {
  if (plan_.small_disk) make_small_disk();
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
  for (int n = 0; n < plan_.tasks; ++n) {
    const auto name = "first-" + std::to_string(n);
    const auto made =
        insist("org/o", "org.create_task",
               {{"repository", repository_},
                {"description", script(name, false)},
                {"mode", "full"},
                {"requirements", {{"memory_mb", {{"value", sandbox_mb}, {"best_effort", true}}}}},
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
  if (plan_.processes) start_processes();
}

void town::start_processes() {
  for (const auto& k : keys_) {
    until("a task has its sandbox", [&] { return !sandbox_of(k).empty(); });
    at_work w{sandbox_of(k), {}, {}};
    const auto run = [&](const char* id, const json& body) {
      const std::string process = insist(w.sandbox, "sandbox.run", body, id + k).at("process");
      std::string found;
      until("a process runs", [&] {
        const auto all = server().snapshot(w.sandbox).at("processes");
        for (const auto& p : all)
          if (p.at("id") == process && p.at("status") == "running") found = p.at("daemon_id");
        if (found.empty()) throw failure(process + " in " + all.dump());
        return true;
      });
      return found;
    };
    w.printing = run(
        "print-",
        {{"command", "sh"}, {"args", {"-c", "i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.05; done"}}});
    w.shell = run("shell-", {{"command", "sh"}, {"tty", true}});
    type(w, "word=kept-by-this-shell; echo $word-$((1+1))", "kept-by-this-shell-2");
    processes_.push_back(std::move(w));
  }
}

void town::start() {
  const bool other = upgrades_ % 2 == 1;
  server_ = std::make_unique<serving>(home_, "data",
                                      std::vector<std::string>{"--repo-root", home_.path().string(),
                                                               "--max-running", std::to_string(plan_.tasks)},
                                      other ? TROUPE_OTHER_PROGRAM : TROUPE_PROGRAM);
  api_.reset();
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
  const auto name = "p" + std::to_string(n);
  send(keys_[random() % keys_.size()], name, script(name, n % 3 == 0));
}

void town::send(const std::string& task, const std::string& name, const std::string& text) {
  const json body{{"text", text}};
  expected_[task].insert(name);
  sent_.push_back({sessions_.at(task), body, name});
  attempt([&] { server().command(sessions_.at(task), "session.prompt", body, name); });
}

void town::exhaust_memory(std::mt19937_64& random) {
  const auto& task = keys_[random() % keys_.size()];
  const auto name = "hog" + std::to_string(sent_.size());
  const auto more = std::to_string(sandbox_mb + 300);
  send(task, name,
       "say begin " + name + "\nrun head -c " + more + "m /dev/zero | tail -c 1 | wc -c\n" + work(name) +
           "say end " + name + "\n");
  exhausted_.insert(task);
}

std::string town::sandbox_of(const std::string& task) {
  const auto s = server().snapshot(task).at("sandbox");
  return s.value("state", "") == "running" ? s.value("key", "") : std::string();
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
      if ((losses_ > 0 || was_full_) && task.value("status", "") == "error") {
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

}  // namespace troupe::cli::testing
