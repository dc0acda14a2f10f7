#include "runtime/testing/simulation.h"

#include <algorithm>

#include "runtime/inspect.h"
#include "runtime/verify.h"

namespace troupe::testing {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using storage::testing::ending;

namespace {

constexpr int longest_rest = 60;  // tries, most of them 6 s of virtual time apart
constexpr std::uint64_t ids_of_one_life = 1'000'000;

// A handler's word is kept and said again; what was refused before the turn is not.
bool is_final(const reply& r) {
  return r.ok() || r.error().status == 409;
}

json said(const reply& r) {
  return r.ok() ? json{{"result", r.result()}} : json{{"error", r.error().code}};
}

json as_json(const storage::value& v) {
  return std::visit(
      [](const auto& x) -> json {
        if constexpr (std::is_same_v<std::decay_t<decltype(x)>, storage::blob>)
          return std::string(storage::as_text(x));
        else
          return x;
      },
      v);
}

}  // namespace

class simulation::watcher final : public subscriber {
 public:
  explicit watcher(simulation& s) : is_(s) {}
  void on_snapshot(snapshot_ptr f) override { is_.seen_.snapshots.push_back({f->actor, f->at, is_.now()}); }
  void on_entries(page_ptr p) override {
    for (const auto& e : p->entries)
      is_.seen_.entries.push_back({p->actor, p->stream, *e.data, e.seq, is_.now()});
  }

 private:
  simulation& is_;
};

/// Opens when the dice say so; now and then it says no first.
class simulation::gate final : public durability_gate {
 public:
  void durable(const key&, std::uint64_t, std::function<void(bool)> done) override {
    waiting_.push_back(std::move(done));
  }
  void answer_one(bool yes) {
    if (waiting_.empty()) return;
    auto done = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    done(yes);
  }
  bool empty() const { return waiting_.empty(); }

