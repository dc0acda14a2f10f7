#include "cli/keyboard.h"

#include <histedit.h>
#include <locale.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "cli/failure.h"

namespace troupe::cli {

namespace {

constexpr int remembered_lines = 200;

}  // namespace

const char* keyboard::prompt_of(editline* editor) {
  decltype(edited_)* edited = nullptr;
  el_get(editor, EL_CLIENTDATA, &edited);
  return edited->prompt;
}

unsigned char keyboard::drop(editline* editor, int) {
  decltype(edited_)* edited = nullptr;
  el_get(editor, EL_CLIENTDATA, &edited);
  edited->dropped = true;
  return CC_EOF;
}

keyboard::keyboard() {
  if (::tcgetattr(STDIN_FILENO, &before_) != 0)
    throw failure(fmt::format("the keyboard is no terminal: {}", std::strerror(errno)));
  // Characters of more than one byte are edited as one in a locale that knows them.
  if (const char* set = ::setlocale(LC_CTYPE, ""); !set || !std::strstr(set, "UTF-8"))
    ::setlocale(LC_CTYPE, "C.UTF-8");
  editor_ = el_init("troupe", stdin, stdout, stderr);
  history_ = history_init();
  if (!editor_ || !history_) throw failure("the keyboard cannot be read: out of memory");
  HistEvent event;
  history(history_, &event, H_SETSIZE, remembered_lines);
  el_set(editor_, EL_HIST, history, history_);
  el_set(editor_, EL_EDITOR, "emacs");
  el_set(editor_, EL_CLIENTDATA, &edited_);
  el_set(editor_, EL_PROMPT, &prompt_of);
  // Ctrl-C is a key while a line is edited: it drops the line and nothing else.
  el_set(editor_, EL_SETTY, "-d", "-isig", nullptr);
  el_set(editor_, EL_ADDFN, "drop-line", "drop the line", &drop);
  el_set(editor_, EL_BIND, "^C", "drop-line", nullptr);
  watch();
}

keyboard::~keyboard() {
  history_end(history_);
  el_end(editor_);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

void keyboard::watch() {
  auto mode = before_;
  mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
}

std::optional<char> keyboard::key() {
  char pressed = 0;
  while (true) {
    const auto got = ::read(STDIN_FILENO, &pressed, 1);
    if (got == 1) return pressed;
    if (got < 0 && errno == EINTR) return '\0';
    return {};
  }
}

keyboard::outcome keyboard::line(const char* prompt, std::string& text) {
  text.clear();
  edited_ = {.prompt = prompt};
  auto how = outcome::entered;
  while (true) {
    int count = 0;
    const char* typed = el_gets(editor_, &count);
    if (!typed || count <= 0) {
      how = edited_.dropped ? outcome::dropped : outcome::end;
      break;
    }
    std::string_view line(typed, static_cast<std::size_t>(count));
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (!line.ends_with('\\')) {
      text += line;
      break;
    }
    text += line.substr(0, line.size() - 1);
    text += '\n';
    edited_.prompt = "… ";
  }
  if (!text.empty()) {
    HistEvent event;
    history(history_, &event, H_ENTER, text.c_str());
  }
  watch();
  return how;
}

}  // namespace troupe::cli
