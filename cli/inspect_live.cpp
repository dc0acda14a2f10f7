#include "cli/inspect_live.h"

#include <algorithm>
#include <map>
#include <thread>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/inspect_view.h"

namespace troupe::cli {

namespace {

constexpr std::size_t most_shown = 20;

std::string time_of_day(const json& turn) {
  return turn.contains("time") && turn["time"].is_number() ? local_time(turn["time"]).substr(11) : "";
}

/// The bound below which a share of what was counted between two histograms lies.
std::string quantile(const json& before, const json& now, double share) {
  std::uint64_t all = 0, below = 0;
  const auto grown = [&](std::size_t i) {
    const auto was = i < before.size() ? number_in(before[i], "count") : 0;
    return number_in(now[i], "count") - std::min(was, number_in(now[i], "count"));
  };
  for (std::size_t i = 0; i < now.size(); ++i) all += grown(i);
  if (all == 0) return "-";
  for (std::size_t i = 0; i < now.size(); ++i) {
    below += grown(i);
    if (static_cast<double>(below) < share * static_cast<double>(all)) continue;
    return now[i]["le"].is_null() ? "more" : fmt::format("≤{} µs", number_in(now[i], "le"));
  }
  return "-";
}

}  // namespace

void follow_turns(context& c, const tail_filter& f) {
  auto connection = c.connect();
  connection.subscribe("$host#events");
  while (true) {
    const auto frame = connection.next(std::chrono::steady_clock::now() + std::chrono::hours(1));
    if (!frame || frame->value("op", "") != "entries") continue;
    for (const auto& one : frame->at("entries")) {
      const auto& turn = one.contains("data") ? one["data"] : one;
      if (!turn.value("actor", "").starts_with(f.prefix)) continue;
      if (!f.kind.empty() && turn.value("kind", "") != f.kind) continue;
      if (static_cast<double>(number_in(turn, "duration_us")) < f.slow_ms * 1000) continue;
      if (c.print_json(turn)) continue;
      for (const auto& command : turn.value("commands", json::array())) {
        const bool good = command.value("ok", true);
        c.out.line(fmt::format(
            "{}  {}  {} {}  {}  {}", c.out.paint(style::dim, time_of_day(turn)),
            padded(plain(turn.value("actor", "")), 36),
            good ? c.out.paint(style::green, "✔") : c.out.paint(style::red, "✘"),
            c.out.paint(style::bold, plain(command.value("name", ""))), plain(command.value("principal", "")),
            c.out.paint(style::dim, good ? fmt::format("{} µs", number_in(command, "duration_us"))
                                         : plain(command.value("code", "")))));
      }
    }
  }
}

void watch_busiest(context& c, const std::string& prefix, double seconds, int times) {
  std::map<std::string, std::uint64_t> turns_before;
  json before;
  wire::query q;
  q.add("awake", "true");
  q.add("limit", "1000");
  if (!prefix.empty()) q.add("prefix", prefix);
  for (int n = 0; times == 0 || n <= times; ++n) {
    const auto host = c.server().get("/v1/inspect/host");
    auto actors = c.server().get("/v1/inspect/actors?" + q.encode()).at("actors");
    std::map<std::string, std::uint64_t> turns;
    for (auto& one : actors) {
      const auto key = one["key"].get<std::string>();
      const auto now = turns[key] = number_in(one, "turn");
      const auto was = turns_before.find(key);
      one["turns"] = was == turns_before.end() ? 0 : now - std::min(now, was->second);
    }
    std::stable_sort(actors.begin(), actors.end(), [](const json& a, const json& b) {
      return std::pair(number_in(a, "turns"), number_in(a, "mailbox")) >
             std::pair(number_in(b, "turns"), number_in(b, "mailbox"));
    });
    // The first look only says where the counting begins.
    if (n > 0) {
      const auto rate = [&](const char* name) {
        return static_cast<double>(number_in(host, name) -
                                   std::min(number_in(host, name), number_in(before, name))) /
               seconds;
      };
      if (actors.size() > most_shown) actors.erase(actors.begin() + most_shown, actors.end());
      if (!c.print_json({{"turns_per_second", rate("turns")},
                         {"commands_per_second", rate("commands")},
                         {"awake", host.value("awake", 0)},
                         {"actors", actors}})) {
        if (c.out.interactive()) c.out.write("\x1b[H\x1b[J");
        const auto& latency = host.at("turn_latency_us");
        c.out.line(
            fmt::format("{}  {} of {} actors awake  {:.1f} turns/s  {:.1f} commands/s  {:.1f} messages/s  "
                        "half {}  99 of 100 {}",
                        c.out.paint(style::bold, local_time(now_ms()).substr(11)), number_in(host, "awake"),
                        number_in(host, "actors"), rate("turns"), rate("commands"), rate("messages"),
                        quantile(before["turn_latency_us"], latency, 0.5),
                        quantile(before["turn_latency_us"], latency, 0.99)));
        table t({"KEY", "TURNS/S", "MAILBOX", "OUTBOX", "EFFECTS", "FEEDS", "SIZE"}, {6, 5, 4});
        for (const auto& one : actors) {
          t.row({shown(one.at("key")),
                 fmt::format("{:.1f}", static_cast<double>(number_in(one, "turns")) / seconds),
                 std::to_string(number_in(one, "mailbox")), std::to_string(number_in(one, "outbox")),
                 std::to_string(number_in(one, "effects")), std::to_string(number_in(one, "feeds")),
                 bytes(number_in(one, "bytes"))});
        }
        c.out.write(t.text(c.out));
      }
    }
    turns_before = std::move(turns);
    before = host;
    if (times == 0 || n < times) std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  }
}

}  // namespace troupe::cli
