// A server of one's own: counters, behind HTTP and WebSocket, with the dashboard's inspector.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace counters {

/// Serves from its constructor to its destructor, on the loopback address and to everybody there.
class server {
 public:
  /// Port 0 takes any free one. Throws std::runtime_error when it cannot listen.
  server(const std::filesystem::path& data, std::uint16_t port);
  ~server();

  /// "http://127.0.0.1:8080"
  const std::string& url() const;

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace counters
