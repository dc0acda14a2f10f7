// How drivers work on the outside world for actors: effects (one outcome) and feeds (many commands).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "runtime/answer.h"
#include "runtime/key.h"

namespace troupe {

/// What becomes of an effect that had begun when the server went down.
enum class after_restart {
  retry,        ///< safe to do again
  reconcile,    ///< started again with resumed() true: the driver looks at the world first
  interrupted,  ///< not started again: its outcome is a problem with code `interrupted`
};

/// One attempt at one effect. Shared; every member may be called from any thread. The first succeed() or
/// fail() counts, later ones are ignored, and so is everything after a cancel was reported. An effect_run
/// that is dropped without either fails with code `dropped`.
class effect_run {
 public:
  virtual ~effect_run() = default;

  virtual const key& actor() const = 0;
  /// The same for all attempts: use it as the idempotency key towards the world.
  virtual const std::string& id() const = 0;
  virtual int attempt() const = 0;
  /// True when an earlier attempt may have got anywhere: look before you act.
  virtual bool resumed() const = 0;
  virtual const json& body() const = 0;
  virtual const std::string& principal() const = 0;
  virtual std::chrono::steady_clock::time_point deadline() const = 0;

  /// Called once, possibly at once, when the actor cancels it, the deadline passes or the host stops.
  virtual void on_cancel(std::function<void()>) = 0;

  virtual void succeed(json result) = 0;
  /// `again`: the host tries once more with backoff (0.1 to 30 s), as long as attempts and deadline allow.
  virtual void fail(problem, bool again = false) = 0;
};

struct effect_kind {
  std::string name;
  after_restart policy = after_restart::retry;
  int max_attempts = 5;
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
  /// Must return at once; the work goes on elsewhere and ends in succeed() or fail().
  std::function<void(std::shared_ptr<effect_run>)> start;
};

/// A feed while the host runs. Any thread.
class feed_run {
 public:
  virtual ~feed_run() = default;

  virtual const key& actor() const = 0;
  virtual const std::string& id() const = 0;
  virtual const json& body() const = 0;
  virtual const std::string& principal() const = 0;
  /// The position of the last batch whose turn is durable; empty at the very start.
  virtual std::string position() const = 0;

  /// At most 256 entries. `committed` is called once the turn that applied them is durable (acknowledge the
  /// source then); one batch at a time: do not deliver another before. A batch that cannot be stored now is
  /// kept and retried by the host. Batches whose position is not after the stored one must not be delivered.
  virtual void deliver(std::string position, json entries, std::function<void()> committed) = 0;
  /// The source is at its end, or cannot go on.
  virtual void end(json result) = 0;
  virtual void fail(problem) = 0;

  /// Called once, possibly at once, when the actor unfollows or the host stops.
  virtual void on_stop(std::function<void()>) = 0;
};

struct feed_kind {
  std::string name;
  /// Must return at once. Called again after every restart of the server with the stored position.
  std::function<void(std::shared_ptr<feed_run>)> start;
};

}  // namespace troupe
