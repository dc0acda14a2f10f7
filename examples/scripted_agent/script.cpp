#include "examples/scripted_agent/script.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace scripted {
namespace {

constexpr directive table[] = {
    {"say", "say TEXT", "an agent message, in chunks"},
    {"think", "think TEXT", "a thought, in chunks"},
    {"plan", "plan <<END", "a plan: lines `- [ ] todo`, `- [~] in progress`, `- [x] done`, then END"},
    {"run", "run COMMAND", "runs it with /bin/sh in an own session; its output is the tool call's content"},
    {"spawn", "spawn COMMAND", "starts it in an own session and leaves it running when the turn ends"},
    {"write", "write PATH TEXT | write PATH <<END", "writes a file; the block's lines go in as they are"},
    {"edit", "edit PATH OLD -> NEW | edit PATH <<END",
     "replaces the one place where OLD stands; in a block a line `->` parts them"},
    {"read", "read PATH", "reads a text file"},
    {"list", "list [PATH]", "lists a folder"},
    {"ask", "ask TEXT", "asks for a permission; if it is refused the rest of the script is left out"},
    {"title", "title TEXT", "gives the session a title"},
    {"mode", "mode ID", "the agent changes its own mode"},
    {"usage", "usage USED SIZE [COST]", "reports tokens and US dollars"},
    {"sleep", "sleep SECONDS", "waits; a cancel ends it"},
    {"stop", "stop REASON", "ends the turn with that stop reason (refusal, max_tokens, …)"},
    {"fail", "fail TEXT", "the prompt fails with an error"},
    {"open", "open TITLE", "announces a tool call and never closes it"},
    {"update", "update JSON", "sends a session update as it stands"},
    {"flood", "flood COUNT BYTES", "sends that many message chunks of that size"},
    {"warn", "warn TEXT", "writes a line to stderr"},
    {"garbage", "garbage TEXT", "writes a line to stdout that is not JSON"},
    {"hang", "hang [hard]", "goes silent until a cancel; hard: ignores the cancel too"},
    {"crash", "crash [CODE]", "the program ends at once with that exit code (7)"},
};

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// The first word, and the rest without the blanks between.
std::pair<std::string_view, std::string_view> split(std::string_view text) {
  text = trim(text);
  const auto end = std::min(text.find_first_of(" \t"), text.size());
  return {text.substr(0, end), trim(text.substr(end))};
}

template <class Number>
bool is_number(std::string_view text) {
  Number value{};
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  return bad == std::errc{} && end == text.data() + text.size() && value >= 0;
}

class lines {
 public:
  explicit lines(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> next() {
    if (done_) return std::nullopt;
    const auto end = rest_.find('\n');
    auto line = rest_.substr(0, end);
    if (end == std::string_view::npos)
      done_ = true;
    else
      rest_.remove_prefix(end + 1);
    ++number_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }
  int number() const { return number_; }

 private:
  std::string_view rest_;
  bool done_ = false;
  int number_ = 0;
};

bool is_path(std::string_view word) {
  return word.find_first_of("./") != std::string_view::npos;
}

// The text between a line that ends in <<WORD and the line WORD. False: the end never came.
bool take_block(lines& source, std::string_view end, std::string& into) {
  while (const auto line = source.next()) {
    if (*line == end) return true;
    into.append(*line).append("\n");
  }
  return false;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() &&
        (text[i + 1] == 'n' || text[i + 1] == 't' || text[i + 1] == '\\')) {
      ++i;
      out += text[i] == 'n' ? '\n' : text[i] == 't' ? '\t' : '\\';
    } else {
      out += text[i];
    }
  }
  return out;
}

