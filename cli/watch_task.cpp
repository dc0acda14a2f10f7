#include "cli/watch_task.h"

#include <fmt/format.h>

#include "cli/task_view.h"

namespace troupe::cli {

namespace {

constexpr std::chrono::seconds operation_limit{600};

/// Nothing of the task moves any more, and something had moved.
bool at_rest(const json& task) {
  const auto status = task.value("status", "");
  return status == "idle" || status == "error" || status == "archived" || status == "killed";
}

}  // namespace

json watch_task(context& c, const std::string& key, const watch_options& o) {
  auto connection = c.connect();
  provisioning_view steps(c.out);
  json last = json::object();
  std::size_t turns = 0, changes = 0;
  follower* following = nullptr;
  follower f(c, connection, o.how,
             {.on_snapshot =
                  [&](const std::string& topic, const json& snapshot) {
                    if (topic != key) return;
                    last = snapshot;
                    ++changes;
                    if (c.as_json) {
                      c.print_json({{"topic", topic}, {"snapshot", snapshot}});
                    } else {
                      following->settle();
                      steps.show(snapshot);
                    }
                    // The agent's words follow the last step of making it ready.
                    const auto status = snapshot.value("status", "");
                    if (status == "queued" || status == "provisioning") return;
                    for (const auto& one : snapshot.value("sessions", json::array())) {
                      following->watch_session(fmt::format("{}/session/{}", key, one.value("session", "")),
                                               one.value("agent", "agent"));
                    }
                  },
              .on_entry =
                  [&](const std::string&, const json& entry) {
                    if (entry.value("type", "") == "turn_ended") ++turns;
                  }});
  following = &f;
  f.watch(key);
  const auto done = [&] {
    if (!o.until_idle || !at_rest(last)) return false;
    if (last.value("status", "") != "idle") return true;
    // The changes are looked at once more after a turn.
    const auto diff = last.value("diff", json::object());
    return turns > 0 && !diff.value("refreshing", false) && diff.value("at", std::int64_t{0}) > 0;
  };
  const bool ended = f.run(done, std::chrono::steady_clock::now() + o.limit);
  f.settle();
  if (!ended)
    throw failure(
        fmt::format("{} is still {} after {} s", key, last.value("status", "starting"), o.limit.count()),
        "troupe task watch follows it further");
  if (last.value("status", "") == "error") {
    // The steps and the transcript have said why, but for programs.
    const auto why = c.as_json && last.contains("error") && last["error"].is_string()
                         ? ": " + plain(last["error"].get<std::string>())
                         : std::string();
    throw failure("the task failed" + why,
                  fmt::format("troupe task retry {0} tries again, troupe task show {0} says more",
                              short_id(last_id(key))));
  }
  return last;
}

json await_operation(context& c, const std::string& key, const std::string& operation) {
  auto connection = c.connect();
  connection.subscribe(key);
  const auto until = std::chrono::steady_clock::now() + operation_limit;
  while (const auto frame = connection.next(until)) {
    if (frame->value("op", "") == "gone") throw failure(fmt::format("{} is gone", key));
    if (frame->value("op", "") != "snapshot") continue;
    for (const auto& one : frame->at("data").value("operations", json::array())) {
      if (one.value("operation", "") != operation || one.value("state", "") == "running") continue;
      if (one.value("state", "") == "done") return one;
      throw failure(plain(one.value("error", "it failed without words"), true),
                    fmt::format("troupe task show {} says more", last_id(key)));
    }
  }
  throw failure(fmt::format("it is still going on after {} s", operation_limit.count()),
                fmt::format("troupe task show {} says how it went", last_id(key)));
}

std::string diff_text(const json& result) {
  std::string text;
  for (const auto& one : result.value("files", json::array())) {
    text += one.value("diff", "");
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
  }
  return text;
}

}  // namespace troupe::cli
