// Where the server is and what to say to it: options, environment, or the file that `troupe serve` leaves
// behind.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cli {

/// The address of a server and a token for it.
struct place_of_server {
  std::string url;    ///< http://127.0.0.1:7741
  std::string token;  ///< empty: none is sent
  std::string from;   ///< where this was found, for messages
  /// Below which it takes repositories by path; nothing where that is not known.
  std::optional<std::vector<std::string>> repository_roots = {};
};

/// What `serve` writes for commands on the same machine: readable by its user alone.
struct server_file {
  std::string url;
  std::string token;
  int pid = 0;
  std::string data;
  std::optional<std::vector<std::string>> repository_roots = {};

  static constexpr const char* name = "server.json";
  /// Atomic, mode 600. Throws failure naming the path.
  void write(const std::filesystem::path&) const;
  /// Nothing when it is not there or not readable as such.
  static std::optional<server_file> read(const std::filesystem::path&);
  /// Whether the process that wrote it still runs.
  bool alive() const;
};

/// ~/.config/troupe/server.json (XDG_CONFIG_HOME counts); empty without a home.
std::filesystem::path user_server_file();

/// In this order: the options; TROUPE_SERVER and TROUPE_TOKEN; server.json in `data` where given; in a
/// .troupe folder of this folder or one above; in ~/.config/troupe. Nothing when none is there.
std::optional<place_of_server> find_server(const std::string& url, const std::string& token,
                                           const std::string& data);

}  // namespace troupe::cli
