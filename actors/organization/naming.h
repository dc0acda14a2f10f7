// How a task gets its title and its branch from what somebody wrote. Pure functions.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

/// Characters (code points) of a title.
inline constexpr std::size_t max_title = 80;
/// Bytes of the part of a branch that comes from the title.
inline constexpr std::size_t max_branch_words = 50;
/// Numbers that are tried before a branch gets the task's id.
inline constexpr int max_branch_number = 999;

/// The first sentence, white space collapsed, trimmed to 80 characters at a word. "Untitled task" when
/// nothing is left. Bytes that are not UTF-8 are dropped.
std::string title_from(std::string_view description);

/// Prefix and title in lower case, ASCII, words joined by dashes. The words are "task" when nothing is left.
std::string branch_from(std::string_view title, std::string_view prefix);

/// `branch`, or with the first of -2, -3, … that is free; with `last_resort` when all numbers are taken.
std::string unique_branch(const std::string& branch, const std::function<bool(const std::string&)>& taken,
                          std::string_view last_resort);

/// Why git would not take this as the name of a branch; nothing when it would.
std::optional<std::string> branch_fault(std::string_view branch);

}  // namespace troupe::actors
