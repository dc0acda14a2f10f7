#include "tests/drivers/git_kit.h"

#include <cstdio>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

namespace troupe::test {

std::string sh(const std::filesystem::path& folder, const std::string& command) {
  const auto whole =
      "cd '" + folder.string() +
      "' && export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Ada "
      "GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org && { " +
      command + "\n}";
  std::FILE* pipe = ::popen(whole.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  char block[4096];
  for (std::size_t got; (got = std::fread(block, 1, sizeof block, pipe)) > 0;) out.append(block, got);
  const int status = ::pclose(pipe);
  REQUIRE_MESSAGE(status == 0, command << " failed and said " << out);
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

void make_repository(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  sh(folder, "git init -q -b main");
  write_file(folder / "README.md", "# A project\n\nText.\n");
  write_file(folder / "src/main.c", "int main(void) { return 0; }\n");
  sh(folder, "git add -A && git commit -qm 'Begin'");
}

}  // namespace troupe::test
