// Backups over HTTP: one at a time, in the background. For administrators of the instance.
#include "net/gateway/answers.h"
#include "net/gateway/backup_job.h"
#include "net/gateway/context.h"

namespace troupe::gateway {

bool backup_job::start(const std::filesystem::path& place) {
  std::lock_guard lock(mutex_);
  if (state_["state"] == "running") return false;
  if (thread_.joinable()) thread_.join();
  state_ = {{"state", "running"}, {"place", place.string()}, {"what", "actors"}, {"done", 0}, {"all", 0}};
  thread_ = std::jthread([this, place](const std::stop_token& stop) { run(place, stop); });
  return true;
}

void backup_job::run(const std::filesystem::path& place, const std::stop_token& stop) {
  backup_options o{.also = also_};
  for (const auto* k : host_.kinds()) o.kinds.emplace_back(k->name);
  o.progress = [&](std::string_view what, std::size_t done, std::size_t all) {
    std::lock_guard lock(mutex_);
    state_["what"] = what;
    state_["done"] = done;
    state_["all"] = all;
    return !stop.stop_requested();
  };
  try {
    const auto made = back_up(host_, place, o);
    std::lock_guard lock(mutex_);
    state_["state"] = "done";
    state_["result"] = to_json(made);
  } catch (const std::exception& e) {
    std::lock_guard lock(mutex_);
    state_["state"] = "failed";
    state_["error"] = e.what();
  }
}

nlohmann::json backup_job::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

void backup_job::stop() {
  std::jthread ended;
  {
    std::lock_guard lock(mutex_);
    ended.swap(thread_);
  }
  ended.request_stop();
}

namespace {

problem only_for_admins() {
  return forbidden("backups need an administrator of the instance");
}

asio::awaitable<void> start_backup(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto why = std::optional<problem>();
  std::filesystem::path place;
  if (!by.who.admin) why = only_for_admins();
  if (!why) {
    auto body = body_of(ex.request());
    if (auto* bad = std::get_if<problem>(&body)) {
      why = *bad;
    } else if (const auto& given = std::get<json>(body);
               given.is_object() && given.contains("place") && given["place"].is_string()) {
      place = given["place"].get<std::string>();
    }
    if (!why && !place.is_absolute())
      why = unprocessable(
          "invalid_body",
          "a folder of the server's machine is needed, from its root: {\"place\": \"/backups\"}");
  }
  if (!why && !c->backups.start(place))
    why = conflict("backup_running", "a backup is being made; wait until it is done");
  if (why) {
    co_await c->refuse(ex, *why, ex.request().path);
    co_return;
  }
  if (c->options.log) c->options.log("backup", by.who.user + " has one made in " + place.string());
  auto answer = json_answer(202, c->backups.state());
  co_await c->reply(ex, std::move(answer));
}

asio::awaitable<void> backup_state(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  if (!by.who.admin) {
    auto why = only_for_admins();
    co_await c->refuse(ex, why, ex.request().path);
    co_return;
  }
  auto answer = json_answer(200, c->backups.state());
  co_await c->reply(ex, std::move(answer));
}

}  // namespace

void add_backup_routes(wire::router& r, const std::shared_ptr<context>& c) {
  auto people = [&](asio::awaitable<void> (*f)(std::shared_ptr<context>, wire::exchange&, const caller&)) {
    return c->for_people(
        [c = c.get(), f](wire::exchange& ex, const caller& by) { return f(c->shared_from_this(), ex, by); });
  };
  r.on("GET", "/v1/host/backup", people(backup_state));
  r.on("POST", "/v1/host/backup", people(start_backup));
}

}  // namespace troupe::gateway
