// What the agent does for a prompt in prose: a small job on the repository that shows every kind of update,
// written in the agent's own language.
#include <filesystem>

#include "examples/scripted_agent/files.h"
#include "examples/scripted_agent/script.h"

namespace scripted {
namespace {

constexpr std::size_t shown_prompt = 4096;  // bytes of the prompt that go into the note
constexpr auto note = "SCRIPTED_NOTES.md";

// No line of the prompt can end the block that it is put in.
std::string quoted(std::string_view prompt) {
  std::string out = "> ";
  for (const char c : prompt.substr(0, shown_prompt)) {
    if (c == '\r') continue;
    out += c;
    if (c == '\n') out += "> ";
  }
  return out;
}

std::string plan(int done) {
  constexpr const char* entries[] = {"Look around in the repository", "Write down what was asked",
                                     "Check the result", "Sum up"};
  std::string text = "plan <<END\n";
  for (int i = 0; i < 4; ++i) {
    text += i < done ? "- [x] " : i == done ? "- [~] " : "- [ ] ";
    text += entries[i];
    text += "\n";
  }
  return text + "END\n";
}

}  // namespace

std::string demonstration(std::string_view prompt, const std::string& cwd) {
  const auto folder = std::filesystem::path(cwd);
  std::error_code ec;
  const auto names = list_folder(cwd, 20);
  std::string s;
  s += "think No model here, so the job is the one I know: look, write, check, sum up.\n";
  s += plan(0);
  s += "say I look at what is here before I change anything.\n";
  s += "list\n";
  for (const auto* readme : {"README.md", "README", "readme.md", "README.rst"}) {
    if (!std::filesystem::is_regular_file(folder / readme, ec)) continue;
    s += std::string("read ./") + readme + "\n";
    break;
  }
  s += plan(1);
  const auto old = read_text((folder / note).string(), max_edited_file);
  const auto end_mark = std::string("That is all so far.\n");
  if (old.text && old.text->ends_with("\n" + end_mark) &&
      old.text->find(end_mark) == old.text->size() - end_mark.size()) {
    s += "say The notes of the last time are there, so I add to them.\n";
    s += std::string("edit ") + note + " <<END\n" + end_mark + "->\nThen somebody asked:\n\n" +
         quoted(prompt) + "\n\n" + end_mark + "END\n";
  } else {
    s += "say I write down what you asked for.\n";
    s += std::string("write ") + note + " <<END\n# Notes of the scripted agent\n\nSomebody asked:\n\n" +
         quoted(prompt) + "\n\nAt the top of the repository stand " + std::to_string(names.count) +
         " files and folders.\n\n" + end_mark + "END\n";
  }
  s += plan(2);
  s += std::string("run wc ") + note + " && git status --short\n";
  s += plan(3);
  s += std::string("say Done: ") + note +
       " holds your request. A real agent would have worked on it; give me directives (see "
       "docs/scripted-agent.md) "
       "and I do exactly those.\n";
  s += plan(4);
  return s;
}

}  // namespace scripted
