// The feed sandbox.watch: looks at a sandbox again and again, and tells what is new.
//
// Its position says what was told, so that a server that comes back goes on after it: nothing is told twice,
// and what the daemon could not keep that long is told as a gap.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <utility>

#include "drivers/daemon/perform.h"
#include "drivers/sandbox/driver.h"
#include "drivers/sandbox/network_door.h"

namespace troupe::drivers::sandbox {
namespace {

namespace asio = wire::asio;

constexpr std::size_t batch_entries = 256;
constexpr std::size_t log_entries_at_once = 100;  // of one process in one look

// Shared with callbacks of the host, which come from its own threads.
struct signals {
  std::atomic<bool> stopped{false};
  std::atomic<bool> committed{false};
};

struct watcher {
  wire::executor ex;
  std::shared_ptr<provider> world;
  daemon_client& daemons;
  options limits;
  std::shared_ptr<feed_run> run;
  std::string handle;
  std::shared_ptr<signals> said = std::make_shared<signals>();

  std::uint64_t batches = 0;
  std::uint64_t egress_seen = 0;
  std::uint64_t deaths_seen = 0;
  std::string state_seen;
  std::uint64_t memory_seen = 0, pids_seen = 0;
  std::map<std::string, std::string> processes_seen;  // id → its whole info
  std::map<std::string, std::uint64_t> log_seen;      // id → sequence of the last entry

  asio::awaitable<void> sleep(std::chrono::milliseconds how_long) {
    asio::steady_timer timer(ex, how_long);
    co_await timer.async_wait(asio::use_awaitable);
  }

  std::string position() const {
    return json{{"batches", batches}, {"logs", log_seen}, {"state", state_seen}, {"deaths", deaths_seen}}
        .dump();
  }
  void go_on_from(const std::string& text) {
    const auto at = json::parse(text, nullptr, false);
    if (!at.is_object()) return;  // the first, or of a version that only counted
    batches = at.value("batches", batches);
    log_seen = at.value("logs", log_seen);
    state_seen = at.value("state", state_seen);
    deaths_seen = at.value("deaths", deaths_seen);
  }

  // One batch at a time: the next may go only when this one's turn is durable.
  asio::awaitable<void> deliver(json entries) {
    if (entries.empty()) co_return;
    ++batches;
    said->committed = false;
    run->deliver(position(), std::move(entries), [s = said] { s->committed = true; });
    while (!said->committed && !said->stopped) co_await sleep(std::chrono::milliseconds(5));
  }

  asio::awaitable<attempt<json>> get(std::string target) {
    wire::request request;
    request.target = std::move(target);
    auto answer = co_await daemons.send(handle, "watching the sandbox", std::move(request),
                                        wire::clock::now() + limits.call_limit);
    if (!answer) co_return answer.error();
    auto body = json::parse(answer->bytes(), nullptr, false);
    if (!body.is_object()) co_return transport("watching the sandbox: its daemon answered no JSON");
    co_return body;
  }

  asio::awaitable<void> look_at_processes(json& entries) {
    auto listed = co_await get("/v1/processes");
    if (!listed) co_return;
    const auto all = listed->value("processes", json::array());
    std::erase_if(log_seen, [&](const auto& seen) {
      return std::ranges::none_of(all, [&](const json& info) { return info.value("id", "") == seen.first; });
    });
    for (const auto& info : all) {
      const auto id = info.value("id", "");
      const auto text = info.dump();
      auto logs = co_await get("/v1/processes/" + wire::percent_encode(id) +
                               "/logs?since=" + std::to_string(log_seen[id]) +
                               (info.value("tty", false) ? "&stream=pty" : ""));
      if (logs) {
        std::size_t taken = 0;
        for (const auto& entry : logs->value("entries", json::array())) {
          if (taken++ == log_entries_at_once || entries.size() + 2 >= batch_entries) break;
          const auto sequence = entry.value("sequence", log_seen[id]);
          if (sequence > log_seen[id] + 1)
            entries.push_back({{"type", "gap"}, {"process", id}, {"missing", sequence - log_seen[id] - 1}});
          log_seen[id] = sequence;
          entries.push_back({{"type", "log"},
                             {"process", id},
                             {"stream", entry.value("stream", "stdout")},
                             {"text", text_of(entry)}});
        }
      }
      if (processes_seen[id] == text || entries.size() + 2 >= batch_entries) continue;
      processes_seen[id] = text;
      entries.push_back({{"type", "process"}, {"process", info}});
    }
  }

