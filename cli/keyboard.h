// The keyboard of a person while text streams onto the same terminal: single keys, or one line with editing
// and history (libedit), during which nothing else should be written.
//
// One per process; one thread.
#pragma once

#include <termios.h>

#include <optional>
#include <string>

struct editline;
struct history;

namespace troupe::cli {

class keyboard {
 public:
  /// Keys come one by one and unechoed from now on. Standard input must be a terminal.
  keyboard();
  /// Gives the terminal back as it was.
  ~keyboard();
  keyboard(const keyboard&) = delete;
  keyboard& operator=(const keyboard&) = delete;

  /// The key that poll() said is there; nothing at the end of input.
  std::optional<char> key();

  enum class outcome { entered, dropped, end };
  /// Edits one line, beginning with the keys that were pressed already: entered, dropped with Ctrl-C, or
  /// ended with Ctrl-D on an empty line. A line that ends with a backslash goes on in the next one.
  outcome line(const char* prompt, std::string& text);

 private:
  void watch();
  static const char* prompt_of(editline*);
  static unsigned char drop(editline*, int);

  termios before_{};
  editline* editor_ = nullptr;
  history* history_ = nullptr;
  struct {
    const char* prompt = "";
    bool dropped = false;
  } edited_;
};

}  // namespace troupe::cli
