// The real `troupe` program, run to its end or serving, for tests.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
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

bool has(const std::string& text, std::string_view part);
/// What a command that must succeed printed as JSON.
nlohmann::json parsed(const ran&);
/// A git repository in `home` with one commit on main.
void make_repository(const scratch& home, const std::string& name = "widgets");

/// Runs any program that way.
ran run(const scratch& home, std::vector<std::string> argv, const std::string& in = {});

/// `troupe WORDS…` at a terminal, with a person who reads and types.
class at_terminal {
 public:
  at_terminal(const scratch& home, std::vector<std::string> words, unsigned short columns = 80);
  /// Kills it where it still runs.
  ~at_terminal();
  at_terminal(const at_terminal&) = delete;
  at_terminal& operator=(const at_terminal&) = delete;

  void type(std::string_view keys);
  /// Reads until `text` appears, after what appeared before; fails the test when it does not within a minute.
  void await(std::string_view text);
  /// Reads to the end; the exit code.
  int end();
  /// Everything that was shown, as a terminal gets it.
  const std::string& shown() const { return shown_; }

 private:
  bool read_more();

  pid_t process_ = -1;
  int terminal_ = -1;
  std::string shown_;
  std::size_t seen_ = 0;
};

/// `troupe serve` on a data folder, until it is stopped.
class serving {
 public:
  explicit serving(const scratch& home, const std::string& data = "data", std::vector<std::string> more = {},
                   const std::string& program = TROUPE_PROGRAM);
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