  static std::string text_of(const json& entry) {
    const auto data = entry.value("data", "");
    if (entry.value("encoding", "") != "base64") return data;
    std::string out;
    std::uint32_t bits = 0;
    int have = 0;
    for (char c : data) {
      int v = c >= 'A' && c <= 'Z'   ? c - 'A'
              : c >= 'a' && c <= 'z' ? c - 'a' + 26
              : c >= '0' && c <= '9' ? c - '0' + 52
              : c == '+'             ? 62
              : c == '/'             ? 63
                                     : -1;
      if (v < 0) break;
      bits = bits << 6 | static_cast<std::uint32_t>(v);
      have += 6;
      if (have >= 8) {
        have -= 8;
        out += static_cast<char>(bits >> have & 0xff);
      }
    }
    return out;
  }

  void look_at_egress(json& entries) {
    for (const auto& [number, record] : world->egress(handle, egress_seen)) {
      if (entries.size() + 2 >= batch_entries) break;
      egress_seen = number;
      json entry = {{"type", "egress"},
                    {"method", record.method},
                    {"host", record.host + ":" + std::to_string(record.port)},
                    {"allowed", record.allowed},
                    {"bytes", record.bytes_in + record.bytes_out}};
      if (!record.why.empty()) entry["why"] = record.why;
      entries.push_back(std::move(entry));
    }
  }

  asio::awaitable<void> watch() {
    go_on_from(run->position());
    while (!said->stopped) {
      auto look = co_await world->inspect(handle);
      if (said->stopped) co_return;
      if (!look && look.error().why.code == "not_found") {
        run->fail(look.error().why);
        co_return;
      }
      json entries = json::array();
      if (look) {
        const auto deaths_before = std::exchange(deaths_seen, look->out_of_memory);
        if (look->out_of_memory > deaths_before) {
          json entry = {
              {"type", "state"}, {"state", look->state}, {"why", "out of memory: a process was killed"}};
          entries.push_back(std::move(entry));
        }
        if (look->state != state_seen) {
          state_seen = look->state;
          json entry = {{"type", "state"}, {"state", look->state}, {"why", look->why}};
          entries.push_back(std::move(entry));
        }
        // A megabyte more or less is no news.
        if (look->pids != pids_seen || look->memory_mb / 16 != memory_seen / 16) {
          pids_seen = look->pids;
          memory_seen = look->memory_mb;
          json entry = {{"type", "usage"}, {"memory_mb", memory_seen}, {"pids", pids_seen}};
          entries.push_back(std::move(entry));
        }
        look_at_egress(entries);
        if (look->state == "running") co_await look_at_processes(entries);
      }
      co_await deliver(std::move(entries));
      if (look && (look->state == "lost" || look->state == "stopped")) {
        problem gone = not_found("watching the sandbox: it is " + look->state +
                                 (look->why.empty() ? "" : ", " + look->why))
                           .why;
        if (!said->stopped) run->fail(std::move(gone));
        co_return;
      }
      if (!said->stopped) co_await sleep(limits.watch_every);
    }
  }
};

asio::awaitable<void> follow(std::shared_ptr<watcher> w) {
  auto keep = w;
  problem why;
  try {
    co_await keep->watch();
    co_return;
  } catch (const std::exception& e) {
    why = {.status = 500, .code = "broken", .detail = std::string("watching the sandbox: ") + e.what()};
  }
  keep->run->fail(std::move(why));
}

}  // namespace

std::vector<feed_kind> feeds(wire::executor ex, std::shared_ptr<provider> world, daemon_client& daemons,
                             options limits) {
  feed_kind watch;
  watch.name = "sandbox.watch";
  watch.start = [ex, world, &daemons, limits](std::shared_ptr<feed_run> run) {
    const wire::executor strand = asio::make_strand(ex);
    std::string handle;
    if (run->body().is_object()) handle = run->body().value("handle", "");
    auto w = std::shared_ptr<watcher>(new watcher{strand, world, daemons, limits, run, handle});
    run->on_stop([said = w->said] { said->stopped = true; });
    asio::co_spawn(strand, follow(w), asio::detached);
  };
  return {watch};
}

}  // namespace troupe::drivers::sandbox
