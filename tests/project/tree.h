// The project's own files as the tests of this folder see them: everything in the source tree but what is
// built, downloaded or hidden. Read-only; one thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::project {

struct source_file {
  std::string path;  ///< from the project's root, with slashes: "runtime/host.h"
  std::string text;

  std::string_view extension() const;
  /// The path without its last part: "runtime".
  std::string_view folder() const;
  bool below(std::string_view folder) const;
};

const std::filesystem::path& root();

/// Every text file of the project, sorted by path; read once.
const std::vector<source_file>& files();

/// Those that end in one of `extensions` (".h") and lie below one of `folders` (all when empty).
std::vector<const source_file*> files(const std::vector<std::string_view>& extensions,
                                      const std::vector<std::string_view>& folders = {});

struct line {
  int number;
  std::string_view text;
};
std::vector<line> lines(std::string_view text);

struct include {
  int line;
  std::string name;
  bool angled;
};
std::vector<include> includes(const source_file&);

/// "runtime/host.h:12"
std::string at(const source_file&, int line);

}  // namespace troupe::project
