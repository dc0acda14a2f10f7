#include <algorithm>

#include "drivers/daemon/perform.h"
#include "drivers/sandbox/driver.h"

namespace troupe::drivers::sandbox {
namespace {

using run_ptr = std::shared_ptr<effect_run>;

struct context {
  wire::executor ex;
  std::shared_ptr<provider> world;
  daemon_client& daemons;
  read_secret secrets;
  options limits;
};
using context_ptr = std::shared_ptr<const context>;

json to_json(const sandbox_made& made) {
  json items = json::object(), steps = json::array();
  for (const auto& [name, item] : made.items) {
    items[name] = {{"state", item.state}, {"wanted", item.wanted}, {"effective", item.effective}};
    if (!item.why.empty()) items[name]["why"] = item.why;
  }
  for (const auto& [name, ms] : made.steps) steps.push_back({{"name", name}, {"ms", ms}});
  return {{"handle", made.handle},
          {"tier", made.tier},
          {"items", std::move(items)},
          {"workspace", made.workspace},
          {"steps", std::move(steps)}};
}

effect_coroutine create(context_ptr w, run_ptr run) {
  auto request = request_from(run->body(), w->secrets, run->actor().id_of("org"));
  if (!request) co_return request.error();
  auto made = co_await w->world->create(std::move(*request));
  if (!made) co_return made.error();
  co_return to_json(*made);
}

effect_coroutine pause(context_ptr w, run_ptr run) {
  auto done = co_await w->world->pause(text_field(run->body(), "handle"));
  if (!done) co_return done.error();
  json out = {{"state", done->state}, {"how", done->how}};
  co_return out;
}

effect_coroutine resume(context_ptr w, run_ptr run) {
  auto done = co_await w->world->resume(text_field(run->body(), "handle"));
  if (!done) co_return done.error();
  json out = {{"state", done->state}};
  if (!done->how.empty()) out["how"] = done->how;
  co_return out;
}

effect_coroutine kill(context_ptr w, run_ptr run) {
  auto done = co_await w->world->kill(text_field(run->body(), "handle"));
  if (!done) co_return done.error();
  json out = {{"state", "stopped"}};
  co_return out;
}

effect_coroutine destroy(context_ptr w, run_ptr run) {
  const auto& body = run->body();
  // Without a handle the create never answered; the key and nonce name what it may have left.
  const auto handle = body.contains("handle") && body["handle"].is_string() && !body["handle"].empty()
                          ? text_field(body, "handle")
                          : w->world->handle_of(text_field(body, "sandbox"), text_field(body, "nonce"));
  auto done = co_await w->world->destroy(handle);
  if (!done) co_return done.error();
  json out = {{"existed", *done}};
  co_return out;
}

effect_coroutine inspect(context_ptr w, run_ptr run) {
  auto look = co_await w->world->inspect(text_field(run->body(), "handle"));
  json out;
  if (!look && look.error().why.code == "not_found") {
    out = {{"state", "lost"}, {"why", look.error().why.detail}};
    co_return out;
  }
  if (!look) co_return look.error();
  out = {{"state", look->state}};
  if (!look->why.empty()) out["why"] = look->why;
  co_return out;
}

attempt<json> plain_environment(const context& w, const effect_run& run) {
  json plain = json::object();
  const json environment = run.body().value("environment", json::object());
  for (const auto& [name, value] : environment.items()) {
    if (value.is_string()) {
      plain[name] = value;
      continue;
    }
    const auto secret = text_field(value, "secret");
    const auto text = w.secrets ? w.secrets(run.actor().id_of("org"), secret) : std::nullopt;
    if (!text)
      return invalid("the environment variable " + name + " is to be the secret `" + secret +
                     "`, and the organization has none of that name; store it with PUT /v1/secrets");
    plain[name] = *text;
  }
  return plain;
}

wire::asio::awaitable<attempt<json>> ask(context_ptr w, run_ptr run, std::string about, std::string method,
                                         std::string target, json body, wire::clock::duration limit) {
  wire::request out;
  out.method = std::move(method);
  out.target = std::move(target);
  out.headers.set("Idempotency-Key", run->id());
  if (!body.is_null()) {
    out.headers.set("Content-Type", "application/json");
    out.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  const auto deadline = std::min(run->deadline(), wire::clock::now() + limit);
  auto answer =
      co_await w->daemons.send(text_field(run->body(), "handle"), std::move(about), std::move(out), deadline);
  if (!answer) co_return answer.error();
  if (answer->bytes().empty()) co_return json::object();
  auto value = json::parse(answer->bytes(), nullptr, false);
  if (value.is_discarded()) co_return transport("the sandbox's daemon answered something that is not JSON");
  co_return value;
}

effect_coroutine run_process(context_ptr w, run_ptr run) {
  const auto& body = run->body();
  auto environment = plain_environment(*w, *run);
  if (!environment) co_return environment.error();
  json what = {{"command", field(body, "command")},
               {"args", body.value("args", json::array())},
               {"env", *environment}};
  if (body.contains("cwd"))
    what["cwd"] = w->daemons.where(text_field(body, "handle"), text_field(body, "cwd"));
  if (body.value("tty", false)) what["tty"] = true;
  auto started = co_await ask(w, run, "starting a process", "POST", "/v1/processes", std::move(what),
                              w->limits.call_limit);
  if (!started) co_return started.error();
  json out = {{"process", *started}};
  co_return out;
}

effect_coroutine act_on_process(context_ptr w, run_ptr run) {
  const auto& body = run->body();
  const auto act = text_field(body, "act");
  const auto target = "/v1/processes/" + wire::percent_encode(text_field(body, "process"));
  const auto about = act + " of a process";
  json out = json::object();
  if (act == "remove") {
    auto removed = co_await ask(w, run, about, "DELETE", target, nullptr, w->limits.call_limit);
    if (!removed && removed.error().why.code != "not_found") co_return removed.error();
  } else if (act == "input") {
    json what = {{"data", field(body, "data")}, {"encoding", "utf8"}};
    auto written =
        co_await ask(w, run, about, "POST", target + "/input", std::move(what), w->limits.call_limit);
    if (!written) co_return written.error();
  } else if (act == "stop" || act == "kill") {
    auto ended = co_await ask(w, run, about, "POST", target + "/" + act, nullptr, w->limits.call_limit);
    if (!ended) co_return ended.error();
    out["process"] = *ended;
  } else {
    co_return invalid("sandbox.process: `act` is stop, kill, input or remove, not " + act);
  }
  co_return out;
}

effect_coroutine exec(context_ptr w, run_ptr run) {
  const auto& body = run->body();
  auto environment = plain_environment(*w, *run);
  if (!environment) co_return environment.error();
  const auto limit_ms = field(body, "timeout_ms").get<std::int64_t>();
  json what = {{"command", field(body, "command")},
               {"args", body.value("args", json::array())},
               {"env", *environment},
               {"timeoutMs", limit_ms}};
  if (body.contains("cwd"))
    what["cwd"] = w->daemons.where(text_field(body, "handle"), text_field(body, "cwd"));
  if (body.contains("max_output_bytes")) what["maxOutputBytes"] = body["max_output_bytes"];
  auto ran = co_await ask(w, run, "running a command", "POST", "/v1/processes/run", std::move(what),
                          std::chrono::milliseconds(limit_ms) + std::chrono::seconds(30));
  if (!ran) co_return ran.error();
  json out = {{"exit_code", ran->value("exitCode", json())},
              {"timed_out", ran->value("timedOut", false)},
              {"stdout", ran->value("stdout", "")},
              {"stderr", ran->value("stderr", "")},
              {"stdout_truncated", ran->value("stdoutTruncated", false)},
              {"stderr_truncated", ran->value("stderrTruncated", false)},
              {"duration_ms", ran->value("durationMs", 0)}};
  co_return out;
}

}  // namespace

std::vector<effect_kind> effects(wire::executor ex, std::shared_ptr<provider> world, daemon_client& daemons,
                                 read_secret secrets, options limits) {
  auto w =
      std::make_shared<const context>(context{ex, std::move(world), daemons, std::move(secrets), limits});
  std::vector<effect_kind> out;
  auto add = [&](const char* name, after_restart policy, std::chrono::milliseconds deadline,
                 effect_coroutine (*work)(context_ptr, run_ptr)) {
    effect_kind kind;
    kind.name = name;
    kind.policy = policy;
    kind.deadline = deadline;
    kind.start = [w, work](run_ptr run) { perform(w->ex, run, work(w, run)); };
    out.push_back(std::move(kind));
  };
  add("sandbox.create", after_restart::reconcile, limits.create_limit, create);
  add("sandbox.start", after_restart::reconcile, limits.create_limit, create);
  add("sandbox.pause", after_restart::retry, limits.call_limit, pause);
  add("sandbox.resume", after_restart::retry, limits.call_limit, resume);
  add("sandbox.kill", after_restart::retry, limits.destroy_limit, kill);
  add("sandbox.destroy", after_restart::retry, limits.destroy_limit, destroy);
  add("sandbox.inspect", after_restart::retry, limits.call_limit, inspect);
  add("sandbox.run", after_restart::retry, limits.call_limit, run_process);
  add("sandbox.process", after_restart::retry, limits.call_limit, act_on_process);
  add("sandbox.exec", after_restart::retry, limits.exec_limit, exec);
  return out;
}

}  // namespace troupe::drivers::sandbox
