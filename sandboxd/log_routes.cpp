// /v1/processes/{id}/logs, read or followed, and the acknowledgement of what was read.
#include <cstdlib>
#include <deque>

#include "net/wire/sse.h"
#include "sandboxd/contract.h"
#include "sandboxd/daemon.h"
#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace {

namespace asio = wire::asio;
using nlohmann::json;

constexpr auto keep_alive_every = std::chrono::seconds(15);

// Events are sent together up to this.
constexpr std::size_t batch_bytes = 64 * 1024;

// Which records a look at the logs is about.
struct log_filter {
  std::string name;
  bool passes(const spool_record& r) const {
    auto kind = static_cast<stream_kind>(r.kind);
    if (name == "combined") return kind != stream_kind::terminal;
    return name == stream_name(kind);
  }
};

json log_entry(const spool_record& r) {
  json out;
  out["sequence"] = r.sequence;
  out["stream"] = stream_name(static_cast<stream_kind>(r.kind));
  out["timestampMs"] = r.time_ms;
  out["data"] = base64(r.bytes);
  out["encoding"] = "base64";
  return out;
}

asio::awaitable<void> follow(daemon_ptr d, wire::exchange& x, std::shared_ptr<process> p, log_filter filter,
                             std::uint64_t after) {
  wire::headers fields;
  fields.set("content-type", "text/event-stream");
  fields.set("cache-control", "no-cache");
  if (!co_await d->out.begin_stream(x, 200, std::move(fields))) co_return;
  if (x.request().method == "HEAD") {
    co_await x.finish();
    co_return;
  }
  wire::signal changed(d->ex);
  x.on_gone([changed] { changed.raise(); });
  auto watcher = p->spool().watch(changed);
  spool::cursor at(p->spool(), after);
  bool alive = true;
  while (alive && !x.gone() && !x.stopping() && !p->removed()) {
    std::string batch;
    bool more = false;
    while (batch.size() < batch_bytes) {
      auto record = at.next();
      more = record.ok() && record.value();
      if (!more) {
        alive = record.ok();
        break;
      }
      if (filter.passes(*record.value()))
        batch += wire::format_event(log_entry(*record.value()).dump(),
                                    std::to_string(record.value()->sequence), "log");
    }
    if (!batch.empty()) {
      alive = co_await x.write(std::move(batch)) && alive;
      continue;
    }
    auto until = wire::clock::now() + keep_alive_every;
    std::string quiet = ":\n\n";
    if (alive && !co_await changed.wait(until)) alive = co_await x.write(std::move(quiet));
  }
  p->spool().unwatch(watcher);
  if (alive) co_await x.finish();
}

asio::awaitable<void> logs(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  auto stream = q.optional_text("stream");
  auto tail = q.number("tail");
  auto since = q.number("since");
  bool live = q.flag("follow");
  if (stream && *stream != "stdout" && *stream != "stderr" && *stream != "combined" && *stream != "pty")
    q.refusal = contract::bad_query("stream: unknown variant `" + *stream +
                                    "`, expected one of `stdout`, `stderr`, `combined`, `pty`");
  auto p = d->find_process(x.param("id"));
  if (!q.refusal && !p) q.refusal = contract::not_found("process", x.param("id"));
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  log_filter filter{stream.value_or(p->what().terminal ? "pty" : "combined")};
  std::uint64_t after = since.value_or(0);
  if (auto field = x.request().headers.find("last-event-id"); live && !since && field)
    after = std::strtoull(std::string(*field).c_str(), nullptr, 10);
  std::deque<spool_record> kept;
  if (!live || tail) {
    spool::cursor at(p->spool(), after);
    for (;;) {
      auto record = at.next();
      if (!record || !record.value()) break;
      if (!filter.passes(*record.value())) continue;
      kept.push_back(std::move(*record.value()));
      if (tail && kept.size() > *tail) kept.pop_front();
    }
  }
  if (live) {
    // A tail is where the replay begins.
    if (tail) after = kept.empty() ? p->spool().last() : kept.front().sequence - 1;
    co_await follow(d, x, p, filter, after);
    co_return;
  }
  json out;
  out["processId"] = p->what().id;
  out["stream"] = filter.name;
  out["entries"] = json::array();
  for (auto& r : kept) out["entries"].push_back(log_entry(r));
  co_await d->out.reply(x, json_response(out));
}

asio::awaitable<void> acknowledge(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  q.text("seq");
  auto seq = q.number("seq");
  auto p = d->find_process(x.param("id"));
  if (!q.refusal && !p) q.refusal = contract::not_found("process", x.param("id"));
  if (!q.refusal)
    if (auto noted = p->spool().acknowledge(*seq); !noted)
      q.refusal = noted.error().number == EINVAL ? contract::invalid_request(noted.error().text)
                                                 : contract::internal(noted.error().text);
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  json said;
  said["acknowledged"] = p->spool().acknowledged();
  said["first"] = p->spool().first();
  said["last"] = p->spool().last();
  co_await d->out.reply(x, json_response(said));
}

}  // namespace

void add_log_routes(wire::router& to, daemon_ptr d) {
  to.on("GET", "/v1/processes/{id}/logs", [d](wire::exchange& x) { return logs(d, x); });
  to.on("POST", "/v1/processes/{id}/ack", [d](wire::exchange& x) { return acknowledge(d, x); });
}

}  // namespace troupe::sandboxd
