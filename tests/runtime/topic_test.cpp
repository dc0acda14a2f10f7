#include <fstream>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "runtime/directory.h"
#include "runtime/hub.h"
#include "runtime/inspect.h"
#include "tests/runtime/world.h"

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

class listener final : public subscriber {
 public:
  void on_snapshot(snapshot_ptr f) override { frames.push_back(std::move(f)); }
  void on_entries(page_ptr p) override {
    for (const auto& e : p->entries) seqs.push_back(e.seq);
  }
  void on_gone(const key&, const std::string&) override { gone = true; }

  std::vector<snapshot_ptr> frames;
  std::vector<std::uint64_t> seqs;
  bool gone = false;
};

const key a("bank/b/account/a");

/// Holds every turn until told.
class slow_gate final : public durability_gate {
 public:
  void durable(const key&, std::uint64_t, std::function<void(bool)> done) override {
    if (open) return done(true);
    waiting.push_back(std::move(done));
  }
  void complete(bool ok) {
    for (auto& f : std::exchange(waiting, {})) f(ok);
  }
  bool open = true;
  std::vector<std::function<void(bool)>> waiting;
};

}  // namespace

TEST_CASE("a subscriber gets the current snapshot, then each newer one, never an older") {
  world w;
  w.open({"a"});
  auto l = std::make_shared<listener>();
  const auto s = w.is->subscribe(a, std::nullopt, "ada", l, [](auto why) { CHECK_FALSE(why); });
  w.threads->run();
  REQUIRE(l->frames.size() == 1);
  for (int i = 0; i < 5; ++i) w.command(a.str(), "account.deposit", {{"amount", 1}});
  REQUIRE(l->frames.size() > 1);
  for (std::size_t i = 1; i < l->frames.size(); ++i)
    CHECK(l->frames[i]->at.revision > l->frames[i - 1]->at.revision);
  CHECK(json::parse(l->frames.back()->data)["amount"] == 105);
}

TEST_CASE("who has the current revision is sent nothing, and its actor is not woken") {
  world w([](host_options& o) { o.limits.idle_before_sleep = 2s; });
  w.open({"a"});
  const auto at = w.command(a.str(), "account.deposit", {{"amount", 1}}).at;
  w.threads->advance(10s);
  auto l = std::make_shared<listener>();
  const auto s = w.is->subscribe(a, at, "ada", l, [](auto) {});
  w.threads->run();
  CHECK(l->frames.empty());
  CHECK(w.is->stats().awake == 0);
}

TEST_CASE("after an unclean end the index is not believed: an older `have` gets the newer snapshot") {
  world w([](host_options& o) { o.limits.idle_before_sleep = 2s; });
  w.open({"a"});
  const auto at = w.command(a.str(), "account.deposit", {{"amount", 1}}).at;
  w.threads->advance(10s);
  w.command(a.str(), "account.deposit", {{"amount", 1}});
  // The folder as a kill would leave it: the copy was never closed.
  const auto copy = w.data.path() / "copy";
  std::filesystem::copy(w.is->data(), copy, std::filesystem::copy_options::recursive);
  w.end();
  std::filesystem::remove_all(w.data.path() / "data");
  std::filesystem::rename(copy, w.data.path() / "data");
  w.begin();
  auto l = std::make_shared<listener>();
  const auto s = w.is->subscribe(a, at, "ada", l, [](auto) {});
  w.threads->run();
  REQUIRE(l->frames.size() == 1);
  CHECK(json::parse(l->frames[0]->data)["amount"] == 102);
}

