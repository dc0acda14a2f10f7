#include "examples/scripted_agent/turn.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "examples/scripted_agent/command.h"
#include "examples/scripted_agent/files.h"

namespace scripted {
namespace {

constexpr double dollars_per_token = 0.000003;
constexpr auto output_interval = std::chrono::milliseconds(50);  // between two updates of a running command

std::int64_t tokens(std::string_view text) {
  return static_cast<std::int64_t>(text.size() + 3) / 4;
}

std::string new_id(const char* prefix) {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  char text[40];
  std::snprintf(text, sizeof text, "%s_%016llx", prefix, static_cast<unsigned long long>(random()));
  return text;
}

json text_content(std::string_view text) {
  return {{"type", "content"}, {"content", {{"type", "text"}, {"text", text}}}};
}

}  // namespace

// One tool call from its announcement to its end. Whatever way the step ends, the call is closed.
class turn::tool_call {
 public:
  tool_call(turn& t, const char* kind, std::string title, json input, json content = json::array(),
            const std::string& path = "")
      : turn_(t), kind_(kind) {
    call_ = {{"toolCallId", new_id("call")}, {"title", std::move(title)},    {"kind", kind},
             {"status", "pending"},          {"rawInput", std::move(input)}, {"content", std::move(content)}};
    if (!path.empty()) call_["locations"] = json::array({{{"path", path}}});
    json update = call_;
    update["sessionUpdate"] = "tool_call";
    turn_.session_.update(std::move(update));
  }
  ~tool_call() {
    if (!ended_) end(false, "stopped", json::array({text_content("Stopped before it ended.")}));
  }
  tool_call(const tool_call&) = delete;
  tool_call& operator=(const tool_call&) = delete;

  // True: go ahead. False: it was refused, or the turn is stopped; then the call has been closed.
  bool permitted(bool changes, bool always_ask = false) {
    const auto mode = turn_.session_.mode();
    if (mode == "plan" && changes && !always_ask) {
      end(false, "refused", json::array({text_content("Not done: the session is in plan mode.")}));
      return false;
    }
    const bool command = kind_ == "execute";
    const bool needed = always_ask || (changes && (mode == "careful" || (mode == "default" && command)));
    if (!needed || (!always_ask && turn_.session_.allowed_always(kind_))) return true;
    const auto answer = turn_.client_.ask(
        "session/request_permission",
        {{"sessionId", turn_.session_.id()},
         {"toolCall", call_},
         {"options",
          json::array({{{"kind", "allow_always"}, {"name", "Always allow " + kind_}, {"optionId", "always"}},
                       {{"kind", "allow_once"}, {"name", "Allow"}, {"optionId", "allow"}},
                       {{"kind", "reject_once"}, {"name", "Reject"}, {"optionId", "reject"}}})}},
        turn_.stop_);
    std::string chosen = "cancelled";
    if (answer && answer->contains("error"))
      chosen = "reject";  // a client that cannot ask has not allowed it
    if (answer && answer->contains("outcome") && (*answer)["outcome"].value("outcome", "") == "selected") {
      chosen = (*answer)["outcome"].value("optionId", "reject");
    }
    if (chosen == "always") turn_.session_.allow_always(kind_);
    if (chosen == "always" || chosen == "allow") return true;
    if (chosen == "cancelled") turn_.stop_reason_ = "cancelled";
    end(false, "refused", json::array({text_content("Not done: the permission was refused.")}));
    return false;
  }

  void start() { send({{"status", "in_progress"}}); }
  void show(json content) { send({{"content", std::move(content)}}); }
  void end(bool good, json output, json content = nullptr) {
    ended_ = true;
    json update = {{"status", good ? "completed" : "failed"}, {"rawOutput", std::move(output)}};
    if (!content.is_null()) update["content"] = std::move(content);
    send(std::move(update));
  }

 private:
  void send(json update) {
    update["sessionUpdate"] = "tool_call_update";
    update["toolCallId"] = call_["toolCallId"];
    turn_.session_.update(std::move(update));
  }

