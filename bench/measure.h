// What the benchmarks share: a clock, resident memory, a folder that goes away.
#pragma once

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace troupe::bench {

inline double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Kilobytes of this process in memory, what the allocator holds back given to the system first.
inline double resident_kb() {
  ::malloc_trim(0);
  long pages = 0, skipped = 0;
  std::ifstream("/proc/self/statm") >> skipped >> pages;
  return static_cast<double>(pages) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1024.0;
}

// Bytes that this process has handed to write calls.
inline double written_bytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  double value = 0;
  while (io >> name >> value)
    if (name == "wchar:") return value;
  return 0;
}

// The p-th part of the values, 0.5 for the median.
inline double quantile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  auto at = std::min(values.size() - 1, static_cast<std::size_t>(p * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

class folder {
 public:
  explicit folder(const std::filesystem::path& parent) {
    auto name = (parent / "troupe-bench-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("could not make a folder under " + parent.string());
    path_ = name;
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace troupe::bench
