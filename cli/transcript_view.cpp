#include "cli/transcript_view.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "cli/diff_view.h"

namespace troupe::cli {

using nlohmann::json;

namespace {

constexpr std::string_view margin = "    ";
constexpr std::size_t name_columns = 10;

std::string string_of(const json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

/// The text of one content block, or what it is.
std::string block_text(const json& block) {
  if (!block.is_object()) return {};
  const auto type = string_of(block, "type");
  if (type == "text") return string_of(block, "text");
  if (type == "resource_link") return fmt::format("[{}]", string_of(block, "uri"));
  return type.empty() ? std::string() : fmt::format("[{}]", type);
}

std::pair<const char*, style> mark_of(const std::string& status) {
  if (status == "completed") return {"✔", style::green};
  if (status == "in_progress") return {"▸", style::yellow};
  return {"○", style::dim};
}

std::string first_lines(std::string_view text, std::size_t max, std::size_t& left) {
  std::size_t at = 0, count = 0;
  while (at < text.size() && count < max) {
    const auto end = text.find('\n', at);
    at = end == std::string_view::npos ? text.size() : end + 1;
    ++count;
  }
  left =
      static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), '\n')) +
      (at < text.size() && text.back() != '\n' ? 1 : 0);
  return std::string(text.substr(0, at));
}

}  // namespace

void transcript_view::settle() {
  if (!speaking_.empty()) out_.write("\n");
  speaking_.clear();
  column_ = 0;
}

void transcript_view::note(style s, std::string_view text) {
  settle();
  out_.write(wrapped(out_.paint(s, text), out_.width(), "  ", margin));
}

void transcript_view::text(const char* who, style s, const std::string& chunk) {
  const auto safe = plain(chunk, true);
  if (safe.empty()) return;
  const auto room = std::max<std::size_t>(out_.width(), 40);
  const std::string indent(name_columns + 2, ' ');
  std::string out;
  if (speaking_ != who) {
    settle();
    speaking_ = who;
    out += "  " + out_.paint(s, padded(cut(who, name_columns - 1), name_columns));
    column_ = indent.size();
  }
  // Words may be cut between two chunks; the break then falls a little late, never inside a word that came
  // whole.
  for (std::size_t at = 0; at < safe.size();) {
    if (safe[at] == '\n') {
      out += "\n";
      column_ = 0;
      ++at;
      continue;
    }
    auto end = safe.find_first_of(" \n", at + 1);
    if (end == std::string::npos) end = safe.size();
    auto word = safe.substr(at, end - at);
    if (column_ > indent.size() && column_ + columns(word) > room) {
      out += "\n";
      column_ = 0;
    }
    if (column_ == 0) {
      if (word.starts_with(' ')) word.erase(0, 1);
      out += indent;
      column_ = indent.size();
    }
    out += s == style::dim ? out_.paint(style::dim, word) : word;
    column_ += columns(word);
    at = end;
  }
  out_.write(out);
}

void transcript_view::plan(const json& entries) {
  if (!entries.is_array()) return;
  std::map<std::string, std::string> now;
  std::string out;
  for (const auto& entry : entries) {
    const auto words = plain(string_of(entry, "content"));
    const auto status = string_of(entry, "status");
    // An agent sends the whole plan each time; after the first, only what moved is news.
    const auto before = plan_.find(words);
    if (before == plan_.end() || before->second != status) {
      const auto [mark, s] = mark_of(status);
      const auto shown = cut(words, out_.width() - 8);
      out += fmt::format("{}{} {}\n", margin, out_.paint(s, mark),
                         status == "completed" ? out_.paint(style::dim, shown) : shown);
    }
    now[words] = status;
  }
  plan_ = std::move(now);
  if (out.empty()) return;
  settle();
  out_.write("  " + out_.paint(style::blue, "plan") + "\n" + out);
}

void transcript_view::content(call& of, const json& parts) {
  if (!parts.is_array()) return;
  const auto gutter = std::string(margin) + out_.paint(style::dim, "│ ");
  for (const auto& part : parts) {
    // A later update repeats what an earlier one had.
    if (!part.is_object() || !of.shown.insert(part.dump()).second) continue;
    const auto type = string_of(part, "type");
    if (type == "diff") {
      const auto old = part.find("oldText");
      std::optional<std::string> before;
      if (old != part.end() && old->is_string()) before = old->get<std::string>();
      out_.write(gutter + out_.paint(style::bold, plain(string_of(part, "path"))) +
                 out_.paint(style::dim, before ? "" : "  new file") + "\n");
      out_.write(edit_diff(out_, before, string_of(part, "newText"), gutter, max_change_lines));
    } else if (type == "content") {
      auto words = block_text(part.value("content", json::object()));
      // A fence around a whole output is for pages, not for a terminal.
      if (words.starts_with("```") && words.find('\n') != std::string::npos) {
        words.erase(0, words.find('\n') + 1);
        if (const auto fence = words.rfind("```"); fence != std::string::npos) words.erase(fence);
      }
      words = plain(words, true);
      while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) words.pop_back();
      std::size_t left = 0;
      const auto shown = first_lines(words, max_output_lines, left);
      std::size_t at = 0;
      while (at < shown.size()) {
        const auto end = std::min(shown.find('\n', at), shown.size());
        const auto line = cut(std::string_view(shown).substr(at, end - at), out_.width() - 6);
        out_.write(gutter + out_.paint(style::dim, line) + "\n");
        at = end + 1;
      }
      if (left > 0) out_.write(gutter + out_.paint(style::dim, fmt::format("… {} more lines", left)) + "\n");
    } else if (type == "terminal") {
      out_.write(gutter + out_.paint(style::dim, "terminal " + plain(string_of(part, "terminalId"))) + "\n");
    }
  }
}

