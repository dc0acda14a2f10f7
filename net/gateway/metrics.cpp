#include "net/gateway/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>

#include "runtime/host.h"

namespace troupe::gateway {

namespace {

prometheus::MetricFamily family(const char* name, const char* help, prometheus::MetricType type) {
  prometheus::MetricFamily f;
  f.name = name;
  f.help = help;
  f.type = type;
  return f;
}

prometheus::MetricFamily count(const char* name, const char* help, std::uint64_t value) {
  auto f = family(name, help, prometheus::MetricType::Counter);
  prometheus::ClientMetric m;
  m.counter.value = static_cast<double>(value);
  f.metric.push_back(m);
  return f;
}

prometheus::MetricFamily level(const char* name, const char* help, double value) {
  auto f = family(name, help, prometheus::MetricType::Gauge);
  prometheus::ClientMetric m;
  m.gauge.value = value;
  f.metric.push_back(m);
  return f;
}

// The host's buckets are upper bounds with counts of their own; Prometheus wants running sums, and +Inf last.
prometheus::MetricFamily spread(const char* name, const char* help,
                                const std::vector<std::pair<std::int64_t, std::uint64_t>>& buckets,
                                double unit) {
  auto f = family(name, help, prometheus::MetricType::Histogram);
  prometheus::ClientMetric m;
  std::uint64_t sum_of_counts = 0;
  double sum = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    auto [bound, n] = buckets[i];
    sum_of_counts += n;
    bool last = i + 1 == buckets.size();
    auto below = last && i > 0 ? buckets[i - 1].first : bound;
    // The host keeps no sum; the bound of each bucket is the closest that can be said.
    sum += static_cast<double>(n) * static_cast<double>(below) / unit;
    prometheus::ClientMetric::Bucket b;
    b.cumulative_count = sum_of_counts;
    b.upper_bound = last ? std::numeric_limits<double>::infinity() : static_cast<double>(bound) / unit;
    m.histogram.bucket.push_back(b);
  }
  m.histogram.sample_count = sum_of_counts;
  m.histogram.sample_sum = sum;
  f.metric.push_back(m);
  return f;
}

}  // namespace

struct metrics::impl {
  impl()
      : requests(prometheus::BuildCounter()
                     .Name("troupe_http_requests_total")
                     .Help("Answered HTTP requests by class of status")
                     .Register(registry)),
        websockets(prometheus::BuildGauge()
                       .Name("troupe_websockets")
                       .Help("Open WebSocket connections")
                       .Register(registry)
                       .Add({})),
        frames_out(counter("troupe_websocket_frames_sent_total", "Frames sent to WebSocket clients")),
        bytes_out(counter("troupe_websocket_bytes_sent_total", "Bytes of frames sent to WebSocket clients")),
        frames_in(
            counter("troupe_websocket_frames_received_total", "Frames received from WebSocket clients")),
        skipped(counter("troupe_snapshots_conflated_total",
                        "Snapshots that a newer one replaced before a slow reader could take them")) {
    for (int i = 0; i < 6; ++i)
      by_class[i] = &requests.Add({{"status", i ? std::to_string(i) + "xx" : "other"}});
  }

  prometheus::Counter& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  }

  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests;
  std::array<prometheus::Counter*, 6> by_class{};
  prometheus::Gauge& websockets;
  prometheus::Counter& frames_out;
  prometheus::Counter& bytes_out;
  prometheus::Counter& frames_in;
  prometheus::Counter& skipped;
};

metrics::metrics() : impl_(std::make_unique<impl>()) {}
metrics::~metrics() = default;

void metrics::request(int status) {
  auto c = status / 100;
  impl_->by_class[static_cast<std::size_t>(c >= 1 && c <= 5 ? c : 0)]->Increment();
}

void metrics::websocket_opened() {
  impl_->websockets.Increment();
}
void metrics::websocket_closed() {
  impl_->websockets.Decrement();
}

void metrics::frame_sent(std::size_t bytes) {
  impl_->frames_out.Increment();
  impl_->bytes_out.Increment(static_cast<double>(bytes));
}

void metrics::frame_received() {
  impl_->frames_in.Increment();
}
void metrics::snapshot_skipped() {
  impl_->skipped.Increment();
}

std::string metrics::text(const host& h) const {
  auto all = impl_->registry.Collect();
  auto s = h.stats();
  all.push_back(level("troupe_actors", "Known actors", static_cast<double>(s.actors)));
  all.push_back(level("troupe_actors_awake", "Awake actors", static_cast<double>(s.awake)));
  all.push_back(
      level("troupe_actors_awake_limit", "How many may be awake", static_cast<double>(s.awake_limit)));
  all.push_back(level("troupe_actors_quarantined", "Quarantined actors", static_cast<double>(s.quarantined)));
  all.push_back(level("troupe_subscribers", "Subscriptions to topics", static_cast<double>(s.subscribers)));
  all.push_back(
      level("troupe_uptime_seconds", "Since the host started", static_cast<double>(s.uptime.count()) / 1000));
  all.push_back(count("troupe_turns_total", "Committed turns", s.turns));
  all.push_back(count("troupe_commands_total", "Commands applied", s.commands));
  all.push_back(count("troupe_commands_failed_total", "Commands answered with a problem", s.failed_commands));
  all.push_back(count("troupe_queries_total", "Queries", s.queries));
  all.push_back(count("troupe_wakes_total", "Actors woken", s.wakes));
  all.push_back(count("troupe_sleeps_total", "Actors put to sleep", s.sleeps));
  all.push_back(count("troupe_messages_total", "Messages between actors", s.messages));
  all.push_back(count("troupe_effects_started_total", "Effects started", s.effects_started));
  all.push_back(count("troupe_effects_failed_total", "Effects that failed", s.effects_failed));
  all.push_back(count("troupe_commits_failed_total", "Commits that failed", s.commits_failed));
  all.push_back(count("troupe_snapshots_built_total", "Snapshots built", s.snapshots_built));
  all.push_back(spread("troupe_turn_seconds", "Turns from BEGIN to COMMIT", s.turn_latency, 1e6));
  all.push_back(spread("troupe_commit_seconds", "Commits alone", s.commit_latency, 1e6));
  all.push_back(spread("troupe_turn_commands", "Commands per turn", s.batch_sizes, 1));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace troupe::gateway
