// The whole way of a task through the drivers, in a really isolated sandbox: mirror, sandbox, checkout,
// agent, prompt, diff, saved work, and the work in a second sandbox.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include <doctest/doctest.h>

#include "drivers/acp/driver.h"
#include "drivers/git/driver.h"
#include "drivers/sandbox/driver.h"
#include "drivers/sandbox/local_provider.h"
#include "tests/drivers/driver_kit.h"
#include "tests/drivers/git_kit.h"

using namespace troupe;
using namespace troupe::test;

namespace {

struct stage {
  scratch_folder box;
  std::filesystem::path data = box.path() / "data", remote = box.path() / "remote";
  loop net;
  std::shared_ptr<drivers::local_provider> provider;
  drivers::daemon_client client{net.http(),
                                [this](const std::string& handle) { return provider->find(handle); }};
  drivers::git::pool threads{2};
  std::vector<effect_kind> effects;
  std::vector<feed_kind> feeds;
  std::vector<std::string> sandboxes;
  int next = 0;

  stage() {
    std::filesystem::create_directories(data / "org/acme/task/t1");
    make_repository(remote);
    drivers::local_options options;
    options.data = data;
    options.sandboxd = SANDBOXD;
    options.programs = {{SCRIPTED_AGENT, "scripted-agent"}};
    auto made = drivers::local_provider::make(net.ex(), net.http(), options);
    REQUIRE_MESSAGE(made, made.error().why.detail);
    provider = *made;
    for (auto more : {drivers::sandbox::effects(net.ex(), provider, client, {}),
                      drivers::git::effects({net.ex(), client, threads, data, {box.path()}, {}}),
                      drivers::acp::effects(net.ex(), client, {})}) {
      effects.insert(effects.end(), more.begin(), more.end());
    }
    feeds = drivers::acp::feeds(net.ex(), client);
  }
  ~stage() {
    for (const auto& key : sandboxes)
      do_effect("sandbox.destroy", {{"sandbox", key}, {"nonce", "0123456789abcdef"}});
  }

  json do_effect(const std::string& name, json body) {
    return test::start(effects, name, "effect-" + std::to_string(++next), std::move(body))->result();
  }

  std::string sandbox(const std::string& id) {
    const auto key = "org/acme/sandbox/" + id;
    sandboxes.push_back(key);
    const auto made = do_effect(
        "sandbox.create",
        {{"sandbox", key},
         {"nonce", "0123456789abcdef"},
         {"uid", 200000 + ::getpid() % 100000 + static_cast<int>(sandboxes.size())},
         {"provider", "local"},
         {"requirements", {{"network", {{"rule", "none"}}}}},
         {"environment", json::object()},
         {"mounts",
          json::array({{{"source", "mirror:widgets"}, {"target", "/mirror"}, {"read_only", true}}})},
         {"forwards", json::array()}});
    return made["handle"];
  }

  json checkout(const std::string& handle) {
    return do_effect("git.checkout", {{"handle", handle},
                                      {"repository", "widgets"},
                                      {"url", remote.string()},
                                      {"branch", "task/one"},
                                      {"base_branch", "main"},
                                      {"existing", false},
                                      {"author", {{"name", "Ada"}, {"email", "ada@example.org"}}}});
  }
};

}  // namespace

TEST_CASE("a prompt in prose becomes a diff and saved work, and the work comes back in another sandbox") {
  stage s;
  if (s.provider->tier() == "none") {
    std::puts("[skipped] nothing on this machine can isolate a sandbox");
    return;
  }
  s.do_effect("git.mirror", {{"org", "acme"}, {"repository", "widgets"}, {"url", s.remote.string()}});
  const auto handle = s.sandbox("b1");
  const auto made = s.checkout(handle);
  CHECK(made["head"] == sh(s.remote, "git rev-parse main"));
  CHECK(made["path"] == "/workspace");

  const auto opened = s.do_effect("agent.start", {{"handle", handle},
                                                  {"connection", "s1-1"},
                                                  {"agent", "scripted"},
                                                  {"cwd", "/workspace"},
                                                  {"environment", {{"SCRIPTED_AGENT_MODE", "full"}}},
                                                  {"mcp_servers", json::array()},
                                                  {"request_id", "troupe-start-1"}});
  auto feed = std::make_shared<recorded_feed>(json{{"handle", handle}, {"connection", "s1-1"}});
  s.feeds.front().start(feed);
  const json prompt = {{"handle", handle},
                       {"connection", "s1-1"},
                       {"agent_session", opened["agent_session"]},
                       {"request_id", "troupe-1"},
                       {"prompt", json::array({{{"type", "text"}, {"text", "Say what is here"}}})}};
  CHECK(s.do_effect("agent.prompt", prompt)["stop_reason"] == "end_turn");
  feed->wait_for([](const json& e) {
    return e.contains("message") && !e["message"].contains("method") &&
           e["message"].value("id", "") == "troupe-1";
  });
  feed->stop();

  const auto diff = s.do_effect("git.diff", {{"handle", handle}, {"base", made["base"]}});
  REQUIRE(diff["files"].size() == 1);
  CHECK(diff["files"][0]["path"] == "SCRIPTED_NOTES.md");
  const auto saved = s.do_effect("git.save_work", {{"handle", handle}, {"base", made["base"]}});
  s.do_effect("agent.stop", {{"handle", handle}, {"connection", "s1-1"}});

  const auto other = s.sandbox("b2");
  s.checkout(other);
  CHECK(s.do_effect("git.restore_work", {{"handle", other}, {"bundle", saved["bundle"]}})["commit"] ==
        saved["commit"]);
  CHECK(s.do_effect("git.diff", {{"handle", other}, {"base", made["base"]}})["diff"] == diff["diff"]);
}
