#include "tests/project/tree.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace troupe::project {

namespace fs = std::filesystem;

namespace {

bool skipped_folder(const std::string& name) {
  return name.starts_with("build") || name == ".git" || name == ".troupe" || name == "node_modules" ||
         name == "dist" || name == ".cache";
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

std::vector<source_file> walk() {
  std::vector<source_file> found;
  for (fs::recursive_directory_iterator at(root()), end; at != end; ++at) {
    if (at->is_directory() && !at->is_symlink()) {
      if (skipped_folder(at->path().filename().string())) at.disable_recursion_pending();
      continue;
    }
    if (!at->is_regular_file()) continue;
    auto text = read(at->path());
    // A NUL means that people do not read it, so nor do these tests.
    if (text.find('\0') != std::string::npos) continue;
    found.push_back({at->path().lexically_relative(root()).generic_string(), std::move(text)});
  }
  if (found.empty()) throw std::runtime_error("no file of the project below " + root().string());
  std::ranges::sort(found, {}, &source_file::path);
  return found;
}

}  // namespace

const fs::path& root() {
  static const fs::path path = fs::path(TROUPE_SOURCE_DIR).lexically_normal();
  return path;
}

const std::vector<source_file>& files() {
  static const auto all = walk();
  return all;
}

std::vector<const source_file*> files(const std::vector<std::string_view>& extensions,
                                      const std::vector<std::string_view>& folders) {
  std::vector<const source_file*> found;
  for (const auto& file : files()) {
    const bool named = std::ranges::any_of(extensions, [&](auto e) { return file.path.ends_with(e); });
    const bool inside =
        folders.empty() || std::ranges::any_of(folders, [&](auto folder) { return file.below(folder); });
    if (named && inside) found.push_back(&file);
  }
  return found;
}

std::string_view source_file::extension() const {
  const auto dot = path.rfind('.');
  return dot == std::string::npos ? std::string_view() : std::string_view(path).substr(dot);
}

std::string_view source_file::folder() const {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string_view() : std::string_view(path).substr(0, slash);
}

bool source_file::below(std::string_view folder) const {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

std::vector<line> lines(std::string_view text) {
  std::vector<line> found;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    found.push_back({number, text.substr(0, end)});
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return found;
}

std::vector<include> includes(const source_file& file) {
  std::vector<include> found;
  for (const auto& [number, text] : lines(file.text)) {
    const auto hash = text.find_first_not_of(" \t");
    if (hash == std::string_view::npos || text[hash] != '#') continue;
    auto rest = text.substr(hash + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (!rest.starts_with("include")) continue;
    const auto open = rest.find_first_of("<\"");
    if (open == std::string_view::npos) continue;
    const bool angled = rest[open] == '<';
    const auto close = rest.find(angled ? '>' : '"', open + 1);
    if (close == std::string_view::npos) continue;
    found.push_back({number, std::string(rest.substr(open + 1, close - open - 1)), angled});
  }
  return found;
}

std::string at(const source_file& file, int line) {
  return file.path + ":" + std::to_string(line);
}

}  // namespace troupe::project
