// Many WebSocket clients in one thread of this process: the same ones in front of every server that is
// measured, and cheap enough that the server is what limits. Linux, loopback.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::bench {

class crowd {
 public:
  /// Connects `clients` to 127.0.0.1:`port`; each says `hello`, when there is one, as soon as it is in.
  /// Throws std::runtime_error when one is refused.
  crowd(std::uint16_t port, int clients, const std::string& hello);
  ~crowd();
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;

  /// Called by run() with each text frame.
  std::function<void(int client, std::string_view frame)> heard;

  void say(int client, std::string_view text);
  /// Reads what comes until `over()`, asked after each wake, or until the moment `until`. False: the latter.
  bool run(double until, const std::function<bool()>& over);

 private:
  struct one {
    int fd = -1;
    std::string rest;  // the beginning of a frame whose end has not come
  };

  void read(int client);
  std::size_t take_frames(int client, std::string_view bytes);  // how many bytes were whole frames

  std::vector<one> all_;
  std::string scratch_;
  int poll_ = -1;
};

}  // namespace troupe::bench
