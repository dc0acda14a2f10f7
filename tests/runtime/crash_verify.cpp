// The laws of the bank, held against what was seen from outside.
#include <condition_variable>
#include <future>
#include <mutex>

#include <doctest/doctest.h>

#include "tests/runtime/crash_bank.h"

using namespace troupe;

namespace crash_bank {
namespace {

// The newest snapshot of each account, as they come.
class watcher : public subscriber {
 public:
  void on_snapshot(snapshot_ptr frame) override {
    std::lock_guard lock(mutex_);
    newest_[frame->actor.str()] = json::parse(frame->data);
    changed_.notify_all();
  }

  // Nothing under way: all that was sent arrived, and every effect was noted.
  std::map<std::string, json> when_settled(std::chrono::seconds deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, deadline, [&] { return settled(); });
    return newest_;
  }

  bool settled() const {
    std::int64_t sent = 0, got = 0, asked = 0, noted = 0;
    for (auto& [k, s] : newest_) {
      sent += s.at("sent").get<std::int64_t>();
      got += s.at("got").get<std::int64_t>();
      asked += s.at("asked").get<std::int64_t>();
      noted += s.at("noted").get<std::int64_t>();
    }
    return newest_.size() == accounts && sent == got && asked == noted;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, json> newest_;
};

json rows_of(host& h, const key& k, std::string_view table) {
  json all = json::array();
  for (std::int64_t after = 0;;) {
    auto page = h.ask(
        {.to = k, .name = "account.report", .body = {{"of", table}, {"after", after}}, .principal = "me"});
    REQUIRE_MESSAGE(page.ok(), json(page.ok() ? problem() : page.error()).dump());
    auto& rows = page.result().at("rows");
    if (rows.empty()) return all;
    after = rows.back().at(0).get<std::int64_t>();
    for (auto& r : rows) all.push_back(r);
  }
}

std::vector<stream_entry> journal_of(host& h, const key& k) {
  std::vector<stream_entry> all;
  for (std::uint64_t after = 0;;) {
    std::promise<page_ptr> got;
    h.read_stream(k, "journal", after, 256, "me", [&](std::variant<page_ptr, problem> p) {
      got.set_value(p.index() == 0 ? std::get<page_ptr>(p) : nullptr);
    });
    auto page = got.get_future().get();
    REQUIRE(page);
    CHECK(page->after == after);
    if (page->entries.empty()) return all;
    after = page->entries.back().seq;
    all.insert(all.end(), page->entries.begin(), page->entries.end());
  }
}

// An actor whose disk has just failed answers 503 until it tried again; its clients ask again, and so does
// this one.
subscription subscribe(host& h, const key& k, std::shared_ptr<watcher> watch, std::chrono::seconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  for (;;) {
    std::promise<std::optional<problem>> is;
    auto topic =
        h.subscribe(k, std::nullopt, "me", watch, [&](std::optional<problem> why) { is.set_value(why); });
    const auto why = is.get_future().get();
    if (!why) return topic;
    REQUIRE_MESSAGE(why->status == 503, why->detail);
    REQUIRE_MESSAGE(std::chrono::steady_clock::now() < until, why->detail);
  }
}

}  // namespace

void verify(host& h, const model& seen, std::chrono::seconds deadline) {
  auto watch = std::make_shared<watcher>();
  std::vector<subscription> topics;
  for (int i = 0; i < accounts; ++i) topics.push_back(subscribe(h, account_key(i), watch, deadline));
  auto last = watch->when_settled(deadline);
  INFO(json(last).dump());
  REQUIRE(watch->settled());

  std::int64_t money = 0;
  std::map<std::pair<std::string, std::string>, std::int64_t> sent_by_pair, got_by_pair;
  std::map<std::string, std::pair<std::string, std::int64_t>> applied;  // id → where and as what number
  for (int i = 0; i < accounts; ++i) {
    auto k = account_key(i);
    CAPTURE(k.str());
    money += last.at(k.str()).at("balance").get<std::int64_t>();
    auto sent = rows_of(h, k, "sent");
    std::int64_t n = 0;
    for (auto& row : sent) {
      CHECK(row.at(0) == ++n);
      // Numbered without a gap per pair, and each id applied once.
      CHECK(row.at(2) == ++sent_by_pair[{k.str(), row.at(1).get<std::string>()}]);
      auto id = row.at(3).get<std::string>();
      if (id.back() != '+') CHECK_MESSAGE(applied.try_emplace(id, k.str(), n).second, id);
    }
    for (auto& row : rows_of(h, k, "got")) {
      // In the order in which they were sent, none twice, none missing.
      CHECK(row.at(2) == ++got_by_pair[{row.at(1).get<std::string>(), k.str()}]);
    }
    auto journal = journal_of(h, k);
    CHECK(journal.size() == sent.size());
    for (std::size_t at = 0; at < journal.size(); ++at) {
      CHECK(journal[at].seq == at + 1);
      CHECK(json::parse(*journal[at].data).at("n") == at + 1);
    }
    if (auto shown = seen.seen.find(k.str()); shown != seen.seen.end())
      CHECK(last.at(k.str()).at("sent").get<std::int64_t>() +
                last.at(k.str()).at("got").get<std::int64_t>() >=
            shown->second);
  }
  CHECK(money == accounts * opening_balance);
  CHECK(sent_by_pair == got_by_pair);
  for (auto& [id, number] : seen.acknowledged) {
    CAPTURE(id);
    REQUIRE(applied.contains(id));
    CHECK(applied.at(id) == std::pair(sender_of(id).str(), number));
  }
  for (auto& [id, where] : applied) CHECK_MESSAGE(seen.tried.contains(id), id);
}

}  // namespace crash_bank
