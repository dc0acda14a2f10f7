// /v1/processes: run, create, list, look at, feed, signal, delete; limits and keys.
#include <signal.h>

#include <cerrno>

#include "sandboxd/contract.h"
#include "sandboxd/daemon.h"
#include "sandboxd/reading.h"
#include "sandboxd/run_program.h"

namespace troupe::sandboxd {
namespace {

namespace asio = wire::asio;
using nlohmann::json;

constexpr std::uint64_t default_stop_wait_ms = 2000;
constexpr std::uint64_t max_stop_wait_ms = 60'000;

wire::response spawn_problem(const os_error& e) {
  return contract::stream_error("failed to spawn process: " + contract::os_text(e.number));
}

bool blank(const std::string& s) {
  return s.find_first_not_of(" \t\r\n") == s.npos;
}

// What run and create have in common.
struct command_line {
  explicit command_line(body_reader& body)
      : command(body.text("command")),
        arguments(body.optional_texts("args")),
        directory(body.optional_text("cwd").value_or("")),
        environment(body.optional_map("env")) {
    if (!body.refusal && blank(command))
      body.refusal = contract::invalid_request("command must not be empty");
    auto nul = [](const std::string& s) { return s.find('\0') != s.npos; };
    bool bad = nul(command) || nul(directory);
    for (auto& a : arguments) bad = bad || nul(a);
    for (auto& [name, value] : environment)
      bad = bad || name.empty() || name.find('=') != name.npos || nul(name) || nul(value);
    if (!body.refusal && bad)
      body.refusal =
          contract::invalid_request("command, args, cwd and env must be without NUL, names without '='");
  }

