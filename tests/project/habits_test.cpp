// The habits of CONTRIBUTING.md that a program can check.
#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include <doctest/doctest.h>

#include "tests/project/tree.h"

using namespace troupe::project;

namespace {

constexpr std::size_t max_lines = 600;

std::vector<const source_file*> sources() {
  return files({".h", ".cpp"});
}

}  // namespace

TEST_CASE("no source file is longer than 600 lines") {
  for (const auto* file : files({".h", ".cpp", ".js", ".mjs", ".ts", ".tsx", ".css", ".sql", ".cmake"})) {
    const auto count = lines(file->text).size();
    CHECK_MESSAGE(count <= max_lines, file->path, " has ", count, " lines");
  }
}

TEST_CASE("a header guards itself with #pragma once and says what it is for before it declares anything") {
  const std::regex declaration("\n(class|struct|enum|template|inline|using|std::|void|bool|int) ");
  for (const auto* file : files({".h"})) {
    CHECK_MESSAGE(file->text.find("#pragma once") != std::string::npos, file->path);
    std::smatch first;
    const auto declares = std::regex_search(file->text, first, declaration)
                              ? static_cast<std::size_t>(first.position())
                              : file->text.size();
    CHECK_MESSAGE(file->text.find("//") < declares, file->path, " declares before it says what it is for");
  }
}

// With this, compiling the sources proves that each such header stands alone; the headers without a source
// file of their own are compiled one by one by the target troupe_headers.
TEST_CASE("a source file includes its own header first") {
  int checked = 0;
  for (const auto* file : files({".cpp"})) {
    const auto header = file->path.substr(0, file->path.size() - 4) + ".h";
    if (!std::filesystem::exists(root() / header)) continue;
    const auto all = includes(*file);
    const bool named = std::ranges::any_of(all, [&](const auto& i) { return i.name == header; });
    if (!named) continue;
    ++checked;
    CHECK_MESSAGE(all.front().name == header, file->path, " includes <", all.front().name,
                  "> before its own header");
  }
  CHECK(checked > 20);
}

TEST_CASE("includes of our own files are written from the project's root") {
  for (const auto* file : sources()) {
    for (const auto& [line, name, angled] : includes(*file)) {
      if (angled) continue;
      CHECK_MESSAGE(name.find('/') != std::string::npos, at(*file, line), " includes \"", name, "\"");
      CHECK_MESSAGE(!name.starts_with("."), at(*file, line), " includes \"", name, "\"");
    }
  }
}

TEST_CASE("a file ends with one line end, and lines have neither tabs nor trailing blanks") {
  for (const auto* file : files({".h", ".cpp", ".sql", ".md", ".cmake", "CMakeLists.txt", ".json", ".js",
                                 ".mjs", ".ts", ".tsx", ".css"})) {
    if (file->text.empty()) continue;
    CHECK_MESSAGE(file->text.ends_with("\n"), file->path);
    CHECK_MESSAGE(!file->text.ends_with("\n\n"), file->path, " ends with an empty line");
    for (const auto& [number, text] : lines(file->text)) {
      CHECK_MESSAGE(text.find('\t') == std::string_view::npos, at(*file, number), " has a tab");
      CHECK_MESSAGE(!text.ends_with(' '), at(*file, number), " ends with a blank");
      CHECK_MESSAGE(!text.ends_with('\r'), at(*file, number), " ends with a carriage return");
    }
  }
}

TEST_CASE("nothing is left for later in the code") {
  // Spelt so that this line is not its own finding.
  const std::regex mark(
      "\\b(TO"
      "DO|FIX"
      "ME|XX"
      "X|HA"
      "CK)\\b");
  for (const auto* file :
       files({".h", ".cpp", ".js", ".mjs", ".ts", ".tsx", ".sql", ".cmake", "CMakeLists.txt", ".sh"})) {
    for (const auto& [number, text] : lines(file->text)) {
      CHECK_MESSAGE(!std::regex_search(text.begin(), text.end(), mark), at(*file, number), ": ",
                    std::string(text));
    }
  }
}

TEST_CASE("no file carries a path of the machine that it was written on") {
  const auto here = root().string();
  for (const auto& file : files()) {
    const auto found = file.text.find(here + "/");
    CHECK_MESSAGE((found == std::string::npos || here.size() < 4), file.path, " names ", here);
  }
}

TEST_CASE("a test waits for events: it polls what has none in short steps, and sleeps only with a reason") {
  constexpr int longest_step_ms = 20;
  const std::regex sleep(
      "(?:this_thread::sleep_for|this_thread::sleep_until|usleep)\\((?:std::chrono::)?(?:milliseconds\\()?(["
      "0-9]*)(ms|\\))?");
  for (const auto* file : files({".cpp", ".h"}, {"tests"})) {
    // Programs that tests start may well be slow on purpose.
    if (file->below("tests/project") ||
        (file->path.ends_with(".cpp") && file->text.find("TEST_CASE") == std::string::npos))
      continue;
    for (const auto& [number, text] : lines(file->text)) {
      std::cmatch found;
      if (!std::regex_search(text.data(), text.data() + text.size(), found, sleep)) continue;
      const bool short_step =
          found[1].length() > 0 && found[2].length() > 0 && std::stoi(found[1]) <= longest_step_ms;
      const bool reason = text.find("// ") != std::string_view::npos;
      CHECK_MESSAGE((short_step || reason), at(*file, number), ": ", std::string(text));
    }
  }
}

TEST_CASE("scripts are executable and name their interpreter") {
  for (const auto* file : files({"script/bootstrap", "script/server", "script/test", ".ci/run"})) {
    const auto mode = std::filesystem::status(root() / file->path).permissions();
    CHECK_MESSAGE((mode & std::filesystem::perms::owner_exec) != std::filesystem::perms::none, file->path);
    CHECK_MESSAGE(file->text.starts_with("#!/usr/bin/env bash\n"), file->path);
  }
}

// GCC 12 awaits in the condition of a loop whatever stands before the && or ||.
TEST_CASE("no loop awaits behind another condition") {
  const std::regex loop(R"(while \(.*(&&|\|\|).*co_await.*\) *\{?$)");
  for (const auto* file : files({".cpp", ".h"}))
    for (const auto& [number, text] : lines(file->text))
      CHECK_MESSAGE(!std::regex_search(text.begin(), text.end(), loop), at(*file, number),
                    ": test the other condition first and await in the loop");
}
