// What was said, bounded, for an agent that starts anew and cannot load its session.
#include "actors/json_read.h"
#include "actors/session/advance.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

constexpr std::string_view agent_mark = "Assistant: ";
constexpr std::int64_t max_sayings = 4000;

}  // namespace

std::string text_of(const json& content) {
  std::string text;
  if (!content.is_array()) return text;
  for (const auto& block : content) {
    const auto type = text_field(block, "type");
    if (!text.empty()) text += "\n";
    if (type == "text") {
      text += text_field(block, "text");
    } else {
      text.append("[").append(clip(type, 40)).append("]");
    }
  }
  return text;
}

// Pieces of one message stay rows of their own: they are put together when they are needed, which is rare.
void remember(turn& t, std::string_view who, std::string_view text) {
  if (text.empty()) return;
  t.run("INSERT INTO said (seq, who, text) SELECT coalesce(max(seq), 0) + 1, ?, ? FROM said", who,
        clip(text, max_said));
  t.run("DELETE FROM said WHERE seq <= (SELECT max(seq) FROM said) - ?", max_sayings);
}

std::string context(const view& v) {
  std::vector<std::string> newest_first;
  std::size_t size = 0;
  bool all = true;
  std::string before;
  v.each("SELECT who, text FROM said ORDER BY seq DESC", [&](const auto& row) {
    const auto who = row.template get<std::string>(0);
    const auto said = row.template get<std::string>(1);
    size += said.size() + 16;
    if (size > max_context_bytes) return all = false;
    // A piece that comes before one of the same message goes in front of it.
    if (who == "agent" && before == who) {
      newest_first.back().insert(agent_mark.size(), said);
    } else {
      const auto mark = who == "person" ? std::string_view("User: ") : who == "agent" ? agent_mark : "Tool: ";
      newest_first.push_back(std::string(mark) + said);
    }
    before = who;
    return true;
  });
  std::string text =
      "This conversation goes on in a new process of yours. What was said and done before, oldest first";
  text += all ? ":\n\n" : " (the beginning is left out):\n\n";
  for (auto line = newest_first.rbegin(); line != newest_first.rend(); ++line) text += *line + "\n\n";
  return text + "The new message follows.";
}

}  // namespace troupe::actors::sessions