  turn& turn_;
  const std::string kind_;
  json call_;
  bool ended_ = false;
};

json turn::perform(const std::string& prompt) {
  usage_.input += tokens(prompt);
  const bool script = is_script(prompt);
  if (session_.title().empty()) {
    if (auto title = title_of(prompt); !title.empty()) {
      session_.update({{"sessionUpdate", "session_info_update"}, {"title", std::move(title)}});
    }
  }
  auto parsed = parse(script ? prompt : demonstration(prompt, session_.cwd()));
  if (const auto* wrong = std::get_if<script_error>(&parsed)) {
    throw refusal{fault::invalid_params,
                  "line " + std::to_string(wrong->line) + " of the prompt: " + wrong->what,
                  {{"line", wrong->line}}};
  }
  for (const auto& s : std::get<std::vector<step>>(parsed)) {
    if (stop_.stop_requested() || !stop_reason_.empty()) break;
    perform(s);
    session_.update({{"sessionUpdate", "usage_update"},
                     {"used", session_.spend({}) + usage_.input + usage_.output},
                     {"size", context_size}});
  }
  report_usage(dollars_per_token * static_cast<double>(usage_.input + usage_.output));
  if (stop_.stop_requested()) stop_reason_ = "cancelled";
  return {{"stopReason", stop_reason_.empty() ? "end_turn" : stop_reason_},
          {"usage",
           {{"inputTokens", usage_.input},
            {"outputTokens", usage_.output},
            {"totalTokens", usage_.input + usage_.output}}}};
}

void turn::perform(const step& s) {
  const auto& v = s.verb;
  if (v == "say") return speak("agent_message_chunk", s.argument);
  if (v == "think") return speak("agent_thought_chunk", s.argument);
  if (v == "plan") return plan(s);
  if (v == "run" || v == "spawn") return run(s);
  if (v == "write") return write(s);
  if (v == "edit") return edit(s);
  if (v == "read") return read(s);
  if (v == "list") return list(s);
  if (v == "ask") return ask(s);
  if (v == "flood") return flood(s);
  if (v == "hang") return hang(s.argument == "hard");
  if (v == "title") return session_.update({{"sessionUpdate", "session_info_update"}, {"title", s.argument}});
  if (v == "sleep")
    return pause(std::chrono::nanoseconds(static_cast<std::int64_t>(std::stod(s.argument) * 1e9)));
  if (v == "warn") {
    std::fprintf(stderr, "%s\n", s.argument.c_str());
  } else if (v == "garbage") {
    client_.write_raw(s.argument + "\n");
  } else if (v == "stop") {
    stop_reason_ = s.argument;
  } else if (v == "fail") {
    throw refusal{fault::internal, s.argument, {{"errorKind", "scripted"}, {"line", s.line}}};
  } else if (v == "open") {
    session_.update({{"sessionUpdate", "tool_call"},
                     {"toolCallId", new_id("call")},
                     {"title", s.argument},
                     {"kind", "other"},
                     {"status", "in_progress"}});
  } else if (v == "update") {
    auto update = json::parse(s.argument, nullptr, false);
    if (!update.is_object()) throw refusal{fault::invalid_params, "update: not a JSON object: " + s.argument};
    session_.update(std::move(update));
  } else if (v == "mode") {
    session_.set_mode(s.argument);
    session_.update({{"sessionUpdate", "current_mode_update"}, {"currentModeId", s.argument}});
  } else if (v == "usage") {
    long long used = 0, size = 0;
    double cost = 0;
    const int given = std::sscanf(s.argument.c_str(), "%lld %lld %lf", &used, &size, &cost);
    json update = {{"sessionUpdate", "usage_update"}, {"used", used}, {"size", size}};
    if (given == 3) update["cost"] = {{"amount", cost}, {"currency", "USD"}};
    session_.update(std::move(update));
  } else if (v == "crash") {
    std::fprintf(stderr, "scripted-agent: the script says crash (line %d)\n", s.line);
    std::_Exit(s.argument.empty() ? 7 : std::stoi(s.argument));
  }
}

void turn::speak(const char* kind, std::string_view text) {
  usage_.output += tokens(text);
  const auto id = new_id("msg");
  const std::size_t piece = session_.model() == "scripted-1-fast" ? text.size() : 24;
  while (!text.empty() && !stop_.stop_requested()) {
    const auto space = text.find(' ', std::min(piece, text.size() - 1));
    const auto size = text.size() <= piece || space == std::string_view::npos ? text.size() : space + 1;
    session_.update(update_of_chunk(kind, text.substr(0, size), id));
    text.remove_prefix(size);
    if (!text.empty()) pause(pace_);
  }
}

void turn::plan(const step& s) {
  json entries = json::array();
  for (auto text = std::string_view(s.text); !text.empty();) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const char* status = "pending";
    if (line.starts_with("- [x] ")) status = "completed";
    if (line.starts_with("- [~] ")) status = "in_progress";
    if (line.starts_with("- [")) line.remove_prefix(std::min<std::size_t>(6, line.size()));
    if (line.empty()) continue;
    entries.push_back({{"content", line}, {"priority", "medium"}, {"status", status}});
  }
  session_.update({{"sessionUpdate", "plan"}, {"entries", std::move(entries)}});
}

void turn::run(const step& s) {
  tool_call call(*this, "execute", s.argument, {{"command", s.argument}, {"cwd", session_.cwd()}});
  if (!call.permitted(true)) return;
  call.start();
  if (s.verb == "spawn") {
    const auto pid = spawn_command(s.argument, session_.cwd());
    if (pid < 0) return call.end(false, {{"error", std::strerror(errno)}});
    return call.end(true, {{"pid", pid}},
                    json::array({text_content("Started as process " + std::to_string(pid))}));
  }
  std::string shown;
  auto last = std::chrono::steady_clock::now();
  const auto console = [](const std::string& text) {
    return json::array({text_content("```console\n" + text + "\n```")});
  };
  const auto result = run_command(s.argument, session_.cwd(), stop_, [&](std::string_view piece) {
    shown += piece;
    if (const auto now = std::chrono::steady_clock::now(); now - last >= output_interval) {
      last = now;
      call.show(console(shown));
    }
  });
  auto text = result.output;
  if (result.cut > 0) text += "\n[" + std::to_string(result.cut) + " more bytes were not kept]";
  if (!result.start_error.empty()) text = result.start_error;
  if (result.signal != 0) text += "\n[ended by signal " + std::to_string(result.signal) + "]";
  if (result.timed_out) text += "\n[killed: it ran longer than 10 minutes]";
  usage_.input += tokens(result.output);
  json output = {{"output", result.output}, {"exitCode", result.exit_code}};
  if (result.exit_code < 0) output["exitCode"] = nullptr;
  call.end(result.exit_code == 0, std::move(output), console(text));
}

