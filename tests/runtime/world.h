// A host in virtual time on real files, with an outside world that a test plays.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/host.h"
#include "runtime/testing/manual.h"
#include "tests/runtime/ledger.h"

namespace troupe::testing {

class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "troupe-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~folder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class world {
 public:
  explicit world(std::function<void(host_options&)> change = {}, unsigned seed = 0)
      : change_(std::move(change)), seed_(seed) {
    begin();
  }
  ~world() { end(); }

  void begin() {
    threads.emplace(time, seed_);
    host_options o;
    o.data = data.path() / "data";
    o.kinds = {&bank_kind(), &account_kind()};
    o.sync = storage::durability::off;
    o.time = &time;
    o.ids = &ids;
    o.threads = &*threads;
    o.effects.push_back({"fetch", after_restart::retry, 3, std::chrono::seconds(60),
                         [this](auto run) { effects.push_back(run); }});
    o.effects.push_back({"once", after_restart::interrupted, 1, std::chrono::seconds(60),
                         [this](auto run) { effects.push_back(run); }});
    o.feeds.push_back({"ticks", [this](auto run) { feeds.push_back(run); }});
    o.log = [this](std::string_view area, std::string_view text) {
      log.push_back(std::string(area) + ": " + std::string(text));
    };
    if (change_) change_(o);
    is.emplace(std::move(o));
    is->start();
    threads->run();
  }
  /// As a killed process would end, as far as its memory goes.
  void end() {
    effects.clear();
    feeds.clear();
    if (is) is->stop();
    is.reset();
    threads.reset();
  }
  void restart() {
    end();
    begin();
  }

  /// Runs until the answer is there.
  reply command(const std::string& to, const std::string& name, json body = json::object(),
                std::string id = {}, const std::string& who = "ada") {
    if (id.empty()) id = "c" + std::to_string(++count_);
    auto got = std::make_shared<std::optional<reply>>();
    is->command({.to = key(to), .id = id, .name = name, .body = std::move(body), .principal = who},
                [got](reply r) { *got = std::move(r); });
    threads->run();
    return *got ? **got : reply{problem{0, "no_answer_yet", ""}};
  }
  reply query(const std::string& to, const std::string& name, json body = json::object()) {
    auto got = std::make_shared<std::optional<reply>>();
    is->query({.to = key(to), .name = name, .body = std::move(body), .principal = "ada"},
              [got](reply r) { *got = std::move(r); });
    threads->run();
    return *got ? **got : reply{problem{0, "no_answer_yet", ""}};
  }
  reply as_host(const std::string& to, const std::string& name, json body, const std::string& id,
                bool create = false) {
    auto got = std::make_shared<std::optional<reply>>();
    is->command_as_host(
        key(to), name, std::move(body), id, [got](reply r) { *got = std::move(r); }, create);
    threads->run();
    return *got ? **got : reply{problem{0, "no_answer_yet", ""}};
  }
  /// bank/b with the given accounts, 100 each.
  void open(std::initializer_list<const char*> accounts) {
    as_host("bank/b", "bank.open", json::object(), "open", true);
    for (const auto* a : accounts) command("bank/b", "bank.make", {{"account", a}, {"amount", 100}});
  }
  json account(const std::string& name) {
    const auto r = query("bank/b/account/" + name, "account.read");
    return r.ok() ? r.result() : json(r.error());
  }

  folder data;
  manual_clock time;
  counting_ids ids;
  std::optional<manual_scheduler> threads;
  std::vector<std::shared_ptr<effect_run>> effects;
  std::vector<std::shared_ptr<feed_run>> feeds;
  std::vector<std::string> log;
  std::optional<host> is;

 private:
  std::function<void(host_options&)> change_;
  unsigned seed_;
  int count_ = 0;
};

}  // namespace troupe::testing
