// The whole server killed with -9 at random instants while agents work. What must be true afterwards: no prompt was
// lost, none reached its agent twice, and every transcript tells each turn whole and once.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>

#include "cli/api.h"
#include "cli/watch_task.h"
#include "tests/cli/program.h"

using namespace troupe::cli;
using namespace troupe::cli::testing;
using namespace std::chrono_literals;

namespace {

constexpr int tasks = 4;
constexpr auto patience = 60s;

int rounds() { return std::getenv("TROUPE_NIGHTLY") ? 100 : 12; }

// A turn takes about 300 ms, so that many a kill hits one; every third waits for a person.
std::string script(const std::string& name, bool asks) {
  std::string text = "say begin " + name + "\n";
  if (asks) text += "ask may I go on with " + name + "\n";
  return text + "run for i in 1 2 3 4 5 6; do echo " + name + "-$i; sleep 0.05; done; echo " + name +
         " >> done.txt\nsay end " + name + "\n";
}

class town {
 public:
  town() {
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
                               {{"repository", repository_}, {"description", script(name, false)}, {"mode", "full"}, {"agent", "scripted"}},
                               "task-" + std::to_string(n));
      keys_.push_back("org/o/task/" + made.at("task").get<std::string>());
      expected_[keys_.back()].insert(name);
    }
    until("every task has its session", [&] {
      sessions_.clear();
      for (const auto& k : keys_) {
        const auto task = server().snapshot(k);
        for (const auto& s : task.at("sessions")) sessions_[k] = k + "/session/" + s.at("session").get<std::string>();
      }
      return sessions_.size() == keys_.size();
    });
  }

  void start() { server_ = std::make_unique<serving>(home_, "data", std::vector<std::string>{"--repo-root", home_.path().string()}); }
  void kill() {
    server_->kill();
    api_.reset();
  }

  /// As a client does that hears nothing: the same id again, until there is an answer.
  json insist(const std::string& key, const std::string& name, const json& body, const std::string& id) {
    json result;
    until(name.c_str(), [&] {
      result = server().command(key, name, body, id);
      return true;
    });
    return result;
  }

  /// One prompt to one task. Its answer may be lost with the server: it is asked for again in settle().
  void prompt(int n, std::mt19937_64& random) {
    const auto& k = keys_[random() % keys_.size()];
    const auto name = "p" + std::to_string(n);
    const json body{{"text", script(name, n % 3 == 0)}};
    expected_[k].insert(name);
    sent_.push_back({sessions_.at(k), body, name});
    attempt([&] { server().command(sessions_.at(k), "session.prompt", body, name); });
  }

  void answer_permissions() {
    for (const auto& [k, session] : sessions_) {
      attempt([&] {
        for (const auto& p : server().snapshot(session).value("permissions", json::array())) {
          const auto id = p.at("permission").get<std::string>();
          server().command(session, "session.answer_permission", {{"permission", id}, {"answer", "allow_once"}}, "yes-" + id);
        }
      });
    }
  }

  void settle() {
    for (const auto& [session, body, id] : sent_) insist(session, "session.prompt", body, id);
    until("every session is idle and its queue empty", [&] {
      answer_permissions();
      for (const auto& [k, session] : sessions_) {
        const auto s = server().snapshot(session);
        INFO(s.dump());
        REQUIRE(s.value("status", "") != "error");
        if (s.value("status", "") != "idle" || !s.at("queue").empty())
          throw failure("not idle: " + s.dump());
        const auto task = server().snapshot(k);
        if (task.value("status", "") != "idle" || task.at("diff").value("refreshing", false))
          throw failure("not idle: " + task.dump());
      }
      return true;
    });
  }

  void verify() {
    for (const auto& k : keys_) {
      CAPTURE(k);
      verify_transcript(sessions_.at(k), expected_.at(k));
      // What the agents really did, whatever the transcript says.
      std::map<std::string, int> done;
      std::istringstream lines(diff_text(server().query(k, "task.diff", json::object())));
      for (std::string line; std::getline(lines, line);) ++done[line];
      for (const auto& n : expected_.at(k)) {
        CAPTURE(n);
        CHECK(done["+" + n] == 1);
      }
    }
  }

  void clean_up() {
    for (const auto& k : keys_) {
      insist("org/o", "org.delete_task", {{"task", k.substr(k.rfind('/') + 1)}, {"discard", true}}, "delete-" + k);
    }
    until("tasks and sandboxes are gone", [&] {
      const auto org = server().snapshot("org/o");
      return org.value("task_count", -1) == 0 && org.at("sandboxes").value("count", -1) == 0;
    });
    CHECK(server_->stop() == 0);
  }

 private:
  struct prompt_sent {
    std::string session;
    json body;
    std::string id;
  };

  api& server() {
    if (!api_) {
      const auto file = server_file::read(home_ / "data" / server_file::name);
      REQUIRE(file);
      api_ = std::make_unique<api>(place_of_server{server_->url(), file->token, "the test"}, 5s);
    }
    return *api_;
  }

  template <class F>
  bool attempt(const F& f) {
    try {
      f();
      return true;
    } catch (const failure&) {
      return false;
    }
  }

  void until(const char* what, const std::function<bool()>& done) {
    std::string last;
    for (const auto end = std::chrono::steady_clock::now() + patience; std::chrono::steady_clock::now() < end;) {
      try {
        if (done()) return;
      } catch (const failure& why) {
        last = why.what();
        api_.reset();
      }
      std::this_thread::sleep_for(20ms);
    }
    std::ostringstream log;
    log << std::ifstream(home_ / "serve.log").rdbuf();
    FAIL("not in time: " << std::string(what) << "; " << last << "\n" << log.str());
  }

  void verify_transcript(const std::string& session, const std::set<std::string>& names) {
    std::map<std::string, int> asked, begun, ended;
    int turns_begun = 0, turns_ended = 0, restarts = 0;
    std::string outputs;
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
          for (const auto& n : names) asked[n] += text.find("say begin " + n + "\\n") != std::string::npos;
        }
        if (type == "turn_ended") {
          ++turns_ended;
          CHECK_MESSAGE(data.value("stop_reason", "") == "end_turn", data.dump());
        }
        if (type == "agent_started") ++restarts;
        if (type != "update") continue;
        const auto& update = data.at("update");
        if (update.value("sessionUpdate", "") == "agent_message_chunk") {
          const auto said = update.at("content").value("text", "");
          for (const auto& n : names) {
            begun[n] += said.find("begin " + n) != std::string::npos && !longer_name(said, "begin " + n);
            ended[n] += said.find("end " + n) != std::string::npos && !longer_name(said, "end " + n);
          }
        }
        outputs += update.dump();
      }
    }
    CHECK(restarts == 1);
    CHECK(turns_begun == static_cast<int>(names.size()));
    CHECK(turns_ended == static_cast<int>(names.size()));
    for (const auto& n : names) {
      CAPTURE(n);
      CHECK(asked[n] == 1);
      CHECK(begun[n] == 1);
      CHECK(ended[n] == 1);
      for (int i = 1; i <= 6; ++i) CHECK(outputs.find(n + "-" + std::to_string(i)) != std::string::npos);
    }
  }

  // «begin p1» also stands in «begin p12».
  static bool longer_name(const std::string& text, const std::string& part) {
    const auto after = text.find(part) + part.size();
    return after < text.size() && text[after] >= '0' && text[after] <= '9';
  }

  scratch home_;
  std::unique_ptr<serving> server_;
  std::unique_ptr<api> api_;
  std::string repository_;
  std::vector<std::string> keys_;
  std::map<std::string, std::string> sessions_;
  std::map<std::string, std::set<std::string>> expected_;
  std::vector<prompt_sent> sent_;
};

}  // namespace

TEST_CASE("killed at random instants while agents work, a server loses no prompt, repeats none, and its transcripts are whole") {
  const std::uint64_t seed = std::random_device()();
  MESSAGE("seed ", seed);
  std::mt19937_64 random(seed);
  town t;
  for (int n = 0; n < rounds(); ++n) {
    t.prompt(2 * n, random);
    t.answer_permissions();
    t.prompt(2 * n + 1, random);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 700));  // the random instant
    t.kill();
    t.start();
  }
  t.settle();
  t.verify();
  t.clean_up();
}
