// A server of one's own for a while: `troupe serve` on a new folder and any free port, gone with this object.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cli/place_of_server.h"

namespace troupe::cli {

class temporary_server {
 public:
  static constexpr int start_seconds = 20;
  static constexpr int stop_seconds = 10;

  /// Starts it and waits until it serves. `options` go to `troupe serve`. Throws failure with what the server
  /// said when it does not start.
  explicit temporary_server(const std::vector<std::string>& options);
  /// Ends the server, then removes its folder unless keep() was called.
  ~temporary_server();
  temporary_server(const temporary_server&) = delete;
  temporary_server& operator=(const temporary_server&) = delete;

  const place_of_server& place() const { return place_; }
  const std::string& sign_in_link() const { return link_; }
  /// Of its sandboxes.
  const std::string& tier() const { return tier_; }
  const std::filesystem::path& data() const { return data_; }
  void keep() { keep_ = true; }

 private:
  void end();
  std::string last_words() const;

  std::filesystem::path data_;
  pid_t process_ = -1;
  place_of_server place_;
  std::string link_, tier_;
  bool keep_ = false;
};

}  // namespace troupe::cli
