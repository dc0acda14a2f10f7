// Real repositories for tests, made with the git program.
#pragma once

#include <filesystem>
#include <string>

namespace troupe::test {

// Runs a shell command in a folder, with an author and without the user's configuration; fails the test when
// it fails. Its stdout, without the last line end.
std::string sh(const std::filesystem::path& folder, const std::string& command);

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);

// A repository with README.md, src/main.c and one commit on `main`.
void make_repository(const std::filesystem::path& folder);

}  // namespace troupe::test