  std::string command;
  std::vector<std::string> arguments;
  std::string directory;
  std::vector<std::pair<std::string, std::string>> environment;
};

asio::awaitable<answer> run(daemon_ptr d, std::shared_ptr<run_spec> spec) {
  answer out;
  auto ran = co_await run_program(d->where, std::move(*spec));
  if (!ran) {
    out.response = spawn_problem(ran.error());
    out.remember = false;
    co_return out;
  }
  auto& r = ran.value();
  json said;
  said["exitCode"] = r.how.code ? json(*r.how.code) : json();
  said["timedOut"] = r.timed_out;
  said["stdout"] = valid_utf8(r.output.bytes);
  said["stderr"] = valid_utf8(r.error.bytes);
  said["stdoutTruncated"] = r.output.truncated;
  said["stderrTruncated"] = r.error.truncated;
  said["durationMs"] = r.duration.count();
  out.response = json_response(said);
  co_return out;
}

asio::awaitable<void> post_run(daemon_ptr d, wire::exchange& x) {
  body_reader body(x.request());
  command_line line(body);
  auto limit = body.optional_number("timeoutMs").value_or(d->config.default_run_timeout_ms);
  auto bytes = body.optional_number("maxOutputBytes").value_or(d->config.max_output_bytes);
  if (body.refusal) {
    co_await d->out.reply(x, *body.refusal);
    co_return;
  }
  auto spec = std::make_shared<run_spec>();
  spec->process.argv = std::move(line.arguments);
  spec->process.argv.insert(spec->process.argv.begin(), line.command);
  spec->process.environment = std::move(line.environment);
  spec->process.directory = std::move(line.directory);
  spec->limit = std::chrono::milliseconds(std::min(limit, d->config.max_run_timeout_ms));
  spec->max_output_bytes = std::min<std::uint64_t>(bytes, d->config.max_output_bytes);
  work what = [d, spec] { return run(d, spec); };
  co_await do_once(d->out, x, d->keys, std::move(what));
}

struct creation {
  process::description what;
  std::vector<std::pair<std::string, std::string>> environment;
};

asio::awaitable<answer> create(daemon_ptr d, std::shared_ptr<creation> c) {
  answer out;
  if (d->running_processes() >= d->config.max_concurrent) {
    out.response = contract::conflict("max concurrent process limit reached (" +
                                      std::to_string(d->config.max_concurrent) + ")");
    out.remember = false;
    co_return out;
  }
  auto number = d->next_process();
  c->what.id = "proc_" + std::to_string(number);
  c->what.created_ms = now_ms();
  auto folder = d->folder + "/processes/" + c->what.id;
  auto started = co_await process::start(d->ex, d->where, folder, std::move(c->what),
                                         std::move(c->environment), d->config.max_log_bytes);
  if (!started) {
    out.response = spawn_problem(started.error());
    out.remember = false;
    co_return out;
  }
  d->processes[number] = started.value();
  d->trim_processes();
  out.response = wire::response::json(200, started.value()->info());
  co_return out;
}

asio::awaitable<void> post_create(daemon_ptr d, wire::exchange& x) {
  body_reader body(x.request());
  command_line line(body);
  auto c = std::make_shared<creation>();
  c->what.terminal = body.flag("tty");
  c->what.interactive = body.flag("interactive");
  if (body.refusal) {
    co_await d->out.reply(x, *body.refusal);
    co_return;
  }
  c->what.command = std::move(line.command);
  c->what.arguments = std::move(line.arguments);
  c->what.directory = std::move(line.directory);
  c->environment = std::move(line.environment);
  work what = [d, c] { return create(d, c); };
  co_await do_once(d->out, x, d->keys, std::move(what));
}

asio::awaitable<void> list(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  auto owner = q.optional_text("owner");
  if (owner && *owner != "user" && *owner != "desktop" && *owner != "system")
    q.refusal = contract::bad_query("owner: unknown variant `" + *owner +
                                    "`, expected one of `user`, `desktop`, `system`");
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  std::string out = "{\"processes\":[";
  bool first = true;
  for (auto& [number, p] : d->processes) {
    if (owner && p->what().owner != *owner) continue;
    if (!std::exchange(first, false)) out += ',';
    out += p->info();
  }
  out += "]}";
  co_await d->out.reply(x, wire::response::json(200, std::move(out)));
}

asio::awaitable<void> get(daemon_ptr d, wire::exchange& x) {
  auto p = d->find_process(x.param("id"));
  auto said = p ? wire::response::json(200, p->info()) : contract::not_found("process", x.param("id"));
  co_await d->out.reply(x, std::move(said));
}

asio::awaitable<void> remove(daemon_ptr d, wire::exchange& x) {
  auto p = d->find_process(x.param("id"));
  std::optional<wire::response> said;
  if (!p)
    said = contract::not_found("process", x.param("id"));
  else if (p->running())
    said = contract::conflict("process is still running; stop or kill it before delete");
  if (!said) {
    std::erase_if(d->processes, [&](auto& entry) { return entry.second == p; });
    p->remove();
    said = wire::response::empty(204);
  }
  co_await d->out.reply(x, std::move(*said));
}

asio::awaitable<answer> end(std::shared_ptr<process> p, int number, std::uint64_t wait_ms) {
  answer out;
  if (p->running()) {
    auto sent = co_await p->signal(number);
    if (!sent && sent.error().number != ESRCH && sent.error().number != EBUSY) {
      out.response = contract::stream_error(contract::os_text(sent.error().number));
      co_return out;
    }
    co_await p->ended(wire::clock::now() + std::chrono::milliseconds(wait_ms));
  }
  out.response = wire::response::json(200, p->info());
  co_return out;
}

asio::awaitable<void> post_end(daemon_ptr d, wire::exchange& x, int number) {
  query_reader q(x.request());
  auto wait = q.number("waitMs").value_or(default_stop_wait_ms);
  auto p = d->find_process(x.param("id"));
  if (!q.refusal && !p) q.refusal = contract::not_found("process", x.param("id"));
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  work what = [p, number, wait] { return end(p, number, std::min(wait, max_stop_wait_ms)); };
  co_await do_once(d->out, x, d->keys, std::move(what));
}

asio::awaitable<answer> feed(std::shared_ptr<process> p, std::shared_ptr<std::string> bytes) {
  answer out;
  auto size = bytes->size();
  auto written = co_await p->input(std::move(*bytes));
  if (!written) {
    out.remember = false;
    out.response = written.error().number == EAGAIN ? contract::busy("the process does not read its stdin")
                                                    : contract::conflict("process is not running");
    co_return out;
  }
  json said;
  said["bytesWritten"] = size;
  out.response = json_response(said);
  co_return out;
}

asio::awaitable<void> post_input(daemon_ptr d, wire::exchange& x) {
  body_reader body(x.request());
  auto data = body.text("data");
  auto encoding = body.optional_text("encoding").value_or("base64");
  std::optional<std::string> bytes;
  if (encoding == "utf8" || encoding == "text")
    bytes = std::move(data);
  else if (encoding == "base64")
    bytes = from_base64(data);
  else if (!body.refusal)
    body.refusal = contract::invalid_request("encoding must be one of: base64, utf8, text");
  if (!body.refusal && !bytes) body.refusal = contract::invalid_request("invalid base64 data");
  if (!body.refusal && bytes->size() > d->config.max_input_bytes)
    body.refusal = contract::payload_too_large("input payload exceeds maxInputBytesPerRequest (" +
                                               std::to_string(d->config.max_input_bytes) + ")");
  auto p = d->find_process(x.param("id"));
  if (!body.refusal && !p) body.refusal = contract::not_found("process", x.param("id"));
  if (body.refusal) {
    co_await d->out.reply(x, *body.refusal);
    co_return;
  }
  auto shared = std::make_shared<std::string>(std::move(*bytes));
  work what = [p, shared] { return feed(p, shared); };
  co_await do_once(d->out, x, d->keys, std::move(what));
}

asio::awaitable<void> post_resize(daemon_ptr d, wire::exchange& x) {
  body_reader body(x.request());
  auto columns = body.number("cols", UINT16_MAX);
  auto rows = body.number("rows", UINT16_MAX);
  auto p = d->find_process(x.param("id"));
  if (!body.refusal && !p) body.refusal = contract::not_found("process", x.param("id"));
  if (!body.refusal && !p->what().terminal)
    body.refusal = contract::conflict("process is not running in tty mode");
  if (!body.refusal && !p->running()) body.refusal = contract::conflict("process is not running");
  if (!body.refusal) {
    auto resized = p->resize(static_cast<std::uint16_t>(columns), static_cast<std::uint16_t>(rows));
    if (!resized) body.refusal = contract::stream_error(contract::os_text(resized.error().number));
  }
  if (body.refusal) {
    co_await d->out.reply(x, *body.refusal);
    co_return;
  }
  json said;
  said["cols"] = columns;
  said["rows"] = rows;
  co_await d->out.reply(x, json_response(said));
}

json shown(const process_config& c) {
  json out;
  out["maxConcurrentProcesses"] = c.max_concurrent;
  out["defaultRunTimeoutMs"] = c.default_run_timeout_ms;
  out["maxRunTimeoutMs"] = c.max_run_timeout_ms;
  out["maxOutputBytes"] = c.max_output_bytes;
  out["maxLogBytesPerProcess"] = c.max_log_bytes;
  out["maxInputBytesPerRequest"] = c.max_input_bytes;
  return out;
}

asio::awaitable<void> get_config(daemon_ptr d, wire::exchange& x) {
  auto said = json_response(shown(d->config));
  co_await d->out.reply(x, std::move(said));
}

asio::awaitable<void> post_config(daemon_ptr d, wire::exchange& x) {
  body_reader body(x.request());
  process_config c;
  c.max_concurrent = body.number("maxConcurrentProcesses");
  c.default_run_timeout_ms = body.number("defaultRunTimeoutMs");
  c.max_run_timeout_ms = body.number("maxRunTimeoutMs");
  c.max_output_bytes = body.number("maxOutputBytes");
  c.max_log_bytes = body.number("maxLogBytesPerProcess");
  c.max_input_bytes = body.number("maxInputBytesPerRequest");
  auto refuse = [&](bool bad, const char* what) {
    if (!body.refusal && bad) body.refusal = contract::invalid_request(what);
  };
  refuse(!c.max_concurrent, "maxConcurrentProcesses must be greater than 0");
  refuse(!c.default_run_timeout_ms || !c.max_run_timeout_ms, "timeouts must be greater than 0");
  refuse(!c.max_output_bytes || !c.max_log_bytes || !c.max_input_bytes, "byte limits must be greater than 0");
  if (body.refusal) {
    co_await d->out.reply(x, *body.refusal);
    co_return;
  }
  c.default_run_timeout_ms = std::min(c.default_run_timeout_ms, c.max_run_timeout_ms);
  d->config = c;
  for (auto& [number, p] : d->processes) p->spool().set_capacity(c.max_log_bytes);
  auto said = json_response(shown(c));
  co_await d->out.reply(x, std::move(said));
}

asio::awaitable<void> release_key(daemon_ptr d, wire::exchange& x) {
  // One that is not known needs no release.
  d->keys->release(x.param("key"));
  co_await d->out.reply(x, wire::response::empty(204));
}

}  // namespace

void add_process_routes(wire::router& to, daemon_ptr d) {
  to.on("GET", "/v1/processes/config", [d](wire::exchange& x) { return get_config(d, x); });
  to.on("POST", "/v1/processes/config", [d](wire::exchange& x) { return post_config(d, x); });
  to.on("POST", "/v1/processes/run", [d](wire::exchange& x) { return post_run(d, x); });
  to.on("POST", "/v1/processes", [d](wire::exchange& x) { return post_create(d, x); });
  to.on("GET", "/v1/processes", [d](wire::exchange& x) { return list(d, x); });
  to.on("GET", "/v1/processes/{id}", [d](wire::exchange& x) { return get(d, x); });
  to.on("DELETE", "/v1/processes/{id}", [d](wire::exchange& x) { return remove(d, x); });
  to.on("POST", "/v1/processes/{id}/stop", [d](wire::exchange& x) { return post_end(d, x, SIGTERM); });
  to.on("POST", "/v1/processes/{id}/kill", [d](wire::exchange& x) { return post_end(d, x, SIGKILL); });
  to.on("POST", "/v1/processes/{id}/input", [d](wire::exchange& x) { return post_input(d, x); });
  to.on("POST", "/v1/processes/{id}/terminal/resize", [d](wire::exchange& x) { return post_resize(d, x); });
  to.on("DELETE", "/v1/keys/{key}", [d](wire::exchange& x) { return release_key(d, x); });
}

}  // namespace troupe::sandboxd
