// Clients of a host in this process: one thread that keeps a number of commands under way.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "runtime/host.h"

namespace troupe::bench {

key counter_key(int i);
void open_counters(host&, int count);

/// Sends counter.add to `actors` counters for a time. With one command in flight the next goes out from the
/// answer of the one before; with more they go out from a thread of their own, as those of other programs
/// would.
class load {
 public:
  load(host&, int actors, int in_flight, double for_seconds);

  double rate = 0;  ///< answered a second
  long failed = 0;
  std::vector<double> took;  ///< seconds of each command, with one in flight

 private:
  void send(int actor);
  void answered(int actor, double sent, const reply&);
  void refill();

  host& host_;
  const bool alone_;
  double until_ = 0;
  std::mutex mutex_;
  std::condition_variable more_;
  std::vector<int> free_;
  int under_way_ = 0;
  long answered_ = 0, failed_ = 0;
};

/// Has counter 0 send to counter 1 for a time, 64 under way; answers how many arrived a second.
double pass_along(host&, double for_seconds);

}  // namespace troupe::bench
