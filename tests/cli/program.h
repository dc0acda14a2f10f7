// The real `troupe` program, run to its end or serving, for tests.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::cli::testing {

/// A folder of the test's own, which is also its home: no test sees another server or the user's files.
class scratch {
 public:
  scratch();
  ~scratch();
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct ran {
  int exit_code = -1;  ///< 128 + n for signal n
  std::string out, err;
};
/// Runs `troupe WORDS…` with `in` on its standard input; ends it after a minute.
ran run_troupe(const scratch& home, std::vector<std::string> words, const std::string& in = {});

/// Runs any program that way.
ran run(const scratch& home, std::vector<std::string> argv, const std::string& in = {});

/// `troupe serve` on a data folder, until it is stopped.
class serving {
 public:
  explicit serving(const scratch& home, const std::string& data = "data", std::vector<std::string> more = {});
  ~serving();
  serving(const serving&) = delete;
  serving& operator=(const serving&) = delete;

  const std::string& url() const { return url_; }
  const nlohmann::json& said() const { return said_; }
  /// SIGTERM; how it ended.
  int stop();
  /// SIGKILL.
  void kill();

 private:
  pid_t process_ = -1;
  std::string url_;
  nlohmann::json said_;
};

}  // namespace troupe::cli::testing
