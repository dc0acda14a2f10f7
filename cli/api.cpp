#include "cli/api.h"

#include <sys/random.h>

#include <fmt/format.h>

#include "cli/terminal.h"

namespace troupe::cli {

namespace {

std::string encoded(std::string_view key) {
  return wire::percent_encode(key, true);
}

std::string hint_for(const std::string& code, int status, const std::string& detail) {
  if (status == 401)
    return "sign in again: `troupe serve` prints a link, --token or TROUPE_TOKEN takes a token";
  if (code == "mailbox_full" || code == "backpressure" || status == 429)
    return "the server is busy: try again in a moment";
  if (code == "unsaved_work") return "--discard does it all the same";
  if (code == "timed_out") return "it may still be applied: look before you repeat it";
  if (code == "not_found" && detail.starts_with("there is no actor"))
    return "it may not exist, or you may not see it: `troupe org list` shows yours";
  return {};
}

}  // namespace

std::string fresh_id() {
  unsigned char random[16];
  if (getrandom(random, sizeof random, 0) != sizeof random)
    throw failure("the kernel gives no random numbers");
  std::string id;
  for (const auto byte : random) id += fmt::format("{:02x}", byte);
  return id;
}

failure refused(const json& problem) {
  const auto code = problem.value("code", "");
  const auto status = problem.value("status", 0);
  auto text = plain(problem.value("detail", ""));
  if (text.empty()) text = plain(problem.value("title", fmt::format("status {}", status)));
  if (const auto at = problem.find("violations"); at != problem.end() && at->is_array() && !at->empty()) {
    // A list of them reads better than the sentence that has them all.
    if (const auto first = plain(at->front().value("message", "")); text.find(first) != std::string::npos)
      text = "what was given does not fit";
    for (const auto& one : *at) {
      const auto pointer = plain(one.value("pointer", ""));
      text +=
          fmt::format("\n  {}{}{}", pointer, pointer.empty() ? "" : ": ", plain(one.value("message", "")));
    }
  }
  if (!code.empty()) text += fmt::format(" ({})", plain(code));
  return failure(text, hint_for(code, status, problem.value("detail", ""))).with(problem);
}

api::api(place_of_server place, std::chrono::milliseconds limit) : place_(std::move(place)), limit_(limit) {
  auto parsed = wire::endpoint::parse(place_.url, &prefix_);
  if (!parsed) {
    throw misused(parsed.error().text, "an address looks like http://127.0.0.1:7741");
  }
  endpoint_ = *parsed;
  while (prefix_.ends_with('/')) prefix_.pop_back();
}

json api::call(wire::request what) {
  what.target = prefix_ + what.target;
  if (!place_.token.empty()) what.headers.set("Authorization", "Bearer " + place_.token);
  what.headers.set("Accept", "application/json");
  const auto target = fmt::format("{} {}", what.method, what.target);
  const auto answer = client_.fetch(endpoint_, std::move(what), limit_);
  if (!answer) {
    if (answer.error().kind == wire::fault::connect || answer.error().kind == wire::fault::address) {
      throw failure(
          fmt::format("no server answers at {} (from {}): {}", place_.url, place_.from, answer.error().text),
          "start one with `troupe serve`, or name another with --server or TROUPE_SERVER");
    }
    throw failure(fmt::format("{} at {}: {}", target, place_.url, answer.error().text));
  }
  if (answer->status == 204 || answer->status == 304) return nullptr;
  auto body = json::parse(answer->bytes(), nullptr, false);
  if (answer->status >= 400) {
    if (body.is_object() && body.contains("status")) throw refused(body);
    throw failure(fmt::format("{} at {} was answered with {}: {}", target, place_.url,
                              wire::reason_phrase(answer->status), cut(plain(answer->bytes()), 200)));
  }
  if (body.is_discarded()) {
    throw failure(fmt::format("{} at {} was answered with something that is not JSON", target, place_.url),
                  "is that address a Troupe server?");
  }
  return body;
}

json api::send(std::string method, std::string_view target, const json& body, wire::headers fields) {
  wire::request what;
  what.method = std::move(method);
  what.target = target;
  what.headers = std::move(fields);
  if (!body.is_null()) {
    what.headers.set("Content-Type", "application/json");
    what.body = body.dump();
  }
  return call(std::move(what));
}

json api::get(std::string_view target) {
  return send("GET", target, nullptr);
}

json api::command(std::string_view key, std::string_view name, const json& body, std::string id) {
  return send("POST", fmt::format("/v1/actors/{}/commands/{}", encoded(key), wire::percent_encode(name)),
              body, {{"Idempotency-Key", id.empty() ? fresh_id() : std::move(id)}});
}

json api::query(std::string_view key, std::string_view name, const json& body) {
  return send("POST", fmt::format("/v1/actors/{}/queries/{}", encoded(key), wire::percent_encode(name)),
              body);
}

json api::snapshot(std::string_view key) {
  return get(fmt::format("/v1/actors/{}/snapshot", encoded(key)));
}

json api::entries(std::string_view key, std::string_view stream, std::uint64_t after, std::uint64_t limit) {
  return get(fmt::format("/v1/actors/{}/streams/{}?after={}&limit={}", encoded(key),
                         wire::percent_encode(stream), after, limit));
}

}  // namespace troupe::cli
