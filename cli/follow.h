// Follows sessions in a terminal while they happen, and answers their permission requests at the keyboard.
//
// One per connection; one thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/context.h"
#include "cli/transcript_view.h"

namespace troupe::cli {

/// One entry of a stream as the gateway frames it.
const json& entry_data(const json& framed);
std::int64_t entry_time(const json& framed);

/// Answers a permission request: allow_once, allow_always or reject. One that is settled already is no error:
/// the transcript says who was faster.
void answer_permission(context&, const std::string& session, const std::string& permission,
                       std::string_view how);

class follower {
 public:
  enum class permissions {
    show,   ///< somebody else answers
    ask,    ///< at the keyboard, where there is one
    allow,  ///< each one, once
  };
  struct hooks {
    /// Every snapshot of a topic that was added with watch(); before that the transcript is shown up to it.
    std::function<void(const std::string& key, const json& snapshot)> on_snapshot = {};
    /// Every transcript entry, after it was shown.
    std::function<void(const std::string& session, const json& entry)> on_entry = {};
  };

  follower(context&, live&, permissions, hooks);

  /// Snapshots of any actor, for the hook.
  void watch(const std::string& key);
  /// The transcript of a session from after `after`, and its permission requests. A second call changes
  /// nothing.
  void watch_session(const std::string& key, const std::string& agent, std::uint64_t after = 0);

  /// Runs until `done` says so after a frame, or `until` passes: whether `done` did. Throws failure when the
  /// connection is over or what is watched was deleted.
  bool run(const std::function<bool()>& done, std::chrono::steady_clock::time_point until);

  /// Shows every frame that is there already; whether there was one.
  bool take_waiting();

  /// Ends an open line, before the caller prints something.
  void settle();

 private:
  struct followed {
    std::string agent;
    transcript_view view;
  };
  struct question {
    std::string session;
    std::string permission;
  };

  void take(const json& frame);
  void take_session(const std::string& key, const json& snapshot);
  void ask();
  void read_answer();

  context& c_;
  live& live_;
  permissions permissions_;
  hooks hooks_;
  std::map<std::string, followed> sessions_;
  std::set<std::string> answered_, told_;
  std::optional<question> open_;  // what stands at the keyboard
  bool keyboard_;
};

}  // namespace troupe::cli
