// One actor's snapshot to many WebSocket subscribers, beside a plain loop that writes the same bytes to as
// many sockets and beside the npm package `ws`; then commands over WebSocket beside the same in this process.
//
//   fan-out --help
#include <sys/resource.h>
#include <unistd.h>

#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/counter.h"
#include "bench/fan/crowd.h"
#include "bench/fan/servers.h"
#include "bench/load.h"
#include "bench/measure.h"

using namespace troupe;
using namespace troupe::bench;

namespace {

constexpr double patience = 60;
constexpr std::string_view subscribe = R"({"op":"subscribe","id":"1","topic":"board/b"})";

struct options {
  std::filesystem::path parent = std::filesystem::temp_directory_path();
  std::filesystem::path with_ws = FAN_NODE_FOLDER;
  double seconds_each = 3;
  int runs = 3;
  std::string only;

  bool wants(std::string_view row) const { return only.empty() || row.starts_with(only); }
};

struct contender {
  const char* name;
  std::vector<std::string> words;
  std::string hello;
};

std::vector<std::string> with_data(const contender& c, const folder& data) {
  auto words = c.words;
  words.insert(words.end(), {"--data", (data.path() / "data").string()});
  return words;
}

/// A server with its crowd: broadcasts that are asked for, and what arrives of them.
class audience {
 public:
  audience(const contender& c, int clients, const std::filesystem::path& parent)
      : data_(parent), server(with_data(c, data_)), before_kb(server.resident_kb()), clients_(clients) {
    seen_.resize(static_cast<std::size_t>(clients), nothing);
    crowd_ = std::make_unique<crowd>(server.port(), clients, c.hello);
    crowd_->heard = [this](int client, std::string_view frame) { heard(client, frame); };
    reach(0);
  }

  /// Broadcasts as fast as all get them, two under way.
  void flood(double for_seconds) {
    for (const double end = seconds() + for_seconds; seconds() < end;) {
      ask();
      if (asked_ >= 2) reach(asked_ - 1);
    }
    reach(asked_);
  }

  /// So many a second. What each frame took from its asking to its arrival.
  std::vector<double> pace(double each_second, double for_seconds) {
    took_.clear();
    const double begin = seconds();
    for (int i = 0; i < static_cast<int>(each_second * for_seconds); ++i) {
      crowd_->run(begin + i / each_second, [] { return false; });
      ask();
    }
    reach(asked_);
    return took_;
  }

  const folder data_;
  served server;
  const double before_kb;
  long frames = 0;

 private:
  static constexpr std::uint64_t nothing = UINT64_MAX;

  void ask() {
    at_.push_back(seconds());
    ++asked_;
    server.broadcast();
  }

  void heard(int client, std::string_view frame) {
    const auto found = frame.substr(0, 256).find("\"n\":");
    if (found == std::string_view::npos) {
      if (frame.find(R"("ok":false)") != std::string_view::npos)
        throw std::runtime_error("refused: " + std::string(frame));
      return;
    }
    const std::uint64_t n = std::strtoull(frame.data() + found + 4, nullptr, 10);
    auto& last = seen_[static_cast<std::size_t>(client)];
    if (last != nothing && n <= last) throw std::runtime_error("a frame came twice or late");
    // One that the server left out for a newer one counts as arrived, and as no frame.
    for (auto i = last == nothing ? 0 : last + 1; i <= n; ++i) ++reached_[i];
    last = n;
    ++frames;
    if (n > 0) took_.push_back(seconds() - at_[n - 1]);
  }

  void reach(std::uint64_t n) {
    if (!crowd_->run(seconds() + patience, [&] { return reached_[n] >= clients_; }))
      throw std::runtime_error(fmt::format("broadcast {} has not come to all {} in a minute", n, clients_));
    reached_.erase(reached_.begin(), reached_.find(n));
  }

