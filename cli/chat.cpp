#include "cli/chat.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cctype>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/follow.h"
#include "cli/keyboard.h"

namespace troupe::cli {

namespace {

constexpr std::uint64_t shown_before = 30;
constexpr const char* prompt_sign = "› ";

std::atomic<bool> interrupted = false;

class chat_room {
 public:
  chat_room(context& c, std::string key)
      : c_(c),
        key_(std::move(key)),
        live_(c.connect()),
        follower_(c, live_, follower::permissions::show, hooks()) {}

  void run() {
    last_ = c_.server().snapshot(key_);
    const auto agent = last_.value("agent", "agent");
    c_.out.line(fmt::format("{}  {}", c_.out.paint(style::bold, plain(last_.value("title", ""))),
                            c_.out.paint(style::dim, plain(agent) + ", /help for more, /quit leaves")));
    const auto end = last_.at("transcript").value("last", std::uint64_t{0});
    follower_.watch(task_of(key_));
    follower_.watch_session(key_, agent, end > shown_before ? end - shown_before : 0);
    while (!over_) {
      place_prompt();
      pollfd ready[2] = {{live_.descriptor(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
      ::poll(ready, 2, -1);
      if (interrupted.exchange(false)) {
        stop_turn();
      } else if (ready[1].revents != 0) {
        take_key();
      }
      if (ready[0].revents != 0) {
        remove_prompt();
        follower_.take_waiting();
      }
    }
    remove_prompt();
  }

 private:
  follower::hooks hooks() {
    return {.on_snapshot = [this](const std::string& topic, const json& now) {
      if (topic == key_) {
        take(now);
      } else {
        take_task(now);
      }
    }};
  }

  bool running() const {
    const auto status = last_.value("status", "");
    return status == "running" || status == "needs_input";
  }
  bool busy() const {
    const auto status = last_.value("status", "");
    if (status == "error" || status == "closed") return false;
    return running() || status == "starting" || !last_.value("queue", json::array()).empty();
  }
  /// The request that is asked for at the keyboard; null when there is none.
  json asked() const {
    const auto all = last_.value("permissions", json::array());
    for (const auto& one : all) {
      if (!answered_.contains(one.value("permission", ""))) return one;
    }
    return nullptr;
  }

  void note(style s, const std::string& text) {
    remove_prompt();
    follower_.settle();
    c_.out.write(wrapped(c_.out.paint(s, text), c_.out.width(), "  ", "    "));
  }

  /// While the agent speaks there is no prompt in its way; whoever types gets one.
  void place_prompt() {
    if (placed_ || !shown_) return;
    if (const auto one = asked(); !one.is_null()) {
      follower_.settle();
      c_.out.write(fmt::format("    {} once   {} always   {} no  › ", c_.out.paint(style::bold, "[y]"),
                               c_.out.paint(style::bold, "[a]"), c_.out.paint(style::bold, "[n]")));
    } else if (!busy()) {
      follower_.settle();
      c_.out.write(prompt_sign);
    } else {
      return;
    }
    placed_ = true;
  }
  void remove_prompt() {
    if (placed_) c_.out.write("\r\x1b[K");
    placed_ = false;
  }

  void take(const json& now) {
    last_ = now;
    shown_ = true;
    // The first one begins at once where nothing runs.
    std::size_t place = running() ? 1 : 0;
    for (const auto& one : now.value("queue", json::array())) {
      if (waits_.insert(one.value("prompt", "")).second && place > 0)
        note(style::dim, "waits     " + cut(plain(one.value("text", "")), 200));
      ++place;
    }
    const auto error =
        now.contains("error") && now["error"].is_string() ? now["error"].get<std::string>() : "";
    if (error != error_ && !error.empty()) note(style::red, "✘ " + plain(error));
    error_ = error;
    const auto status = now.value("status", "");
    const auto state = status == "starting" ? "the agent starts"
                       : status == "closed" ? "the session is closed: troupe session resume"
                                            : "";
    if (state != state_ && *state) note(style::dim, state);
    state_ = state;
  }

  /// The task has the sandbox: without one nothing that is typed here would run.
  void take_task(const json& now) {
    const auto error = now.value("status", "") == "error" ? plain(now.value("error", "")) : std::string();
    if (error != task_error_ && !error.empty()) {
      note(style::red, "✘ " + error);
      note(style::dim, "troupe task retry " + short_id(last_id(task_of(key_))));
    }
    task_error_ = error;
    // A slot that is free comes at once; only a place in the queue is worth a line.
    const auto position = now.value("status", "") == "queued" ? now.value("position", json()) : json();
    if (position != position_ && position.is_number())
      note(style::yellow, fmt::format("waits for a free slot, position {}", position.dump()));
    position_ = position;
  }

  void take_key() {
    if (const auto one = asked(); !one.is_null()) {
      const auto pressed = keys_.key();
      if (!pressed) return void(over_ = true);
      const auto low = std::tolower(static_cast<unsigned char>(*pressed));
      const char* how = low == 'y'   ? "allow_once"
                        : low == 'a' ? "allow_always"
                        : low == 'n' ? "reject"
                                     : nullptr;
      if (!how) return;
      remove_prompt();
      answered_.insert(one.value("permission", ""));
      return answer_permission(c_, key_, one.value("permission", ""), how);
    }
    remove_prompt();
    follower_.settle();
    std::string text;
    const auto how = keys_.line(prompt_sign, text);
    if (how == keyboard::outcome::end) return void(over_ = true);
    // What was typed shows in the transcript once its turn begins.
    const auto rows =
        how == keyboard::outcome::entered ? 1 + columns(prompt_sign + text) / c_.out.width() : 0;
    if (rows > 0) c_.out.write(fmt::format("\x1b[{}A\r\x1b[J", rows + std::ranges::count(text, '\n')));
    if (how == keyboard::outcome::dropped) return c_.out.line();
    try {
      say(text);
    } catch (const failure& why) {
      note(style::red, fmt::format("✘ {}", why.what()));
      if (!why.hint().empty()) note(style::dim, why.hint());
    }
  }

  void say(const std::string& text) {
    const auto words = text.find_first_not_of(" \t\n");
    if (words == std::string::npos) return;
    const auto command = text.substr(0, text.find(' '));
    if (command == "/quit") {
      over_ = true;
    } else if (command == "/help") {
      help();
    } else if (command == "/cancel") {
      stop_turn();
    } else if (command == "/queue") {
      show_queue();
    } else if (command == "/drop") {
      drop(text.substr(command.size()));
    } else {
      c_.server().command(key_, "session.prompt", {{"text", text}});
    }
  }

  void help() {
    for (const auto* line : {"what you type goes to the agent; while it works, a prompt waits in the queue",
                             "Ctrl-C    stop the turn                 /queue   the prompts that wait",
                             "/drop N   take back the Nth of them     /cancel  stop the turn",
                             "/quit     leave; the agent goes on      \\ at its end: the line goes on",
                             "any other /word is the agent's own"})
      note(style::dim, line);
  }

  void show_queue() {
    std::size_t n = 0;
    for (const auto& one : last_.value("queue", json::array()))
      note(style::dim, fmt::format("{}  {}", ++n, cut(plain(one.value("text", "")), 200)));
    if (n == 0) note(style::dim, "nothing waits");
  }

  void drop(std::string_view which) {
    which.remove_prefix(std::min(which.find_first_not_of(' '), which.size()));
    const auto queue = last_.value("queue", json::array());
    std::size_t n = 0;
    const auto read = std::from_chars(which.data(), which.data() + which.size(), n);
    if (read.ec != std::errc() || n < 1 || n > queue.size()) {
      return note(style::red,
                  fmt::format("/drop takes a number from 1 to {}: /queue shows them", queue.size()));
    }
    c_.server().command(key_, "session.remove_prompt", {{"prompt", queue[n - 1].at("prompt")}});
    note(style::dim, fmt::format("taken back: {}", cut(plain(queue[n - 1].value("text", "")), 200)));
  }

  void stop_turn() {
    if (!busy()) return note(style::dim, "nothing runs; /quit leaves");
    c_.server().command(key_, "session.cancel", json::object());
    note(style::dim, "stopping");
  }

  context& c_;
  std::string key_;
  keyboard keys_;
  live live_;
  follower follower_;
  json last_ = json::object();
  std::set<std::string> answered_, waits_;
  std::string error_, task_error_;
  json position_;  // of the task in the queue for slots
  const char* state_ = "";
  bool placed_ = false;  // the prompt stands on the line of the cursor
  bool shown_ = false;   // the session was seen as it is now
  bool over_ = false;
};

}  // namespace

void chat(context& c, const std::string& session) {
  if (c.as_json || !::isatty(STDIN_FILENO) || !c.out.interactive()) {
    throw misused("a chat needs a keyboard and a terminal",
                  "in scripts: troupe session prompt SESSION TEXT --wait --json");
  }
  struct sigaction on_interrupt {};
  on_interrupt.sa_handler = [](int) { interrupted = true; };
  ::sigaction(SIGINT, &on_interrupt, nullptr);
  chat_room(c, session).run();
}

}  // namespace troupe::cli
