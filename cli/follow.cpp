#include "cli/follow.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include <fmt/format.h>

namespace troupe::cli {

namespace {

/// A task names its new session before that has come into being.
constexpr std::chrono::seconds session_appears_within{10};

}  // namespace

const json& entry_data(const json& framed) {
  const auto at = framed.find("data");
  return at == framed.end() ? framed : *at;
}

std::int64_t entry_time(const json& framed) {
  const auto at = framed.find("time");
  return at != framed.end() && at->is_number() ? at->get<std::int64_t>() : now_ms();
}

void answer_permission(context& c, const std::string& session, const std::string& permission,
                       std::string_view how) {
  try {
    c.server().command(session, "session.answer_permission", {{"permission", permission}, {"answer", how}});
  } catch (const failure& why) {
    if (why.code() != "permission_settled") throw;
  }
}

follower::follower(context& c, live& connection, permissions how, hooks h)
    : c_(c), live_(connection), permissions_(how), hooks_(std::move(h)) {
  keyboard_ = how == permissions::ask && isatty(0) && c.out.interactive() && !c.as_json;
}

void follower::watch(const std::string& key) {
  live_.subscribe(key);
}

void follower::watch_session(const std::string& key, const std::string& agent, std::uint64_t after) {
  if (!sessions_.try_emplace(key, followed{agent, transcript_view(c_.out, plain(agent))}).second) return;
  live_.subscribe(key + "#transcript", after, session_appears_within);
  live_.subscribe(key, 0, session_appears_within);
}

void follower::settle() {
  for (auto& [key, one] : sessions_) one.view.settle();
}

void follower::ask() {
  c_.out.write(fmt::format("    {} once   {} always   {} no  › ", c_.out.paint(style::bold, "[y]"),
                           c_.out.paint(style::bold, "[a]"), c_.out.paint(style::bold, "[n]")));
}

void follower::read_answer() {
  std::string line;
  if (!std::getline(std::cin, line)) {
    keyboard_ = false;
    c_.out.line("\n    no keyboard: the request waits for an answer (troupe session answer)");
    open_.reset();
    return;
  }
  if (!open_) return;
  const auto first = line.find_first_not_of(" \t");
  const char said = first == std::string::npos ? '\0' : static_cast<char>(std::tolower(line[first]));
  const char* how = said == 'y'   ? "allow_once"
                    : said == 'a' ? "allow_always"
                    : said == 'n' ? "reject"
                                  : nullptr;
  if (!how) return ask();
  const auto q = *open_;
  open_.reset();
  answered_.insert(q.permission);
  answer_permission(c_, q.session, q.permission, how);
}

void follower::take_session(const std::string& key, const json& snapshot) {
  std::set<std::string> pending;
  for (const auto& one : snapshot.value("permissions", json::array())) {
    const auto id = one.value("permission", "");
    pending.insert(id);
    if (answered_.contains(id)) continue;
    if (permissions_ == permissions::allow) {
      answered_.insert(id);
      answer_permission(c_, key, id, "allow_once");
    } else if (keyboard_ && !open_) {
      open_ = question{key, id};
      settle();
      ask();
    } else if (permissions_ == permissions::ask && !keyboard_ && !c_.as_json && told_.insert(id).second) {
      settle();
      c_.out.line(
          fmt::format("    it waits for an answer: troupe session answer {} allow|always|reject", key));
    }
  }
  if (open_ && open_->session == key && !pending.contains(open_->permission)) {
    c_.out.line();
    open_.reset();
  }
}

void follower::take(const json& frame) {
  const auto op = frame.value("op", "");
  const auto topic = frame.value("topic", "");
  if (op == "lost") {
    settle();
    c_.err.line(c_.err.paint(
        style::dim, fmt::format("the connection was lost ({}), trying again …", frame.value("why", ""))));
  } else if (op == "gone") {
    settle();
    throw failure(fmt::format("{} is gone: {}", topic, plain(frame.value("reason", ""))));
  } else if (op == "snapshot") {
    const auto& data = frame.at("data");
    if (sessions_.contains(topic)) take_session(topic, data);
    if (hooks_.on_snapshot) hooks_.on_snapshot(topic, data);
  } else if (op == "entries") {
    const auto session = topic.substr(0, topic.find('#'));
    const auto at = sessions_.find(session);
    if (at == sessions_.end()) return;
    for (const auto& framed : frame.at("entries")) {
      const auto& entry = entry_data(framed);
      if (c_.as_json) {
        c_.print_json({{"topic", topic},
                       {"seq", framed.value("seq", 0)},
                       {"time", entry_time(framed)},
                       {"entry", entry}});
      } else {
        if (open_ && open_->session == session) c_.out.line();
        at->second.view.show(entry, entry_time(framed));
      }
      if (hooks_.on_entry) hooks_.on_entry(session, entry);
    }
    if (open_ && open_->session == session) {
      at->second.view.settle();
      ask();
    }
  } else if (op == "reset" && sessions_.contains(topic.substr(0, topic.find('#')))) {
    settle();
    c_.out.line(c_.out.paint(style::yellow, "  older entries were pruned"));
  }
}

bool follower::take_waiting() {
  bool any = false;
  while (const auto frame = live_.next(std::chrono::steady_clock::now())) {
    take(*frame);
    any = true;
  }
  return any;
}

bool follower::run(const std::function<bool()>& done, std::chrono::steady_clock::time_point until) {
  using clock = std::chrono::steady_clock;
  while (clock::now() < until) {
    while (const auto frame = live_.next(clock::now())) {
      take(*frame);
      if (done()) return true;
    }
    pollfd ready[2] = {{live_.descriptor(), POLLIN, 0}, {0, POLLIN, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - clock::now()).count();
    ::poll(ready, open_ ? 2 : 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
    if (open_ && ready[1].revents != 0) read_answer();
    // A signal interrupts the wait, and `done` may look at what its handler noted.
    if (done()) return true;
  }
  return false;
}

}  // namespace troupe::cli
