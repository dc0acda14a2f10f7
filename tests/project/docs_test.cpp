// Pages must lead somewhere: links resolve, and files that a page names are there.
#include <filesystem>
#include <regex>
#include <set>

#include <doctest/doctest.h>

#include "tests/project/tree.h"

using namespace troupe::project;
namespace fs = std::filesystem;

namespace {

std::string anchor_of(std::string heading) {
  std::string anchor;
  for (const char c : heading) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (c == ' ' || c == '-') {
      anchor += '-';
    } else if (c == '_') {
      anchor += c;
    }
  }
  return anchor;
}

bool has_anchor(const std::string& page, const std::string& anchor) {
  for (const auto& file : files()) {
    if (file.path != page) continue;
    for (const auto& [number, text] : lines(file.text)) {
      const auto start = text.find_first_not_of('#');
      if (start == 0 || start == std::string_view::npos || text[start] != ' ') continue;
      if (anchor_of(std::string(text.substr(start + 1))) == anchor) return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("every link of a page leads to a file and a heading that are there") {
  const std::regex link("\\]\\(([^)\\s]+)\\)");
  for (const auto* page : files({".md"})) {
    for (const auto& [number, text] : lines(page->text)) {
      for (std::cregex_iterator at(text.data(), text.data() + text.size(), link), end; at != end; ++at) {
        const std::string target = (*at)[1];
        if (target.find("://") != std::string::npos || target.starts_with("mailto:")) continue;
        const auto hash = target.find('#');
        const auto path = target.substr(0, hash);
        const auto full =
            path.empty() ? page->path
                         : (fs::path(std::string(page->folder())) / path).lexically_normal().generic_string();
        CHECK_MESSAGE(fs::exists(root() / full), page->path, ":", number, " links to ", target);
        if (hash != std::string::npos && full.ends_with(".md")) {
          CHECK_MESSAGE(has_anchor(full, target.substr(hash + 1)), page->path, ":", number, " links to ",
                        target);
        }
      }
    }
  }
}

TEST_CASE("every source file that a page names in backticks is there") {
  const std::regex name("`([a-z_]+(?:/[A-Za-z0-9_.-]+)+\\.(?:h|cpp|md|sql|json|js|supp|txt))(?::[0-9]+)?`");
  for (const auto* page : files({".md"})) {
    for (const auto& [number, text] : lines(page->text)) {
      for (std::cregex_iterator at(text.data(), text.data() + text.size(), name), end; at != end; ++at) {
        const std::string path = (*at)[1];
        CHECK_MESSAGE(fs::exists(root() / path), page->path, ":", number, " names ", path);
      }
    }
  }
}

TEST_CASE("every line of C++ in the tutorial stands in an example") {
  std::set<std::string> examples;
  for (const auto* file : files({".cpp"}, {"examples"})) {
    for (const auto& [number, text] : lines(file->text)) examples.emplace(text);
  }
  int checked = 0;
  for (const auto* page : files({"tutorial.md"})) {
    bool code = false;
    for (const auto& [number, text] : lines(page->text)) {
      if (text.starts_with("```")) {
        code = text == "```cpp";
        continue;
      }
      if (!code) continue;
      ++checked;
      CHECK_MESSAGE(examples.contains(std::string(text)), page->path, ":", number, ": ", std::string(text));
    }
  }
  CHECK(checked > 40);
}

TEST_CASE("the board asks for metrics that there are, and shows each of them") {
  const std::regex name("troupe_[a-z_]+");
  const auto names_in = [&](std::string_view file, const std::regex& what) {
    std::set<std::string> names;
    for (const auto& f : files()) {
      if (f.path != file) continue;
      for (std::sregex_iterator at(f.text.begin(), f.text.end(), what), end; at != end; ++at) {
        names.insert(std::regex_replace((*at)[0].str(), std::regex("_bucket$|\""), ""));
      }
    }
    return names;
  };
  const auto there = names_in("net/gateway/metrics.cpp", std::regex("\"troupe_[a-z_]+\""));
  const auto asked = names_in("docs/grafana.json", name);
  CHECK(there.size() > 20);
  for (const auto& one : asked) CHECK_MESSAGE(there.contains(one), one);
  for (const auto& one : there) CHECK_MESSAGE(asked.contains(one), one);
}
