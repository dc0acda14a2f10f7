// The servers that fan-out compares, each the whole of a process of its own: their processor time and memory
// are the server's alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace troupe::bench {

/// Bytes of the snapshot's JSON.
inline constexpr int snapshot_bytes = 2048;

/// The frame that subscribers get, the same for every server: "n" counts the commits.
std::string snapshot_text(std::uint64_t n);
std::string frame_text(std::uint64_t n);

/// Each takes the port that is free, says it on standard output, sends one broadcast for each byte on
/// standard input and returns at its end.
void serve_troupe(const std::filesystem::path& data);
void serve_plain();

/// A server in a child process.
class served {
 public:
  /// `words` is the program with its arguments.
  explicit served(const std::vector<std::string>& words);
  ~served();
  served(const served&) = delete;
  served& operator=(const served&) = delete;

  std::uint16_t port() const { return port_; }
  void broadcast();
  double cpu_seconds() const;
  double resident_kb() const;

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace troupe::bench
