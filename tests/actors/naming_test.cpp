#include "actors/organization/naming.h"

#include <set>
#include <string>

#include <doctest/doctest.h>

using namespace troupe::actors;

namespace {

std::size_t characters(const std::string& text) {
  std::size_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

}  // namespace

TEST_CASE("a title is the first sentence of the description") {
  CHECK(title_from("Fix the login. It fails on Mondays.") == "Fix the login");
  CHECK(title_from("Why does it fail? Look at the logs.") == "Why does it fail?");
  CHECK(title_from("Fix the login\nIt fails on Mondays") == "Fix the login");
  CHECK(title_from("\n\n  Fix   the\tlogin  \n") == "Fix the login");
}

TEST_CASE("a dot inside a name, a number or an abbreviation ends no sentence") {
  CHECK(title_from("Rename main.cpp to app.cpp. Then build.") == "Rename main.cpp to app.cpp");
  CHECK(title_from("Upgrade to 2.5 now. Test it.") == "Upgrade to 2.5 now");
  CHECK(title_from("Add a shortcut, e.g. Ctrl-S, for saving. Thanks.") ==
        "Add a shortcut, e.g. Ctrl-S, for saving");
}

TEST_CASE("a title loses the marks of headings and lists") {
  CHECK(title_from("# Fix the login") == "Fix the login");
  CHECK(title_from("- Fix the login:") == "Fix the login");
}

TEST_CASE("a long title is cut at a word and keeps to 80 characters") {
  const std::string description =
      "Rewrite the importer so that it reads the new format of the accounting system without losing a single "
      "row";
  const auto title = title_from(description);
  CHECK(title == "Rewrite the importer so that it reads the new format of the accounting system…");
  CHECK(characters(title) <= max_title);
}

TEST_CASE("a title is cut between characters, not inside one") {
  std::string description;
  for (int i = 0; i < 200; ++i) description += "ß";
  const auto title = title_from(description);
  CHECK(characters(title) == max_title);
  CHECK(title.ends_with("…"));
}

TEST_CASE("a description without a word still gets a title and a branch") {
  for (const auto* text : {"", "   \n\t", "...", "\xff\xfe", "\x01\x02"}) {
    CHECK(!title_from(text).empty());
    CHECK(!branch_fault(branch_from(title_from(text), "troupe/")));
  }
  CHECK(title_from("") == "Untitled task");
}

TEST_CASE("bytes that are no UTF-8 do not reach a title") {
  CHECK(title_from("Fix \xc3\x28 it") == "Fix ( it");
}

TEST_CASE("a branch is the prefix and the title in lower-case ASCII with dashes") {
  CHECK(branch_from("Fix the login", "troupe/") == "troupe/fix-the-login");
  CHECK(branch_from("Don't panic & carry on!", "") == "dont-panic-and-carry-on");
  CHECK(branch_from("Größe ändern: Übersicht", "") == "groesse-aendern-uebersicht");
  CHECK(branch_from("café — déjà vu", "x-") == "x-cafe-deja-vu");
  CHECK(branch_from("修复登录", "t/") == "t/task");
}

TEST_CASE("every branch that is made is one that git takes") {
  for (const auto* title : {"..", "a..b", "lock", "x.lock", "@{1}", "HEAD", "-", "--upload-pack=x",
                            "a b~1^2:c?[*", "\\", "a/b/c", "."}) {
    const auto branch = branch_from(title, "troupe/");
    CHECK_MESSAGE(!branch_fault(branch), branch);
    CHECK_MESSAGE(branch.size() <= max_branch_words + 7, branch);
  }
}

TEST_CASE("a branch that is taken gets the first free number") {
  std::set<std::string> taken{"fix", "fix-2", "fix-3"};
  const auto is_taken = [&](const std::string& b) { return taken.contains(b); };
  CHECK(unique_branch("fix", is_taken, "01ABC") == "fix-4");
  CHECK(unique_branch("mend", is_taken, "01ABC") == "mend");
  CHECK(unique_branch(
            "fix", [](const std::string&) { return true; }, "01ABC") == "fix-01ABC");
}

TEST_CASE("names that git refuses for a branch are refused with the reason") {
  for (const auto* bad :
       {"",   "-x",   "/x",     "x/",       "a//b", "a..b", "a b", "a~", "a^",   "a:b",  "a?",      "a*",
        "a[", "a\\b", "x.lock", "x.lock/y", ".x",   "a/.b", "x.",  "@",  "HEAD", "a@{b", "tab\tbed"}) {
    CHECK_MESSAGE(branch_fault(bad), bad);
  }
  for (const auto* good : {"main", "feature/x", "a.b", "a-b_c", "v1.2.3", "user@host", "ä"})
    CHECK_MESSAGE(!branch_fault(good), good);
}