  const int clients_;
  std::unique_ptr<crowd> crowd_;
  std::vector<std::uint64_t> seen_;
  std::map<std::uint64_t, int> reached_;
  std::vector<double> at_;
  std::vector<double> took_;
  std::uint64_t asked_ = 0;
};

double own_cpu() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

void flood(const options& o, const std::vector<contender>& all, int clients) {
  struct figures {
    std::vector<double> rate, per_cpu, memory, client;
  };
  std::vector<figures> found(all.size());
  for (int i = 0; i < o.runs; ++i) {
    for (std::size_t c = 0; c < all.size(); ++c) {
      audience a(all[c], clients, o.parent);
      found[c].memory.push_back((a.server.resident_kb() - a.before_kb) / clients);
      a.flood(o.seconds_each / 5);
      const double cpu = a.server.cpu_seconds(), mine = own_cpu(), begin = seconds();
      const long before = a.frames;
      a.flood(o.seconds_each);
      const double took = seconds() - begin;
      const auto frames = static_cast<double>(a.frames - before);
      found[c].rate.push_back(frames / took);
      found[c].per_cpu.push_back(frames / (a.server.cpu_seconds() - cpu));
      found[c].client.push_back((own_cpu() - mine) / took);
    }
  }
  const double plain_rate = quantile(found[0].rate, 0.5), plain_cpu = quantile(found[0].per_cpu, 0.5);
  for (std::size_t c = 0; c < all.size(); ++c) {
    const double rate = quantile(found[c].rate, 0.5), per_cpu = quantile(found[c].per_cpu, 0.5);
    fmt::print("{:<8} {:>11} {:>10.0f} {:>6.2f} {:>18.0f} {:>6.2f} {:>14.1f} {:>10.0f} %\n", all[c].name,
               clients, rate, rate / plain_rate, per_cpu, per_cpu / plain_cpu, quantile(found[c].memory, 0.5),
               quantile(found[c].client, 0.5) * 100);
  }
  std::fflush(stdout);
}

void pace(const options& o, const std::vector<contender>& all) {
  constexpr int clients = 1000, each_second = 20;
  fmt::print("\n{:<8} {:>11} {:>10} {:>10} {:>10}   from asking for the commit to the frame's receipt\n", "",
             "subscribers", "a second", "p50 ms", "p99 ms");
  for (const auto& c : all) {
    audience a(c, clients, o.parent);
    a.pace(each_second, 1);
    std::vector<double> took;
    for (int i = 0; i < o.runs; ++i) {
      const auto more = a.pace(each_second, o.seconds_each);
      took.insert(took.end(), more.begin(), more.end());
    }
    fmt::print("{:<8} {:>11} {:>10} {:>10.1f} {:>10.1f}\n", c.name, clients, each_second,
               quantile(took, 0.5) * 1e3, quantile(took, 0.99) * 1e3);
    std::fflush(stdout);
  }
}

struct answered {
  double rate = 0;
  std::vector<double> took;
};

/// counter.add over so many connections, each with so many unanswered.
answered over_websocket(const options& o, const contender& troupe, int connections, int each) {
  const folder data(o.parent);
  served server(with_data(troupe, data));
  crowd clients(server.port(), connections, {});
  answered out;
  long id = 0, count = 0, left = 0;
  double end = 0;
  std::vector<double> sent;
  const auto send = [&](int client) {
    sent.push_back(seconds());
    clients.say(
        client,
        fmt::format(R"({{"op":"command","id":"{}","to":"counter/c0","name":"counter.add","body":{{"n":1}}}})",
                    id++));
    ++left;
  };
  clients.heard = [&](int client, std::string_view frame) {
    constexpr std::string_view before_id = R"({"op":"reply","id":")";
    if (!frame.starts_with(before_id)) return;
    if (frame.find(R"("ok":true)") == std::string_view::npos)
      throw std::runtime_error("refused: " + std::string(frame));
    const auto which = std::strtoul(frame.data() + before_id.size(), nullptr, 10);
    out.took.push_back(seconds() - sent[which]);
    ++count;
    --left;
    if (seconds() < end) send(client);
  };
  for (const double part : {o.seconds_each / 5, o.seconds_each}) {  // the first to warm up
    out.took.clear();
    count = 0;
    const double begin = seconds();
    end = begin + part;
    for (int i = 0; i < connections * each; ++i) send(i % connections);
    if (!clients.run(begin + patience + part, [&] { return left == 0; }))
      throw std::runtime_error("not all answered");
    out.rate = static_cast<double>(count) / (seconds() - begin);
  }
  return out;
}

