#include "cli/context.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

namespace troupe::cli {

namespace {

constexpr std::size_t choices_shown = 8;

/// The one entry that `name` means; `names` gives for each what it may be called, best first.
template <class Names>
const json& pick(const json& all, const std::string& name, std::string_view what, Names names) {
  std::vector<const json*> equal, begins;
  for (const auto& one : all) {
    const std::vector<std::string> called = names(one);
    // A branch may be named without what the organization puts before all of them.
    const bool last_part =
        std::ranges::any_of(called, [&](const std::string& full) { return full.ends_with("/" + name); });
    if (std::ranges::find(called, name) != called.end()) {
      equal.push_back(&one);
    } else if (last_part || called.front().starts_with(name) || called.front().ends_with(name)) {
      begins.push_back(&one);
    }
  }
  auto& found = equal.empty() ? begins : equal;
  if (found.size() == 1) return *found.front();
  std::string shown;
  const auto list = [&](const auto& entries, auto get) {
    for (std::size_t i = 0; i < std::min(entries.size(), choices_shown); ++i) {
      shown += fmt::format("\n  {}", plain(fmt::format("{}", fmt::join(names(get(entries[i])), "  "))));
    }
  };
  if (found.size() > 1) {
    list(found, [](const json* one) -> const json& { return *one; });
    throw failure(fmt::format("{} {}s are called {}:{}", found.size(), what, name, shown),
                  "give more of its id");
  }
  std::vector<const json*> everything;
  for (const auto& one : all) everything.push_back(&one);
  list(everything, [](const json* one) -> const json& { return *one; });
  throw failure(
      fmt::format("no {} is called {}{}{}", what, name, shown.empty() ? "" : "; there are:", shown));
}

}  // namespace

place_of_server context::place() const {
  auto found = find_server(server_url, token, data);
  if (!found) {
    throw failure(
        "no server is known here",
        "start one with `troupe serve` (or script/server), or name one with --server or TROUPE_SERVER");
  }
  return *found;
}

api& context::server() {
  if (!api_) api_ = std::make_unique<api>(place());
  return *api_;
}

bool context::print_json(const json& value) {
  if (as_json) out.line(value.dump(-1, ' ', false, json::error_handler_t::replace));
  return as_json;
}

json context::principal() {
  if (!principal_) {
    auto connection = connect();
    const auto until = std::chrono::steady_clock::now() + api::default_limit;
    while (!principal_) {
      const auto frame = connection.next(until);
      if (!frame) throw failure(fmt::format("the server at {} says nothing", place().url));
      if (frame->value("op", "") == "hello") principal_ = frame->value("principal", json::object());
    }
  }
  return *principal_;
}

std::string context::org() {
  if (!organization.empty()) return organization;
  if (const char* named = std::getenv("TROUPE_ORG"); named && *named) return organization = named;
  const auto roles = principal().value("roles", json::object());
  if (roles.size() == 1) return organization = roles.begin().key();
  if (roles.empty()) {
    throw failure("you are in no organization yet",
                  "make one: troupe org create NAME (or name one with --org)");
  }
  std::vector<std::string> names;
  for (const auto& [name, role] : roles.items()) names.push_back(name);
  throw misused(fmt::format("you are in several organizations: {}", fmt::join(names, ", ")),
                "say which with --org or TROUPE_ORG");
}

std::string context::task_key(const std::string& name) {
  if (name.starts_with("org/")) return name;
  const auto found = server().query(org_key(), "org.list_tasks", {{"limit", 500}});
  const auto& task = pick(found.at("tasks"), name, "task", [](const json& one) {
    return std::vector<std::string>{one.value("task", ""), one.value("branch", ""), one.value("title", "")};
  });
  return fmt::format("{}/task/{}", org_key(), task.at("task").get<std::string>());
}

std::string context::session_key(const std::string& name) {
  if (name.find("/session/") != std::string::npos) return name;
  // Branches have slashes too, so what follows the last one is a session only if the rest is a task.
  std::string session, key;
  if (name.starts_with("org/")) {
    key = name;
  } else {
    try {
      key = task_key(name);
    } catch (const failure&) {
      const auto slash = name.rfind('/');
      if (slash == std::string::npos) throw;
      key = task_key(name.substr(0, slash));
      session = name.substr(slash + 1);
    }
  }
  const auto sessions = server().snapshot(key).value("sessions", json::array());
  if (sessions.empty())
    throw failure(fmt::format("{} has no session yet", key), "start one: troupe session new TASK");
  if (session.empty())
    return fmt::format("{}/session/{}", key, sessions.back().at("session").get<std::string>());
  const auto& found = pick(sessions, session, "session", [](const json& one) {
    return std::vector<std::string>{one.value("session", ""), one.value("title", "")};
  });
  return fmt::format("{}/session/{}", key, found.at("session").get<std::string>());
}

std::string context::sandbox_key(const std::string& name) {
  if (name.find("/sandbox/") != std::string::npos) return name;
  const auto sandboxes = server().snapshot(org_key()).at("sandboxes").value("recent", json::array());
  const auto key_of = [&](const json& one) {
    return fmt::format("{}/sandbox/{}", org_key(), one.at("sandbox").get<std::string>());
  };
  std::vector<const json*> begins;
  for (const auto& one : sandboxes) {
    const auto id = one.value("sandbox", "");
    if (id.starts_with(name) || id.ends_with(name)) begins.push_back(&one);
  }
  if (begins.size() == 1) return key_of(*begins.front());
  // Else a task is meant, the one that holds it.
  const auto task = task_key(name);
  for (const auto& one : sandboxes) {
    if (one.contains("holder") && one["holder"] == task) return key_of(one);
  }
  throw failure(fmt::format("{} has no sandbox now", task),
                "troupe task send wakes or makes one; troupe sandbox list shows all");
}

std::string last_id(std::string_view key) {
  const auto slash = key.rfind('/');
  return std::string(slash == std::string_view::npos ? key : key.substr(slash + 1));
}

std::string task_of(std::string_view session) {
  return std::string(session.substr(0, session.find("/session/")));
}

std::string short_id(std::string_view id) {
  constexpr std::size_t enough = 8;
  return std::string(id.substr(id.size() - std::min(id.size(), enough)));
}

std::string text_or_stdin(const std::string& text, std::string_view what) {
  std::string whole = text;
  if (text == "-") whole.assign(std::istreambuf_iterator<char>(std::cin), {});
  while (!whole.empty() && (whole.back() == '\n' || whole.back() == ' ')) whole.pop_back();
  if (whole.empty()) throw misused(fmt::format("{} is empty", what));
  return whole;
}

}  // namespace troupe::cli
