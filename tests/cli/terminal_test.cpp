#include "cli/terminal.h"

#include <cstdlib>

#include <doctest/doctest.h>

#include "tests/cli/capture.h"

using namespace troupe::cli;
using namespace std::chrono_literals;

TEST_CASE("text of others cannot move the cursor, change colours or set the title") {
  CHECK(plain("a\x1b[2Jb") == "ab");
  CHECK(plain("a\x1b]0;title\x07z") == "az");
  CHECK(plain("a\x1b]8;;http://x\x1b\\link") == "alink");
  CHECK(plain("one\rtwo\x08\x7f") == "onetwo");
  CHECK(plain("\x1b") == "");
  CHECK(plain("\xc2\x9b"
              "31m") == "31m");
}

TEST_CASE("text of others cannot turn the direction of reading") {
  CHECK(plain("user\xe2\x80\xae"
              "txt.exe") == "usertxt.exe");
  CHECK(plain("a\xe2\x81\xa6z") == "az");
}

TEST_CASE("line ends stay only where lines are wanted") {
  CHECK(plain("a\nb\tc") == "a b c");
  CHECK(plain("a\nb\tc", true) == "a\nb\tc");
}

TEST_CASE("bytes that are not UTF-8 become the replacement character, whole characters stay") {
  CHECK(plain("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(plain("a\xff"
              "b") ==
        "a\xef\xbf\xbd"
        "b");
  CHECK(plain("\xe2\x82") == "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("columns count what a terminal shows, not bytes and not colours") {
  CHECK(columns("caf\xc3\xa9") == 4);
  CHECK(columns("\x1b[31mred\x1b[0m") == 3);
  CHECK(columns("日本語") == 6);
  CHECK(columns("🙂") == 2);
  CHECK(columns("e\xcc\x81") == 1);
}

TEST_CASE("a cut text takes at most the width, and a cut colour ends") {
  CHECK(cut("abcdef", 6) == "abcdef");
  CHECK(cut("abcdefg", 6) == "abcde…");
  CHECK(columns(cut("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 3)) == 3);
  CHECK(cut("\x1b[31mlong enough\x1b[0m", 5).ends_with("\x1b[0m"));
  CHECK(cut("日本語", 4) == "日…");
  CHECK(cut("日本語", 5) == "日本…");
}

TEST_CASE("wrapped lines break at blanks, keep their margins and lose nothing") {
  const auto text = wrapped("one two three four", 30, "> ", "  ");
  CHECK(text == "> one two three four\n");
  const auto narrow = wrapped("the quick brown fox jumps over it", 24, "- ", "  ");
  CHECK(narrow == "- the quick brown fox\n  jumps over it\n");
  CHECK(wrapped("a\n\nb", 40, "", "") == "a\n\nb\n");
}

TEST_CASE("a table lines up its columns and cuts the last one to the terminal") {
  table t({"NAME", "TITLE"});
  t.row({"a", std::string(100, 'x')});
  t.row({"longer", "short"});
  const auto text = t.text(terminal(stdout, false, 40));
  CHECK(text.starts_with("NAME    TITLE\n"));
  CHECK(text.find("longer  short\n") != std::string::npos);
  CHECK(text.find("…") != std::string::npos);
}

TEST_CASE("a table keeps to a narrow terminal: the widest columns give way, short ones stay whole") {
  table t({"TASK", "BRANCH", "TITLE"});
  t.row({"01234567", "troupe/" + std::string(60, 'b'), "日本語のタイトルがここにある"});
  const auto text = t.text(terminal(stdout, false, 60));
  CHECK(text.find("01234567  troupe/bbb") != std::string::npos);
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    CHECK(columns(std::string_view(text).substr(at, text.find('\n', at) - at)) <= 60);
}

TEST_CASE("a pipe gets whole lines, and COLUMNS decides wherever it is set") {
  std::FILE* file = std::tmpfile();
  ::unsetenv("COLUMNS");
  CHECK(terminal::of(file).width() > 10'000);
  ::setenv("COLUMNS", "60", 1);
  CHECK(terminal::of(file).width() == 60);
  ::setenv("COLUMNS", "wide", 1);
  CHECK(terminal::of(file).width() > 10'000);
  ::unsetenv("COLUMNS");
  std::fclose(file);
}

TEST_CASE("colour is left out where there is none") {
  CHECK(terminal(stdout, false, 80).paint(style::red, "x") == "x");
  CHECK(terminal(stdout, true, 80).paint(style::red, "x") == "\x1b[31mx\x1b[0m");
  CHECK(terminal(stdout, true, 80).paint(style::red, "") == "");
}

TEST_CASE("durations, sizes and ages read like a person says them") {
  CHECK(duration(7ms) == "7 ms");
  CHECK(duration(2100ms) == "2.1 s");
  CHECK(duration(250s) == "4 min 10 s");
  CHECK(bytes(512) == "512 B");
  CHECK(bytes(13'000'000) == "12.4 MB");
  CHECK(ago(0, 1500) == "just now");
  CHECK(ago(0, 12'000) == "12 s ago");
}
