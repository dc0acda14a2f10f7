#include "sandboxd/once.h"

#include <algorithm>

#include "sandboxd/contract.h"
#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace asio = wire::asio;
namespace {

constexpr const char* vary = "origin, access-control-request-method, access-control-request-headers";

std::string listed(const std::vector<std::string>& items) {
  if (items.empty()) return "*";
  std::string out;
  for (auto& item : items) out.append(out.empty() ? "" : ",").append(item);
  return out;
}

bool usable_key(std::string_view key) {
  return !key.empty() && key.size() <= max_key_bytes &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 127; });
}

// Shared by the request that waits and the work that goes on without it.
struct running {
  explicit running(wire::executor ex) : changed(ex) {}
  std::optional<wire::response> response;
  wire::signal changed;
};

asio::awaitable<void> run(std::shared_ptr<running> state, std::shared_ptr<key_ledger> ledger, std::string key,
                          work what) {
  answer result;
  std::string fault;
  try {
    result = co_await what();
  } catch (const std::exception& e) {
    fault = e.what();
  }
  if (!fault.empty()) result.response = contract::internal(fault);
  if (!key.empty()) {
    if (result.remember) {
      remembered kept;
      kept.status = result.response.status;
      kept.content_type = result.response.headers.find("content-type").value_or("");
      kept.body = result.response.bytes();
      kept.position = result.position;
      ledger->finish(key, std::move(kept), now_ms());
    } else {
      ledger->abandon(key);
    }
  }
  state->response = std::move(result.response);
  state->changed.raise();
}

wire::response recalled(const key_ledger& ledger, const std::string& key) {
  auto found = ledger.recall(key);
  if (!found)
    return contract::internal("cannot read what this idempotency key led to: " + found.error().text);
  auto& kept = found.value();
  auto out = kept.content_type.empty()
                 ? wire::response::empty(kept.status)
                 : wire::response::of(kept.status, kept.content_type, std::move(kept.body));
  out.headers.add("idempotency-replayed", "true");
  return out;
}

}  // namespace

void responder::add_fields(const wire::request& from, wire::headers& to) const {
  to.set("vary", vary);
  if (cors_.origins.empty()) return;
  if (cors_.credentials) to.set("access-control-allow-credentials", "true");
  auto origin = from.headers.find("origin");
  if (origin && std::find(cors_.origins.begin(), cors_.origins.end(), *origin) != cors_.origins.end())
    to.set("access-control-allow-origin", std::string(*origin));
}

asio::awaitable<bool> responder::reply(wire::exchange& to, wire::response answer) const {
  add_fields(to.request(), answer.headers);
  co_return co_await to.reply(std::move(answer));
}

asio::awaitable<bool> responder::begin_stream(wire::exchange& to, int status, wire::headers fields) const {
  add_fields(to.request(), fields);
  co_return co_await to.begin_stream(status, std::move(fields));
}

asio::awaitable<bool> responder::preflight(wire::exchange& to,
                                           const std::vector<std::string>& allowed) const {
  auto out = wire::response::empty(200);
  out.headers.set("access-control-allow-methods", listed(cors_.methods));
  out.headers.set("access-control-allow-headers", listed(cors_.headers));
  if (!allowed.empty()) out.headers.set("allow", listed(allowed));
  co_return co_await reply(to, std::move(out));
}

asio::awaitable<void> do_once(const responder& out, wire::exchange& request,
                              std::shared_ptr<key_ledger> ledger, work what) {
  auto ex = request.get_executor();
  std::string key(request.request().headers.find("idempotency-key").value_or(""));
  if (request.request().headers.has("idempotency-key")) {
    if (!usable_key(key)) {
      auto refusal = contract::invalid_request("Idempotency-Key must be 1 to 255 visible ASCII characters");
      co_await out.reply(request, std::move(refusal));
      co_return;
    }
    auto& r = request.request();
    auto print = fingerprint({r.method, r.target, r.body});
    auto state = ledger->begin(key, print, now_ms());
    while (state == key_ledger::seen::running) {
      auto settled = ledger->await(key, ex);
      if (!settled) {
        state = ledger->begin(key, print, now_ms());
        continue;
      }
      auto signal = *settled;
      request.on_gone([signal] { signal.raise(); });
      co_await signal.wait();
      if (request.gone()) co_return;
      // Abandoned meanwhile: this request is the first one now.
      state = ledger->begin(key, print, now_ms());
    }
    std::optional<wire::response> known;
    switch (state) {
      case key_ledger::seen::finished:
        known = recalled(*ledger, key);
        break;
      case key_ledger::seen::interrupted:
        known = contract::interrupted(key);
        break;
      case key_ledger::seen::mismatch:
        known = contract::key_reused(key);
        break;
      case key_ledger::seen::full:
        known = contract::too_many_keys(
            "no room for another idempotency key: acknowledge or release those that are done");
        break;
      case key_ledger::seen::failed:
        known = contract::busy(
            "the idempotency key cannot be written down: is the disk of the state folder full?");
        break;
      default:
        break;
    }
    if (known) {
      co_await out.reply(request, std::move(*known));
      co_return;
    }
  }
  auto state = std::make_shared<running>(ex);
  asio::co_spawn(ex, run(state, ledger, key, std::move(what)), asio::detached);
  request.on_gone([state] { state->changed.raise(); });
  while (!state->response && !request.gone()) co_await state->changed.wait();
  if (state->response) co_await out.reply(request, std::move(*state->response));
}

}  // namespace troupe::sandboxd
