#include "tests/kit/actor_host.h"

#include <cstdlib>
#include <future>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

namespace troupe::testing {
namespace {

constexpr std::chrono::seconds answer_time{20};

std::filesystem::path temporary_folder() {
  auto pattern = (std::filesystem::temp_directory_path() / "troupe-actors-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder like " + pattern);
  return pattern;
}

template <class T>
T in_time(std::future<T>& answer, std::string_view what) {
  if (answer.wait_for(answer_time) != std::future_status::ready)
    throw std::runtime_error("no answer in time: " + std::string(what));
  return answer.get();
}

class watcher : public subscriber {
 public:
  void on_snapshot(snapshot_ptr frame) override {
    const std::lock_guard lock(mutex);
    newest = std::move(frame);
    came.notify_all();
  }
  void on_entries(page_ptr) override {
    const std::lock_guard lock(mutex);
    ++batches;
    came.notify_all();
  }
  std::mutex mutex;
  std::condition_variable came;
  snapshot_ptr newest;
  int batches = 0;
};

}  // namespace

actor_host::actor_host(options o) : options_(std::move(o)), folder_(temporary_folder()) {
  open();
}

actor_host::~actor_host() {
  host_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void actor_host::open() {
  host_options with{.data = folder_, .kinds = options_.kinds};
  with.authorize = options_.authorize;
  with.audit = options_.audit;
  with.time = options_.time;
  with.limits = options_.limits;
  with.sync = storage::durability::off;
  for (const auto& name : options_.effects) {
    with.effects.push_back({.name = name,
                            .policy = after_restart::retry,
                            .start = [this, name](std::shared_ptr<effect_run> run) {
                              const std::lock_guard lock(mutex_);
                              effects_[name].push_back(std::move(run));
                              asked_.notify_all();
                            }});
  }
  for (const auto& name : options_.feeds) {
    with.feeds.push_back({.name = name, .start = [this, name](std::shared_ptr<feed_run> run) {
                            const std::lock_guard lock(mutex_);
                            feeds_[name].push_back(std::move(run));
                            asked_.notify_all();
                          }});
  }
  host_ = std::make_unique<host>(std::move(with));
  host_->start();
}

void actor_host::restart() {
  host_->stop();
  host_.reset();
  {
    const std::lock_guard lock(mutex_);
    effects_.clear();
    feeds_.clear();
  }
  open();
}

reply actor_host::call(std::string_view to, std::string_view name, json body, std::string principal) {
  return call_with_id(to, name, std::move(body), "test-" + std::to_string(++next_id_), std::move(principal));
}

reply actor_host::call_with_id(std::string_view to, std::string_view name, json body, std::string id,
                               std::string principal) {
  return host_->call({.to = key(to),
                      .id = std::move(id),
                      .name = std::string(name),
                      .body = std::move(body),
                      .principal = std::move(principal)});
}

reply actor_host::as_host(std::string_view to, std::string_view name, json body, bool create) {
  auto answered = std::make_shared<std::promise<reply>>();
  auto answer = answered->get_future();
  host_->command_as_host(
      key(to), name, std::move(body), "host-" + std::to_string(++next_id_),
      [answered](reply r) { answered->set_value(std::move(r)); }, create);
  return in_time(answer, name);
}

reply actor_host::ask(std::string_view to, std::string_view name, json body, std::string principal) {
  return host_->ask(
      {.to = key(to), .name = std::string(name), .body = std::move(body), .principal = std::move(principal)});
}

json actor_host::snapshot(std::string_view of, std::string principal) {
  auto answered = std::make_shared<std::promise<std::variant<snapshot_ptr, problem>>>();
  auto answer = answered->get_future();
  host_->snapshot(key(of), principal,
                  [answered](std::variant<snapshot_ptr, problem> is) { answered->set_value(std::move(is)); });
  const auto is = in_time(answer, of);
  if (const auto* why = std::get_if<problem>(&is))
    throw std::runtime_error("no snapshot of " + std::string(of) + ": " + why->detail);
  return json::parse(std::get<snapshot_ptr>(is)->data);
}

json actor_host::await(std::string_view of, const std::function<bool(const json&)>& fits,
                       std::chrono::milliseconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  const auto watching = std::make_shared<watcher>();
  std::optional<problem> refused;
  std::promise<void> settled;
  // An actor that another one is about to make does not exist for a moment.
  while (!host_->exists(key(of)) && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  const auto subscription =
      host_->subscribe(key(of), std::nullopt, "ada", watching, [&](std::optional<problem> why) {
        refused = std::move(why);
        settled.set_value();
      });
  auto answer = settled.get_future();
  in_time(answer, of);
  REQUIRE_MESSAGE(!refused, "subscribing to ", of, ": ", refused->detail);
  json last;
  std::unique_lock lock(watching->mutex);
  for (snapshot_ptr seen;;) {
    if (!watching->came.wait_until(lock, until, [&] { return watching->newest != seen; })) break;
    seen = watching->newest;
    lock.unlock();
    last = json::parse(seen->data);
    if (fits(last)) return last;
    lock.lock();
  }
  FAIL("no snapshot of ", of, " fits; the last one: ", last.dump(1));
  return last;
}

std::vector<json> actor_host::entries(std::string_view of, std::string_view stream, std::string principal) {
  std::vector<json> all;
  for (std::uint64_t after = 0;;) {
    auto answered = std::make_shared<std::promise<std::variant<page_ptr, problem>>>();
    auto answer = answered->get_future();
    host_->read_stream(
        key(of), stream, after, 256, principal,
        [answered](std::variant<page_ptr, problem> is) { answered->set_value(std::move(is)); });
    const auto is = in_time(answer, of);
    if (const auto* why = std::get_if<problem>(&is))
      throw std::runtime_error("no stream of " + std::string(of) + ": " + why->detail);
    const auto& page = std::get<page_ptr>(is);
    if (page->entries.empty()) return all;
    for (const auto& e : page->entries) all.push_back(json::parse(*e.data));
    after = page->entries.back().seq;
  }
}

json actor_host::await_entry(std::string_view of, std::string_view stream,
                             const std::function<bool(const json&)>& fits) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!host_->exists(key(of)) && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  const auto watching = std::make_shared<watcher>();
  std::promise<void> settled;
  const auto subscription = host_->subscribe_stream(key(of), stream, "ada", watching,
                                                    [&](std::optional<problem>) { settled.set_value(); });
  auto answer = settled.get_future();
  in_time(answer, of);
  for (int seen = 0;;) {
    const auto all = entries(of, stream);
    for (const auto& e : all) {
      if (fits(e)) return e;
    }
    std::unique_lock lock(watching->mutex);
    if (!watching->came.wait_until(lock, until, [&] { return watching->batches != seen; })) {
      FAIL("no entry of ", of, "#", stream, " fits; there are ", all.size(),
           ", the last one: ", all.empty() ? "" : all.back().dump());
      return nullptr;
    }
    seen = watching->batches;
  }
}

std::shared_ptr<effect_run> actor_host::effect(std::string_view kind, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  auto& queue = effects_[std::string(kind)];
  if (!asked_.wait_for(lock, timeout, [&] { return !queue.empty(); }))
    throw std::runtime_error("nobody asked for " + std::string(kind));
  auto run = queue.front();
  queue.pop_front();
  return run;
}

std::shared_ptr<feed_run> actor_host::feed(std::string_view kind, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  auto& queue = feeds_[std::string(kind)];
  if (!asked_.wait_for(lock, timeout, [&] { return !queue.empty(); }))
    throw std::runtime_error("nobody follows " + std::string(kind));
  auto run = queue.front();
  queue.pop_front();
  return run;
}

std::size_t actor_host::waiting(std::string_view kind) {
  const std::lock_guard lock(mutex_);
  return effects_[std::string(kind)].size();
}

}  // namespace troupe::testing