TEST_CASE("entries come in order without gap, live and by cursor") {
  world w;
  w.open({"a"});
  auto l = std::make_shared<listener>();
  const auto s = w.is->subscribe_stream(a, "moves", "ada", l, [](auto why) { CHECK_FALSE(why); });
  for (int i = 0; i < 10; ++i) w.command(a.str(), "account.note", {{"n", i}});
  CHECK(l->seqs == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  page_ptr page;
  w.is->read_stream(a, "moves", 4, 3, "ada", [&](auto p) { page = std::get<page_ptr>(p); });
  w.threads->run();
  REQUIRE(page);
  CHECK(page->end == 10);
  REQUIRE(page->entries.size() == 3);
  CHECK(page->entries[0].seq == 5);
  CHECK(json::parse(*page->entries[0].data)["n"] == 4);
}

TEST_CASE("a long entry shows as a stub and is read whole by its own address") {
  world w;
  w.open({"a"});
  w.command(a.str(), "account.note", {{"text", std::string(100'000, 'x')}});
  page_ptr page, whole;
  w.is->read_stream(a, "moves", 0, 10, "ada", [&](auto p) { page = std::get<page_ptr>(p); });
  w.is->read_entry(a, "moves", 1, "ada", [&](auto p) { whole = std::get<page_ptr>(p); });
  w.threads->run();
  CHECK(json::parse(*page->entries[0].data)["stub"] == true);
  CHECK(json::parse(*whole->entries[0].data)["text"].get<std::string>().size() == 100'000);
}

TEST_CASE("subscribers of a deleted actor are told") {
  world w;
  w.open({"a"});
  auto l = std::make_shared<listener>();
  const auto s = w.is->subscribe(a, std::nullopt, "ada", l, [](auto) {});
  w.threads->run();
  w.command("bank/b", "bank.close", {{"account", "a"}});
  w.threads->advance(1s);
  CHECK(l->gone);
}

TEST_CASE("nothing is visible before the turn is durable: reply, message, effect, entry, snapshot, query") {
  slow_gate gate;
  world w([&](host_options& o) { o.gate = &gate; });
  w.open({"a", "b"});
  w.threads->advance(1s);
  auto l = std::make_shared<listener>();
  const auto s = w.is->subscribe(a, std::nullopt, "ada", l, [](auto) {});
  const auto t = w.is->subscribe_stream(a, "moves", "ada", l, [](auto) {});
  w.threads->run();
  const auto frames = l->frames.size();
  gate.open = false;
  CHECK(w.command(a.str(), "account.deposit", {{"amount", 1}}, "d").error().code == "no_answer_yet");
  CHECK(w.command(a.str(), "account.pay", {{"to", "b"}, {"amount", 1}}, "p").error().code == "no_answer_yet");
  CHECK(w.command(a.str(), "account.fetch", {{"tag", "t"}}, "f").error().code == "no_answer_yet");
  std::optional<reply> read;
  w.is->query({.to = a, .name = "account.read", .body = json::object(), .principal = "ada"},
              [&](reply r) { read = r; });
  w.threads->run();
  CHECK_FALSE(read);
  CHECK(l->frames.size() == frames);
  CHECK(l->seqs.empty());
  CHECK(w.effects.empty());
  gate.open = true;
  gate.complete(true);
  w.threads->advance(1s);
  REQUIRE(read);
  CHECK(read->result()["amount"] == 100);
  CHECK(l->frames.size() > frames);
  CHECK(l->seqs.size() == 1);
  CHECK(w.effects.size() == 1);
  CHECK(w.account("b")["amount"] == 101);
}

TEST_CASE("a gate that fails first loses nothing: the answer comes from the rows once it opens") {
  slow_gate gate;
  world w([&](host_options& o) { o.gate = &gate; });
  w.open({"a"});
  gate.open = false;
  std::optional<reply> got;
  w.is->command({.to = a, .id = "d", .name = "account.deposit", .body = {{"amount", 1}}, .principal = "ada"},
                [&](reply r) { got = r; });
  w.threads->run();
  gate.complete(false);
  w.threads->run();
  CHECK_FALSE(got);
  gate.open = true;
  w.threads->advance(5s);
  REQUIRE(got);
  CHECK(got->result()["amount"] == 101);
  CHECK(w.account("a")["amount"] == 101);
}

TEST_CASE("whoever watched turns is called no more once the subscription is gone") {
  hub topics(0);
  std::promise<void> entered, gone;
  auto is_gone = gone.get_future();
  std::atomic<bool> called_too_late = false;
  auto watch = topics.add_turns("", [&](const turn_event&) {
    entered.set_value();
    // A subscription that did not wait for this call would be gone at once.
    called_too_late = is_gone.wait_for(std::chrono::milliseconds(200)) == std::future_status::ready;
  });
  std::thread turn([&] {
    turn_event e;
    e.actor = "counter/a";
    topics.publish(e);
  });
  entered.get_future().wait();
  watch = {};
  gone.set_value();
  turn.join();
  CHECK(!called_too_late);
}

TEST_CASE("the inspector shows what happened, with the rows that changed and without secrets") {
  world w;
  w.open({"a"});
  w.command(a.str(), "account.deposit", {{"amount", 5}, {"pin", "swordfish"}}, "d1");
  const inspector i(*w.is);
  const auto h = std::get<json>(i.history(a, 0, 10))["history"];
  const auto& last = h.back();
  CHECK(last["name"] == "account.deposit");
  CHECK(last["principal"] == "ada");
  CHECK(last["body"]["pin"] == "***");
  CHECK(last["changes"] == json::parse(R"([["~","balance",1,{"amount":[100,105]}]])"));
  CHECK(h.dump().find("swordfish") == std::string::npos);
  CHECK(std::get<json>(i.query(a, "SELECT amount FROM balance"))["rows"][0][0] == 105);
  CHECK(std::get<problem>(i.query(a, "DELETE FROM balance")).status == 422);
  CHECK(std::get<json>(i.actors({.prefix = "bank/b/"}))["actors"].size() == 1);
}

TEST_CASE("a corrupt file affects its own actor alone and is reported with key and cause") {
  world w([](host_options& o) { o.limits.idle_before_sleep = 2s; });
  w.open({"a", "b"});
  w.threads->advance(10s);
  {
    const auto file = w.is->folder(a) / "actor.sqlite";
    const auto f = std::fopen(file.c_str(), "r+");
    REQUIRE(f);
    const std::string junk(64, 'Z');
    std::fwrite(junk.data(), 1, junk.size(), f);
    std::fclose(f);
  }
  const auto r = w.command(a.str(), "account.deposit", {{"amount", 1}});
  CHECK(r.error().code == "quarantined");
  CHECK(r.error().detail.find(a.str()) != std::string::npos);
  CHECK(w.command("bank/b/account/b", "account.deposit", {{"amount", 1}}).ok());
}

TEST_CASE("an actor whose creation was cut off, again and again, is made all the same") {
  world w;
  w.end();
  const key late("bank/late");
  {
    directory dir(w.data.path() / "data", storage::durability::off);
    dir.creating(late, w.time.now());
    std::filesystem::create_directories(dir.folder(late));
    std::ofstream(dir.file(late)).flush();
    std::ofstream(dir.file(late).native() + "-wal") << std::string(4096, 'x');
  }
  w.begin();
  std::optional<reply> made;
  w.is->command_as_host(
      late, "bank.open", json::object(), "open", [&](reply r) { made = std::move(r); }, /*create=*/true);
  w.threads->run();
  REQUIRE(made);
  CHECK(made->ok());
}

TEST_CASE("a file that vanishes under its running actor quarantines it") {
  world w;
  w.open({"a"});
  std::filesystem::rename(w.is->folder(a), w.data.path() / "elsewhere");
  w.command(a.str(), "account.deposit", {{"amount", 1}});
  CHECK(w.command(a.str(), "account.deposit", {{"amount", 1}}).error().status >= 404);
}