void transcript_view::tool(const json& update, std::int64_t time_ms) {
  const auto id = string_of(update, "toolCallId");
  const auto known = calls_.find(id);
  const auto title = plain(string_of(update, "title"));
  const auto status = string_of(update, "status");
  if (known == calls_.end()) {
    if (calls_.size() >= max_open_calls) calls_.erase(calls_.begin());
    auto& opened = calls_[id];
    opened.began = time_ms;
    opened.kind = string_of(update, "kind");
    opened.title = title.empty() ? "tool call" : title;
    settle();
    out_.line(fmt::format("  {} {}", out_.paint(style::cyan, "●"),
                          out_.paint(style::bold, cut(opened.title, out_.width() - 4))));
  } else if (!title.empty() && title != known->second.title) {
    known->second.title = title;
    settle();
    out_.line(fmt::format("  {} {}", out_.paint(style::cyan, "●"),
                          out_.paint(style::bold, cut(title, out_.width() - 4))));
  }
  auto& open = calls_[id];
  settle();
  if (const auto parts = update.find("content"); parts != update.end()) content(open, *parts);
  if (status == "completed" || status == "failed") {
    const bool good = status == "completed";
    const auto took = duration(std::chrono::milliseconds(std::max<std::int64_t>(0, time_ms - open.began)));
    out_.line(fmt::format("{}{} {}", margin,
                          out_.paint(good ? style::green : style::red, good ? "✔" : "✘ failed"),
                          out_.paint(style::dim, took)));
    calls_.erase(id);
  }
}

void transcript_view::update(const json& what, std::int64_t time_ms) {
  const auto kind = string_of(what, "sessionUpdate");
  if (kind == "agent_message_chunk") {
    text(agent_.c_str(), style::magenta, block_text(what.value("content", json::object())));
  } else if (kind == "agent_thought_chunk") {
    text("thinking", style::dim, block_text(what.value("content", json::object())));
  } else if (kind == "user_message_chunk") {
    text("you", style::green, block_text(what.value("content", json::object())));
  } else if (kind == "tool_call" || kind == "tool_call_update") {
    tool(what, time_ms);
  } else if (kind == "plan") {
    plan(what.value("entries", json::array()));
  } else if (kind == "current_mode_update") {
    note(style::dim, "mode " + plain(string_of(what, "currentModeId")));
  }
  // Titles, usage and lists of commands show in snapshots; a reader of the conversation does not need them.
}

void transcript_view::permission_answered(const json& entry) {
  const auto answer = string_of(entry, "answer");
  const auto by = plain(string_of(entry, "by"));
  if (answer == "reject") return note(style::red, fmt::format("✘ rejected by {}", by));
  if (answer == "allow_once" || answer == "allow_always") {
    return note(style::green,
                fmt::format("✔ {} by {}", answer == "allow_once" ? "allowed" : "always allowed", by));
  }
  note(style::dim, fmt::format("permission {}", plain(answer)));
}

void transcript_view::turn_ended(const json& entry) {
  const auto reason = string_of(entry, "stop_reason");
  const auto took = duration(std::chrono::milliseconds(entry.value("duration_ms", std::int64_t{0})));
  calls_.clear();
  if (const auto error = entry.find("error"); error != entry.end() && error->is_object()) {
    note(style::red, fmt::format("✘ {}", plain(string_of(*error, "message"))));
  } else if (reason == "end_turn") {
    note(style::dim, fmt::format("turn ended after {}", took));
  } else {
    note(style::yellow, fmt::format("turn ended: {} after {}", plain(reason), took));
  }
}

void transcript_view::show(const json& entry, std::int64_t time_ms) {
  if (!entry.is_object()) return;
  const auto type = string_of(entry, "type");
  if (type == "update") {
    update(entry.value("update", json::object()), time_ms);
  } else if (type == "prompt") {
    settle();
    std::string words;
    for (const auto& block : entry.value("content", json::array())) words += block_text(block);
    text(entry.contains("guard") ? "troupe" : "prompt", style::green, words);
    settle();
  } else if (type == "permission_requested") {
    const auto asked = entry.value("request", json::object()).value("toolCall", json::object());
    const auto title = plain(string_of(asked, "title"));
    note(style::yellow, fmt::format("? {} asks: {}", agent_, title.empty() ? "may it go on?" : title));
  } else if (type == "permission_answered") {
    permission_answered(entry);
  } else if (type == "turn_ended") {
    turn_ended(entry);
  } else if (type == "error") {
    note(style::red, fmt::format("✘ {}", plain(string_of(entry, "message"))));
  } else if (type == "agent_started") {
    const auto how = string_of(entry, "how");
    if (how != "new") note(style::dim, fmt::format("{} started again ({})", agent_, plain(how)));
  } else if (type == "agent_exited") {
    note(style::red,
         fmt::format("✘ {} ended: {}", agent_, cut(plain(entry.value("message", json()).dump()), 400)));
  } else if (type == "agent_output") {
    const auto said = entry.value("message", json::object());
    const auto words = said.is_object() && said.contains("raw") ? string_of(said, "raw") : said.dump();
    note(style::dim, fmt::format("{} printed: {}", agent_, cut(plain(words), 400)));
  } else if (type == "gap") {
    note(style::yellow, fmt::format("{} messages are missing here", entry.value("missing", 0)));
  } else if (type == "setting") {
    note(style::dim, fmt::format("{} {}", plain(string_of(entry, "what")), plain(string_of(entry, "value"))));
  } else if (type == "closed") {
    note(style::dim, fmt::format("closed by {}", plain(string_of(entry, "by"))));
  }
}

}  // namespace troupe::cli
