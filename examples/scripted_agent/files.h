// Text files and folders as the agent's tools see them. Errors are sentences that name the path and the
// cause.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace scripted {

inline constexpr std::size_t max_edited_file = 16u << 20;  // bytes

struct text_file {
  std::optional<std::string> text;
  std::string error;  // when there is no text
};

// At most `limit` bytes of a regular file.
text_file read_text(const std::string& path, std::size_t limit);

// Replaces or makes the file, and the folders above it. Empty: done.
std::string write_text(const std::string& path, const std::string& text);

struct listing {
  std::string text;  // a name per line, folders with a slash behind
  std::size_t count = 0;
  std::string error;
};

// Sorted, without `.git`; at most `limit` names.
listing list_folder(const std::string& path, std::size_t limit);

}  // namespace scripted
