#include "examples/scripted_agent/rpc.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace scripted {

void peer::run(const handler& on_message, int wake) {
  std::string buffer;
  std::size_t searched = 0;
  char block[65536];
  for (;;) {
    pollfd waits[] = {{in_, POLLIN, 0}, {wake, POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (waits[1].revents) return;
    const auto got = ::read(in_, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    buffer.append(block, static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (auto end = buffer.find('\n', searched); end != std::string::npos; end = buffer.find('\n', begin)) {
      receive(std::string_view(buffer).substr(begin, end - begin), on_message);
      begin = end + 1;
    }
    buffer.erase(0, begin);
    searched = buffer.size();
    if (buffer.size() > max_line) {
      std::fprintf(stderr, "scripted-agent: a line longer than %zu bytes came in; that is not ACP, leaving\n",
                   max_line);
      return;
    }
  }
}

void peer::receive(std::string_view line, const handler& on_message) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  const auto message = json::parse(line, nullptr, false);
  if (!message.is_object()) {
    refuse(nullptr, {fault::parse, "a line is not a JSON object"});
    return;
  }
  const auto id = message.contains("id") ? message["id"] : json(nullptr);
  if (const auto method = message.find("method"); method != message.end()) {
    if (!method->is_string()) return refuse(id, {fault::invalid_request, "method is not a string"});
    try {
      on_message(method->get<std::string>(), message.value("params", json::object()), id);
    } catch (const refusal& why) {
      if (!id.is_null()) refuse(id, why);
    } catch (const json::exception& e) {
      if (!id.is_null()) refuse(id, {fault::invalid_params, e.what()});
    }
    return;
  }
  if (!id.is_number_integer()) return;
  const std::lock_guard lock(asked_mutex_);
  if (const auto waiting = answers_.find(id.get<std::int64_t>()); waiting != answers_.end()) {
    waiting->second = message.contains("error") ? json{{"error", message["error"]}}
                                                : message.value("result", json::object());
    answered_.notify_all();
  }
}

void peer::notify(std::string_view method, json params) {
  send({{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}});
}

void peer::answer(const json& id, json result) {
  send({{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}});
}

void peer::refuse(const json& id, const refusal& why) {
  json error = {{"code", static_cast<int>(why.code)}, {"message", why.message}};
  if (!why.data.is_null()) error["data"] = why.data;
  send({{"jsonrpc", "2.0"}, {"id", id}, {"error", std::move(error)}});
}

std::optional<json> peer::ask(std::string_view method, json params, const std::stop_token& stop) {
  std::int64_t id;
  {
    const std::lock_guard lock(asked_mutex_);
    id = next_id_++;
    answers_[id] = nullptr;
  }
  send({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
  std::unique_lock lock(asked_mutex_);
  answered_.wait(lock, stop, [&] { return !answers_[id].is_null(); });
  auto answer = std::move(answers_.extract(id).mapped());
  if (answer.is_null()) return std::nullopt;
  return answer;
}

void peer::send(const json& message) {
  // What commands print need not be UTF-8; a wrong byte becomes U+FFFD and never an exception.
  write_raw(message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

void peer::write_raw(std::string_view bytes) {
  const std::lock_guard lock(out_mutex_);
  while (!bytes.empty()) {
    const auto put = ::write(out_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;  // the client is gone; the end of input says so to run()
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

}  // namespace scripted