void turn::write(const step& s) {
  const auto path = absolute(s.path);
  const auto old = read_text(path, max_shown_file);
  json diff = {{"type", "diff"},
               {"path", path},
               {"oldText", old.text ? json(*old.text) : json(nullptr)},
               {"newText", s.text}};
  tool_call call(*this, "edit", "Write " + s.path, {{"path", path}, {"content", s.text}},
                 json::array({std::move(diff)}), path);
  if (!call.permitted(true)) return;
  call.start();
  usage_.output += tokens(s.text);
  const auto wrong = write_text(path, s.text);
  if (!wrong.empty()) return call.end(false, {{"error", wrong}}, json::array({text_content(wrong)}));
  call.end(true, old.text ? "The file was replaced." : "The file was made.");
}

void turn::edit(const step& s) {
  const auto path = absolute(s.path);
  const json diff = {{"type", "diff"}, {"path", path}, {"oldText", s.text}, {"newText", s.replacement}};
  tool_call call(*this, "edit", "Edit " + s.path, {{"path", path}, {"old", s.text}, {"new", s.replacement}},
                 json::array({diff}), path);
  if (!call.permitted(true)) return;
  call.start();
  usage_.output += tokens(s.text) + tokens(s.replacement);
  const auto fail = [&](const std::string& why) {
    call.end(false, {{"error", why}}, json::array({text_content(why)}));
  };
  const auto file = read_text(path, max_edited_file);
  if (!file.text) return fail(file.error);
  const auto at = file.text->find(s.text);
  if (at == std::string::npos) return fail(s.path + " does not have the text that is to be replaced");
  if (file.text->find(s.text, at + 1) != std::string::npos) {
    return fail(s.path +
                " has the text that is to be replaced more than once; give more of what stands around it");
  }
  auto text = *file.text;
  text.replace(at, s.text.size(), s.replacement);
  const auto wrong = write_text(path, text);
  if (!wrong.empty()) return fail(wrong);
  call.end(true, "The file was changed.");
}

void turn::read(const step& s) {
  const auto path = absolute(s.path);
  tool_call call(*this, "read", "Read " + s.path, {{"path", path}}, json::array(), path);
  call.start();
  const auto file = read_text(path, max_shown_file);
  if (!file.text) return call.end(false, {{"error", file.error}}, json::array({text_content(file.error)}));
  usage_.input += tokens(*file.text);
  call.end(true, {{"bytes", file.text->size()}}, json::array({text_content(*file.text)}));
}

void turn::list(const step& s) {
  const auto path = s.path.empty() ? session_.cwd() : absolute(s.path);
  tool_call call(*this, "search", "List " + (s.path.empty() ? "." : s.path), {{"path", path}}, json::array(),
                 path);
  call.start();
  const auto names = list_folder(path, max_listed);
  if (!names.error.empty())
    return call.end(false, {{"error", names.error}}, json::array({text_content(names.error)}));
  usage_.input += tokens(names.text);
  call.end(true, {{"entries", names.count}}, json::array({text_content(names.text)}));
}

void turn::ask(const step& s) {
  tool_call call(*this, "other", s.argument, {{"question", s.argument}});
  if (call.permitted(true, true)) return call.end(true, "allowed");
  if (stop_reason_.empty()) {
    speak("agent_message_chunk", "You refused it, so I leave out the rest.");
    stop_reason_ = "end_turn";
  }
}

void turn::flood(const step& s) {
  int count = 0, bytes = 0;
  std::sscanf(s.argument.c_str(), "%d %d", &count, &bytes);
  const auto id = new_id("msg");
  for (int i = 0; i < count && !stop_.stop_requested(); ++i) {
    auto text = std::to_string(i) + " ";
    text.resize(static_cast<std::size_t>(std::max(bytes, static_cast<int>(text.size()))), '.');
    session_.update(update_of_chunk("agent_message_chunk", text, id));
  }
}

void turn::hang(bool hard) {
  if (hard) {
    for (;;) ::pause();
  }
  pause(std::chrono::hours(24 * 365));
}

void turn::report_usage(double cost) {
  session_.update({{"sessionUpdate", "usage_update"},
                   {"used", session_.spend(usage_)},
                   {"size", context_size},
                   {"cost", {{"amount", cost}, {"currency", "USD"}}}});
}

void turn::pause(std::chrono::nanoseconds time) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop_, time, [] { return false; });
}

std::string turn::absolute(const std::string& path) const {
  return (std::filesystem::path(session_.cwd()) / path).lexically_normal().string();
}

}  // namespace scripted
