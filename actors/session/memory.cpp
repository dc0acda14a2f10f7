// What was said, bounded, for an agent that starts anew and cannot load its session.
#include "actors/json_read.h"
#include "actors/session/advance.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

constexpr std::int64_t max_sayings = 400;

}  // namespace

std::string text_of(const json& content) {
  std::string text;
  if (!content.is_array()) return text;
  for (const auto& block : content) {
    const auto type = text_field(block, "type");
    if (!text.empty()) text += "\n";
    text += type == "text" ? text_field(block, "text") : "[" + clip(type, 40) + "]";
  }
  return text;
}

// Pieces of one message come in many batches: they are put together again.
void remember(turn& t, std::string_view who, std::string_view text) {
  if (text.empty()) return;
  if (who == "agent") {
    t.run(
        "UPDATE said SET text = substr(text || ?, 1, ?) WHERE seq = (SELECT max(seq) FROM said) AND who = "
        "'agent'",
        text, static_cast<std::int64_t>(max_said));
    if (t.changes() > 0) return;
  }
  t.run("INSERT INTO said (seq, who, text) SELECT coalesce(max(seq), 0) + 1, ?, ? FROM said", who,
        clip(text, max_said));
  t.run("DELETE FROM said WHERE seq <= (SELECT max(seq) FROM said) - ?", max_sayings);
}

std::string context(const view& v) {
  std::vector<std::string> newest_first;
  std::size_t size = 0;
  bool all = true;
  v.each("SELECT who, text FROM said ORDER BY seq DESC", [&](const auto& row) {
    const auto who = row.template get<std::string>(0);
    const auto* mark = who == "person" ? "User: " : who == "agent" ? "Assistant: " : "Tool: ";
    auto line = mark + row.template get<std::string>(1) + "\n\n";
    size += line.size();
    if (size > max_context_bytes) return all = false;
    newest_first.push_back(std::move(line));
    return true;
  });
  std::string text =
      "This conversation goes on in a new process of yours. What was said and done before, oldest first";
  text += all ? ":\n\n" : " (the beginning is left out):\n\n";
  for (auto line = newest_first.rbegin(); line != newest_first.rend(); ++line) text += *line;
  return text + "The new message follows.";
}

}  // namespace troupe::actors::sessions