 private:
  std::vector<std::function<void(bool)>> waiting_;
};

simulation::simulation(const scenario& s, fs::path data, std::uint64_t seed, const outside* before,
                       std::size_t ended_at, storage::testing::disk_record* record)
    : scenario_(s),
      data_(std::move(data)),
      first_life_(!before),
      record_(record),
      random_(seed),
      disk_(storage::testing::reach::everything),
      ids_(before ? ids_of_one_life * static_cast<std::uint64_t>(before->lives) : 0) {
  if (record_)
    disk_.record(record_, data_);
  else
    disk_.expect_no_power_cut();
  if (before) {
    seen_.lives = before->lives + 1;
    for (auto i : before->intentions) {
      if (i.tried > ended_at) continue;
      if (i.answered && *i.answered > ended_at) {
        i.answered.reset();
        i.answer = nullptr;
      }
      seen_.intentions.push_back(std::move(i));
    }
    const auto keep = [&](const auto& from, auto& to) {
      for (const auto& x : from)
        if (x.when <= ended_at) to.push_back(x);
    };
    keep(before->snapshots, seen_.snapshots);
    keep(before->entries, seen_.entries);
    keep(before->effects, seen_.effects);
    time_.advance(seen_.lives * 1h);  // after whatever the lives before it may have written
  }
  watcher_ = std::make_shared<watcher>(*this);
  threads_.emplace(time_, static_cast<unsigned>(random_() | 1));
  host_options o;
  o.data = data_;
  o.kinds = s.kinds;
  o.sync = s.sync;
  o.time = &time_;
  o.ids = &ids_;
  o.threads = &*threads_;
  o.limits.idle_before_sleep = first_life_ ? 300ms : std::chrono::milliseconds(1h);
  for (auto e : s.effects) {
    e.start = [this](std::shared_ptr<effect_run> run) { begin(std::move(run)); };
    o.effects.push_back(std::move(e));
  }
  if (s.slow_gate) {
    gate_ = std::make_unique<gate>();
    o.gate = gate_.get();
  }
  o.log = [this](std::string_view area, std::string_view text) {
    if (area == "quarantine") why_refused_ = text;
  };
  host_ = std::make_unique<host>(std::move(o));
  host_->start();
}

simulation::~simulation() {
  readers_.clear();
  effects_.clear();
  watched_.clear();
  disk_.clear();
  host_->stop();
  host_.reset();
}

void simulation::begin(std::shared_ptr<effect_run> run) {
  seen_.effects.push_back({run->actor(), run->id(), now()});
  effects_.push_back(std::move(run));
}

void simulation::end_one_effect(bool well) {
  if (effects_.empty()) return;
  const auto at = effects_.begin() + static_cast<std::ptrdiff_t>(dice(effects_.size()));
  const auto run = *at;
  effects_.erase(at);
  const auto how = well ? 0 : dice(8);
  if (how == 1)
    run->fail(problem{502, "world_refused", "the world said no"});
  else if (how == 2)
    run->fail(problem{503, "world_busy", "the world is busy"}, true);
  else if (how > 3)
    run->succeed({{"id", run->id()}});
  else if (how == 0)
    run->succeed({{"id", run->id()}});
  // 3: the driver drops it without a word.
}

void simulation::watch(const key& k) {
  known_.insert(k.str());
  if (!watched_.contains(k.str()))
    watched_[k.str()] = host_->subscribe(k, std::nullopt, "ada", watcher_, [](std::optional<problem>) {});
  const auto* known = host_->find_kind(k.kind());
  for (const auto& row : known->streams) {
    const auto topic = k.str() + '#' + std::string(row.name);
    if (watched_.contains(topic) || !host_->exists(k)) continue;
    watched_[topic] = host_->subscribe_stream(k, row.name, "ada", watcher_, [](std::optional<problem>) {});
  }
}

void simulation::command(const key& to, std::string name, json body) {
  seen_.intentions.push_back(
      {to, "i" + std::to_string(seen_.intentions.size()), std::move(name), std::move(body), false, now()});
  watch(to);
  send(seen_.intentions.size() - 1);
}

void simulation::make(const key& what, std::string name, std::string id, json body) {
  const auto known =
      std::ranges::any_of(seen_.intentions, [&](const auto& i) { return i.from_host && i.id == id; });
  if (known) return;
  seen_.intentions.push_back({what, std::move(id), std::move(name), std::move(body), true, now()});
  watch(what);
  send(seen_.intentions.size() - 1);
}

void simulation::send(std::size_t n) {
  const auto i = seen_.intentions[n];
  auto answered = [this, n](reply r) {
    if (!is_final(r)) {
      why_refused_ = r.error().detail;
      return;
    }
    auto& mine = seen_.intentions[n];
    const auto now_said = said(r);
    if (!mine.answer.is_null() && mine.answer != now_said) {
      throw law_broken(mine.name + " " + mine.id + " to " + mine.to.str() + " was answered " +
                       mine.answer.dump() + " and then " + now_said.dump());
    }
    mine.answer = now_said;
    if (!mine.answered) mine.answered = now();
  };
  if (i.from_host) {
    host_->command_as_host(i.to, i.name, i.body, i.id, std::move(answered), true);
  } else {
    client_command c{.to = i.to, .id = i.id, .name = i.name, .body = i.body, .principal = "ada"};
    host_->command(std::move(c), std::move(answered));
  }
}

// What happens between two acts.
void simulation::trouble() {
  using storage::testing::fault;
  using storage::testing::operation;
  switch (dice(scenario_.broken_disks ? 12 : 10)) {
    case 0:
      work();
      break;
    case 1:
      time_.advance(std::chrono::milliseconds(dice(700)));
      break;
    case 2:
      threads_->advance(std::chrono::milliseconds(dice(2500)));
      break;
    case 3:
      time_.jump(std::chrono::milliseconds(dice(2) ? 5000 : -3000));
      break;
    case 4:
      for (const auto& k : known_) host_->sleep_now(key(k));
      break;
    case 5:
    case 6:
      end_one_effect(false);
      break;
    case 10:
    case 11: {
      constexpr operation ops[] = {operation::write, operation::sync, operation::read, operation::open,
                                   operation::truncate};
      constexpr fault faults[] = {fault::io, fault::full, fault::torn};
      disk_.inject({.on = ops[dice(5)], .what = faults[dice(3)], .nth = 1 + dice(20), .times = 1 + dice(3)});
      break;
    }
    default:
      for (auto n = dice(12); n > 0 && threads_->step(); --n) {
      }
  }
  if (gate_ && dice(2)) gate_->answer_one(dice(8) != 0);
  if (record_) disk_.notice_moved_files();
}

void simulation::work() {
  for (;;) {
    while (threads_->step()) {
      if (record_) disk_.notice_moved_files();
    }
    if (effects_.empty() && (!gate_ || gate_->empty())) return;
    end_one_effect(true);
    if (gate_) gate_->answer_one(true);
  }
}

// What was not answered is asked again with the same id; what was, too: the answer must not have changed.
void simulation::insist() {
  const bool again = !first_life_;
  for (std::size_t n = 0; n < seen_.intentions.size(); ++n) {
    if (!seen_.intentions[n].answered || again) send(n);
  }
  work();
  for (int tries = 0;; ++tries) {
    const auto open = std::ranges::find_if(seen_.intentions, [](const auto& i) { return !i.answered; });
    if (open == seen_.intentions.end()) return;
    require(tries < longest_rest,
            open->name + " " + open->id + " to " + open->to.str() + " is never answered: " + why_refused_);
    if (tries > 5) threads_->advance(std::chrono::milliseconds(100 << std::min(tries, 8)));
    for (std::size_t n = 0; n < seen_.intentions.size(); ++n) {
      if (!seen_.intentions[n].answered) send(n);
    }
    work();
  }
}

// Every actor sleeps: nothing is under way. Timers may wake them again as soon as time passes.
void simulation::rest() {
  const auto awake = [&] {
    const auto found =
        inspector(*host_).actors({.prefix = {}, .kind = {}, .awake = true, .limit = 1000, .after = {}});
    return std::get<json>(found)["actors"];
  };
  work();
  for (int tries = 0;; ++tries) {
    for (const auto& a : awake()) host_->sleep_now(key(a["key"].get<std::string>()));
    work();
    const auto left = awake();
    if (left.empty()) break;
    require(tries < longest_rest, "there is no rest: " + left.dump());
    if (tries > 2) threads_->advance(std::chrono::milliseconds(100 << std::min(tries, 6)));
    work();
  }
  require(host_->stats().quarantined == 0, "an actor was quarantined: " + why_refused_);
}

void simulation::live() {
  scenario_.open(*this);
  if (first_life_) {
    for (int n = 0; n < scenario_.acts; ++n) {
      for (auto troubles = dice(4); troubles > 0; --troubles) trouble();
      scenario_.act(*this);
    }
    for (auto troubles = dice(20); troubles > 0; --troubles) trouble();
  }
  disk_.clear();
  insist();
  rest();
  if (record_) disk_.record(nullptr);
  compare();
  scenario_.laws(*this);
}

json simulation::rows(const key& k, std::string_view sql) {
  auto& db = readers_[k.str()];
  if (!db) db = std::make_unique<storage::reader>(data_ / k.str() / "actor.sqlite");
  json all = json::array();
  for (const auto& r : db->run(sql).rows) {
    json one = json::array();
    for (const auto& v : r) one.push_back(as_json(v));
    all.push_back(std::move(one));
  }
  return all;
}

json simulation::ask(const key& k, std::string_view query, json body) {
  const auto got = std::make_shared<std::optional<reply>>();
  client_query q{.to = k, .name = std::string(query), .body = std::move(body), .principal = "ada"};
  host_->query(std::move(q), [got](reply r) { *got = std::move(r); });
  work();
  require(got->has_value() && (*got)->ok(), std::string(query) + " of " + k.str() + " is not answered");
  return (*got)->result();
}

// What was seen against what is stored, at rest.
void simulation::compare() {
  std::map<std::string, json> states;
  const auto state = [&](const key& k) -> const json& {
    auto [at, fresh] = states.try_emplace(k.str(), nullptr);
    if (fresh && fs::exists(data_ / k.str() / "actor.sqlite")) {
      at->second = rows(k, "SELECT incarnation, revision FROM rt_meta").at(0);
    }
    return at->second;
  };
  for (const auto& s : seen_.snapshots) {
    const auto& is = state(s.actor);
    if (is.is_null() || is[0] != s.at.incarnation) continue;  // deleted since
    require(is[1].get<std::uint64_t>() >= s.at.revision,
            "revision " + std::to_string(s.at.revision) + " of " + s.actor.str() + " was shown, and only " +
                is[1].dump() + " is stored");
  }
  std::map<std::string, std::map<std::uint64_t, std::string>> entries;
  for (const auto& e : seen_.entries) {
    const auto topic = e.actor.str() + '#' + e.stream;
    if (state(e.actor).is_null()) continue;
    auto [at, fresh] = entries.try_emplace(topic);
    if (fresh) {
      for (const auto& r :
           rows(e.actor, "SELECT seq, data FROM rt_entries WHERE stream = '" + e.stream + "'"))
        at->second[r[0].get<std::uint64_t>()] = r[1].get<std::string>();
    }
    const auto stored = at->second.find(e.seq);
    require(stored != at->second.end() && stored->second == e.data, "entry " + std::to_string(e.seq) +
                                                                        " of " + topic + " was shown as " +
                                                                        e.data + " and is not stored so");
  }
  std::map<std::string, std::map<std::string, std::int64_t>> outcomes;
  for (const auto& e : seen_.effects) {
    if (state(e.actor).is_null()) continue;
    auto [at, fresh] = outcomes.try_emplace(e.actor.str());
    if (fresh) {
      for (const auto& r : rows(e.actor, "SELECT id, count(*) FROM rt_inbox WHERE source = 2 GROUP BY id"))
        at->second[r[0].get<std::string>()] = r[1].get<std::int64_t>();
    }
    const auto n = at->second.contains(e.id) ? at->second[e.id] : 0;
    require(n == 1, "the effect " + e.id + " of " + e.actor.str() + " was begun and has " +
                        std::to_string(n) + " outcomes");
  }
  const auto checked = verify(data_);
  if (!checked.whole()) throw law_broken(checked.findings[0].actor + ": " + checked.findings[0].what);
  require(checked.waiting == 0, std::to_string(checked.waiting) + " messages wait at rest");
}

}  // namespace troupe::testing