answered in_process(const options& o, int in_flight) {
  folder dir(o.parent);
  host h({.data = dir.path() / "data", .kinds = {&counter()}});
  h.start();
  h.call_as_host(counter_key(0), "counter.open", json::object(), "open", true);
  load(h, 1, in_flight, o.seconds_each / 5);
  load measured(h, 1, in_flight, o.seconds_each);
  h.stop();
  return {measured.rate, std::move(measured.took)};
}

void commands(const options& o, const contender& troupe) {
  fmt::print("\n{:<52} {:>12} {:>12} {:>10}\n", "commands of one actor, durable", "websocket", "in process",
             "");
  std::vector<double> alone, alone_here, many, many_here;
  for (int i = 0; i < o.runs; ++i) {
    alone.push_back(quantile(over_websocket(o, troupe, 1, 1).took, 0.5));
    alone_here.push_back(quantile(in_process(o, 1).took, 0.5));
    many.push_back(over_websocket(o, troupe, 16, 4).rate);
    many_here.push_back(in_process(o, 64).rate);
  }
  const double there = quantile(alone, 0.5) * 1e6, here = quantile(alone_here, 0.5) * 1e6;
  fmt::print("{:<52} {:>9.0f} us {:>9.0f} us {:>+7.0f} us\n", "1 in flight, median", there, here,
             there - here);
  fmt::print("{:<52} {:>12.0f} {:>12.0f} {:>10.2f}\n", "64 in flight over 16 connections, a second",
             quantile(many, 0.5), quantile(many_here, 0.5), quantile(many, 0.5) / quantile(many_here, 0.5));
}

void allow_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int measure(const options& o) {
  const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::vector<contender> all{{"plain", {self, "--serve", "plain"}, {}},
                                   {"troupe", {self, "--serve", "troupe"}, std::string(subscribe)},
                                   {"ws", {"node", FAN_WS_SERVER, o.with_ws.string()}, {}}};

  bool heading = true;
  for (const int clients : {100, 1000, 5000}) {
    if (!o.wants(fmt::format("flood/{}", clients))) continue;
    if (std::exchange(heading, false))
      fmt::print("{:<8} {:>11} {:>10} {:>6} {:>18} {:>6} {:>14} {:>12}\n", "", "subscribers", "frames/s",
                 "ratio", "frames/CPU second", "ratio", "KB a subscriber", "clients' CPU");
    flood(o, all, clients);
  }
  if (o.wants("pace")) pace(o, all);
  if (o.wants("commands")) commands(o, all[1]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Frames a second, processor time and memory of one actor's 2 KB snapshot to many WebSocket "
      "subscribers, beside a "
      "plain loop that writes the same bytes and beside the npm package ws; latency at a steady pace; "
      "commands over "
      "WebSocket beside in-process ones. Medians of interleaved runs.\n\n"
      "examples:\n  fan-out\n  fan-out --only flood/1000 --runs 5\n  fan-out --only commands"};
  options o;
  std::string serve, data;
  app.add_option("--dir", o.parent, "a folder for the actors' files")->check(CLI::ExistingDirectory);
  app.add_option("--with-ws", o.with_ws, "a folder with node_modules/ws")->capture_default_str();
  app.add_option("--seconds", o.seconds_each, "of each run")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  app.add_option("--runs", o.runs, "of each figure")->check(CLI::Range(1, 99))->capture_default_str();
  app.add_option("--only", o.only, "rows that begin so: flood/SUBSCRIBERS, pace, commands");
  app.add_option("--serve", serve)->check(CLI::IsMember({"troupe", "plain"}))->group("");
  app.add_option("--data", data)->group("");
  CLI11_PARSE(app, argc, argv);

  allow_descriptors();
  try {
    if (serve == "plain") serve_plain();
    if (serve == "troupe") serve_troupe(data);
    return serve.empty() ? measure(o) : 0;
  } catch (const std::exception& why) {
    fmt::print(stderr, "fan-out: {}\n", why.what());
    return 1;
  }
}
