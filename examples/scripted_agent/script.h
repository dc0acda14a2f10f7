// The little language of the scripted agent: a prompt, line by line, as steps.
//
// A prompt is a script when its first line that is neither empty nor a comment is a directive in its exact
// form; then every line must be one. Anything else is prose, and prose becomes the demonstration's script.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace scripted {

struct step {
  int line = 0;             // from 1
  std::string verb;         // a directive's name
  std::string argument;     // what stands behind it
  std::string path;         // of write, edit, read, list
  std::string text;         // what to write, or the old text of an edit, or the lines of a plan
  std::string replacement;  // the new text of an edit
};

struct script_error {
  int line = 0;
  std::string what;  // says what was expected
};

struct directive {
  std::string_view name;
  std::string_view form;
  std::string_view meaning;
};

// In the order in which --help shows them.
std::span<const directive> directives();

bool is_script(std::string_view prompt);
std::variant<std::vector<step>, script_error> parse(std::string_view prompt);

// The script of the small job that is done for a prompt in prose, in the folder `cwd`.
std::string demonstration(std::string_view prompt, const std::string& cwd);

// The beginning of a text as a title: its first line, at most 80 bytes, cut at a word.
std::string title_of(std::string_view text);

}  // namespace scripted
