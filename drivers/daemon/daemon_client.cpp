#include "drivers/daemon/daemon_client.h"

#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

namespace troupe::drivers {
namespace {

using json = nlohmann::json;
using wire::asio::awaitable;

constexpr std::size_t max_stderr_tail = 4096;  // bytes of an agent's stderr in an error
constexpr std::size_t max_words = 2048;        // bytes of an answer that is not problem details
// What the answer may take after the process's own limit.
constexpr auto run_margin = std::chrono::seconds(5);
constexpr std::chrono::milliseconds shortest_run = std::chrono::seconds(1);
constexpr std::chrono::milliseconds keyed_run_limit = std::chrono::minutes(10);

// The end of a text, whole lines where there are some.
std::string tail(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  auto from = text.size() - limit;
  if (const auto line = text.find('\n', from); line != std::string::npos && line + 1 < text.size())
    from = line + 1;
  return "…" + text.substr(from);
}

std::string kind_of(const json& details) {
  const auto type = details.value("type", "");
  return type.substr(type.rfind(':') + 1);
}

}  // namespace

failed from_answer(const std::string& about, int status, std::string_view body) {
  if (status == 405) {
    problem p;
    p.status = 501;
    p.code = "unsupported";
    p.detail = about + ": the sandbox's daemon does not know this call";
    return {std::move(p), false};
  }
  const auto details = json::parse(body, nullptr, false);
  if (!details.is_object()) {
    const auto text = about + ": the sandbox's daemon answered " + std::to_string(status) + " " +
                      std::string(body.substr(0, max_words));
    if (status == 404) return not_found(text);
    return status >= 500 ? transport(text) : invalid(text);
  }
  const auto kind = kind_of(details);
  auto words = about + ": " + details.value("detail", details.value("title", "no reason given"));
  const auto more = details.value("details", json::object());
  if (kind == "agent_process_exited") {
    if (more.contains("exitCode")) {
      words += more["exitCode"].is_null() ? "; it was ended by a signal"
                                          : "; its exit code was " + more["exitCode"].dump();
    }
    if (const auto said = more.value("stderr", ""); !said.empty()) {
      words += "; the end of what it wrote to stderr:\n" + tail(said, max_stderr_tail);
    }
    return agent_failed(std::move(words));
  }
  if (kind == "agent_not_installed" || kind == "unsupported_agent" || kind == "install_failed") {
    if (const auto said = more.value("stderr", ""); !said.empty())
      words += "\n" + tail(said, max_stderr_tail);
    return agent_not_installed(
        std::move(words) +
        "; `troupe agent install` brings agents, `troupe agent list` shows which are there");
  }
  if (kind == "session_not_found" || kind == "not_found") return not_found(std::move(words));
  if (kind == "interrupted") {
    problem p;
    p.status = 502;
    p.code = "interrupted";
    p.detail = words + "; nobody knows how far it came";
    return {std::move(p), false};
  }
  if (kind == "timeout") return timed_out(std::move(words));
  if (kind == "token_invalid") {
    return invalid(std::move(words) +
                   "; the daemon does not accept the server's token: make the sandbox anew");
  }
  if (kind == "conflict" || status == 429) return quota(std::move(words));
  if (more.contains("message") && more["message"].is_string())
    words += " (" + more["message"].get<std::string>() + ")";
  // The daemon could not do it for a reason of the place (no such program, no such folder): asking again
  // gives the same, unless the place itself is going.
  if (kind == "stream_error") return invalid(std::move(words));
  return status >= 500 ? transport(std::move(words)) : invalid(std::move(words));
}

attempt<wire::endpoint> daemon_client::prepare(const std::string& handle, const std::string& about,
                                               wire::request& what) const {
  const auto address = find_(handle);
  if (!address)
    return not_found(about + ": there is no sandbox `" + handle + "` any more; make the task a new one");
  if (!address->token.empty()) what.headers.set("Authorization", "Bearer " + address->token);
  return address->at;
}

awaitable<attempt<wire::response>> daemon_client::send(std::string handle, std::string about,
                                                       wire::request what, wire::time_point deadline) {
  auto to = prepare(handle, about, what);
  if (!to) co_return to.error();
  auto answer = co_await http_.fetch(*to, std::move(what), deadline);
  if (!answer) co_return from_wire(about, answer.error());
  if (answer->status > 299) co_return from_answer(about, answer->status, answer->bytes());
  co_return std::move(*answer);
}

awaitable<attempt<wire::response_stream>> daemon_client::open_stream(std::string handle, std::string about,
                                                                     wire::request what,
                                                                     wire::time_point deadline) {
  auto to = prepare(handle, about, what);
  if (!to) co_return to.error();
  auto answer = co_await http_.open_stream(*to, std::move(what), deadline);
  if (!answer) co_return from_wire(about, answer.error());
  if (answer->status() > 299) {
    std::string body;
    while (body.size() < 65536) {
      auto piece = co_await answer->read(std::chrono::seconds(5));
      if (!piece || !*piece) break;
      body += **piece;
    }
    co_return from_answer(about, answer->status(), body);
  }
  co_return std::move(*answer);
}

awaitable<attempt<process_result>> daemon_client::run(std::string handle, std::string about,
                                                      process_request what, std::string idempotency_key,
                                                      wire::time_point deadline) {
  // A request that carries a key must be the same each time it is made: its limit cannot be the time that is
  // left.
  auto limit = keyed_run_limit;
  if (idempotency_key.empty()) {
    const auto left = deadline - wire::clock::now() - run_margin;
    limit = std::max(std::chrono::duration_cast<std::chrono::milliseconds>(left), shortest_run);
  }
  json body = {{"command", what.command},
               {"args", what.args},
               {"timeoutMs", limit.count()},
               {"maxOutputBytes", what.max_output_bytes}};
  if (!what.cwd.empty()) body["cwd"] = what.cwd;
  if (!what.environment.empty()) {
    auto& environment = body["env"] = json::object();
    for (const auto& [name, value] : what.environment) environment[name] = value;
  }
  wire::request post;
  post.method = "POST";
  post.target = "/v1/processes/run";
  post.headers.set("Content-Type", "application/json");
  if (!idempotency_key.empty()) post.headers.set("Idempotency-Key", std::move(idempotency_key));
  post.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  auto answer = co_await send(std::move(handle), about, std::move(post), deadline);
  if (!answer) co_return answer.error();
  const auto result = json::parse(answer->bytes(), nullptr, false);
  if (!result.is_object())
    co_return transport(about + ": the sandbox's daemon answered something that is not JSON");
  process_result ended;
  if (const auto code = result.find("exitCode"); code != result.end() && code->is_number_integer()) {
    ended.exit_code = code->get<int>();
  }
  ended.timed_out = result.value("timedOut", false);
  ended.output = result.value("stdout", "");
  ended.error = result.value("stderr", "");
  co_return ended;
}

awaitable<attempt<bool>> daemon_client::read_file(std::string handle, std::string path, std::uint64_t limit,
                                                  std::function<void(std::string_view)> sink,
                                                  wire::time_point deadline) {
  wire::query where;
  where.add("path", path);
  wire::request get;
  get.target = "/v1/fs/file?" + where.encode();
  const auto about = "reading " + path + " in the sandbox";
  auto stream = co_await open_stream(std::move(handle), about, std::move(get), deadline);
  if (!stream) co_return stream.error();
  std::uint64_t have = 0;
  for (;;) {
    const auto left = deadline - wire::clock::now();
    if (left <= wire::clock::duration::zero()) co_return timed_out(about + ": it took too long");
    auto piece = co_await stream->read(left);
    if (!piece) co_return from_wire(about, piece.error());
    if (!*piece) co_return false;
    const std::string_view bytes = **piece;
    const auto take = std::min<std::uint64_t>(bytes.size(), limit - have);
    sink(bytes.substr(0, take));
    have += take;
    if (take < bytes.size()) co_return true;
  }
}

awaitable<attempt<bool>> daemon_client::write_file(std::string handle, std::string path, std::string bytes,
                                                   wire::time_point deadline) {
  wire::query where;
  where.add("path", path);
  wire::request put;
  put.method = "PUT";
  put.target = "/v1/fs/file?" + where.encode();
  put.headers.set("Content-Type", "application/octet-stream");
  put.body = std::move(bytes);
  auto answer =
      co_await send(std::move(handle), "writing " + path + " in the sandbox", std::move(put), deadline);
  if (!answer) co_return answer.error();
  co_return true;
}

std::string daemon_client::where(const std::string& handle, const std::string& path) const {
  const std::string workspace = daemon_address().workspace;
  if (path != workspace && !path.starts_with(workspace + "/")) return path;
  const auto at = address(handle);
  return at ? at->workspace + path.substr(workspace.size()) : path;
}

}  // namespace troupe::drivers
