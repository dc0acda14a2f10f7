// What git says about changes, read into the result of git.diff: `--raw -z`, `--numstat -z` and a patch.
// Pure, bounded, and suspicious: an agent can put anything into its repository.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::drivers::git {

inline constexpr std::size_t max_files = 5000;  // listed; more are counted in additions and deletions
inline constexpr std::size_t max_file_diff = 256u << 10;  // bytes of patch kept of one file
inline constexpr std::size_t max_whole_diff = 4u << 20;   // bytes of patch kept of all

struct changed_file {
  std::string path;
  std::string old_path;  // of a rename or copy
  char letter = 'M';     // git's: A, M, D, R, C, T
  std::uint64_t additions = 0;
  std::uint64_t deletions = 0;
  bool binary = false;  // or larger than 1 MiB: git then makes no text of it
  bool cut = false;
};

// Both outputs were made with the same options, so their entries are in the same order.
std::vector<changed_file> read_changes(std::string_view raw, std::string_view numstat);
std::set<std::string> read_names(std::string_view nul_separated);

// `git ls-files -u -z` as {files: [{path, how}], count}: at most max_unmerged of them, and how many there
// are.
inline constexpr std::size_t max_unmerged = 300;
nlohmann::json read_unmerged(std::string_view list);

// Takes a patch piece by piece and keeps of each file as much as the limits allow. `files` as read_changes()
// gave them.
class patch_reader {
 public:
  explicit patch_reader(std::vector<changed_file> files) : files_(std::move(files)) {}

  void feed(std::string_view bytes);
  // `whole`: false when the patch itself was cut off. Afterwards files() says what was cut.
  void finish(bool whole);

  std::vector<changed_file>& files() { return files_; }
  // Path to its part of the patch.
  std::map<std::string, std::string>& texts() { return texts_; }

 private:
  void line(std::string_view text);
  void next_file();

  std::vector<changed_file> files_;
  std::map<std::string, std::string> texts_;
  std::string partial_;        // the line that has not ended
  bool partial_cut_ = false;   // its rest is dropped
  std::size_t at_ = SIZE_MAX;  // index of the current file
  bool second_half_ = false;   // of a change of type, which git shows as two
  std::string* text_ = nullptr;
  std::size_t kept_ = 0;
};

// The result of git.diff.
nlohmann::json diff_result(patch_reader& patch, const std::set<std::string>& untracked, std::string_view head,
                           bool dirty);

}  // namespace troupe::drivers::git