// Fills the step from the line, and from the lines after it where it opens a block. A text: what is wrong.
std::string read_step(step& s, std::string_view argument, lines& source) {
  s.argument = argument;
  const auto& v = s.verb;
  std::string_view block_end;
  if (const auto at = argument.rfind("<<");
      at != std::string_view::npos && (v == "plan" || v == "write" || v == "edit")) {
    const auto word = argument.substr(at + 2);
    if (!word.empty() && word.find(' ') == std::string_view::npos && (at == 0 || argument[at - 1] == ' ')) {
      block_end = word;
      argument = trim(argument.substr(0, at));
    }
  }
  std::string block;
  if (!block_end.empty() && !take_block(source, block_end, block)) {
    return "the block that begins here has no line `" + std::string(block_end) + "` at its end";
  }
  const auto [first, rest] = split(argument);
  if (v == "plan") {
    s.text = block_end.empty() ? std::string(argument) : block;
    return s.text.empty() ? "a plan needs at least one entry" : "";
  }
  if (v == "write") {
    s.path = first;
    s.text = block_end.empty() ? unescape(rest) + "\n" : block;
    if (!is_path(first)) return "write needs a path with a dot or a slash in it";
    return block_end.empty() && rest.empty() ? "write needs a text or a block" : "";
  }
  if (v == "edit") {
    s.path = first;
    if (!is_path(first)) return "edit needs a path with a dot or a slash in it";
    const std::string_view mark = block_end.empty() ? " -> " : "->\n";
    const std::string whole = block_end.empty() ? std::string(rest) : "\n" + block;
    const auto at = block_end.empty() ? whole.find(mark) : whole.find("\n->\n");
    if (at == std::string::npos) return "edit needs `OLD -> NEW`, or a block with a line `->` in it";
    if (block_end.empty()) {
      s.text = unescape(whole.substr(0, at));
      s.replacement = unescape(whole.substr(at + mark.size()));
    } else {
      s.text = whole.substr(1, at);
      s.replacement = whole.substr(at + 4);
    }
    return s.text.empty() ? "edit needs the text that is to be replaced" : "";
  }
  if (v == "read" || v == "list") {
    s.path = first;
    if (!rest.empty()) return v + " takes one path";
    return v == "read" && first.empty() ? "read needs a path" : "";
  }
  if (v == "sleep") return is_number<double>(argument) ? "" : "sleep needs a number of seconds";
  if (v == "flood") {
    return is_number<int>(first) && is_number<int>(rest) ? "" : "flood needs a count and a size in bytes";
  }
  if (v == "usage") {
    const auto [size, cost] = split(rest);
    const bool fine =
        is_number<int>(first) && is_number<int>(size) && (cost.empty() || is_number<double>(cost));
    return fine ? "" : "usage needs two counts of tokens and perhaps a cost";
  }
  if (v == "crash") return argument.empty() || is_number<int>(argument) ? "" : "crash takes an exit code";
  if (v == "hang") return argument.empty() || argument == "hard" ? "" : "hang takes nothing, or hard";
  return argument.empty() ? v + " needs an argument" : "";
}

}  // namespace

std::span<const directive> directives() {
  return table;
}

bool is_script(std::string_view prompt) {
  lines source(prompt);
  while (const auto line = source.next()) {
    const auto [word, rest] = split(*line);
    if (word.empty() || word.front() == '#') continue;
    step s;
    s.verb = word;
    const bool known =
        std::any_of(std::begin(table), std::end(table), [&](const auto& d) { return d.name == s.verb; });
    return known && read_step(s, rest, source).empty();
  }
  return false;
}

std::variant<std::vector<step>, script_error> parse(std::string_view prompt) {
  std::vector<step> steps;
  lines source(prompt);
  while (const auto line = source.next()) {
    const auto [word, rest] = split(*line);
    if (word.empty() || word.front() == '#') continue;
    step s;
    s.line = source.number();
    s.verb = word;
    if (std::none_of(std::begin(table), std::end(table), [&](const auto& d) { return d.name == s.verb; })) {
      return script_error{s.line, "`" + s.verb + "` is no directive; scripted-agent --help lists them"};
    }
    if (auto wrong = read_step(s, rest, source); !wrong.empty())
      return script_error{s.line, std::move(wrong)};
    steps.push_back(std::move(s));
  }
  return steps;
}

std::string title_of(std::string_view text) {
  constexpr std::size_t longest = 80;
  lines source(text);
  std::string_view line;
  while (line.empty()) {
    const auto next = source.next();
    if (!next) return "";
    line = trim(*next);
  }
  if (line.size() <= longest) return std::string(line);
  auto end = line.rfind(' ', longest);
  if (end == std::string_view::npos) {
    for (end = longest; end > 0 && (line[end] & 0xC0) == 0x80;) --end;  // never inside a UTF-8 character
  }
  return std::string(trim(line.substr(0, end))) + "…";
}

}  // namespace scripted
