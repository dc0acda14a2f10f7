// One connection of a client and how it comes to be. Private to this folder. On the connection's strand.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include <boost/asio/ssl/context.hpp>

#include "net/wire/client.h"
#include "net/wire/http_io.h"
#include "net/wire/transport.h"

namespace troupe::wire {

struct connection {
  std::shared_ptr<transport> bytes;
  beast::flat_buffer buffer;
  std::string pool_key;
  time_point idle_since;
  bool used_before = false;  // came from the pool: it may have died unnoticed
};

// TLS contexts by trusted file, made once each. Any thread.
class tls_contexts {
 public:
  // Null and a text when the file cannot be read.
  std::shared_ptr<asio::ssl::context> get(const std::string& ca_file, std::string& error);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<asio::ssl::context>> contexts_;
};

// Told of each socket before the first wait on it, so that somebody else can close it.
using on_socket = std::function<void(const std::shared_ptr<transport>&)>;

// Runs on `strand`, which becomes the connection's.
asio::awaitable<result<std::shared_ptr<connection>>> open_connection(executor strand, endpoint to,
                                                                     time_point until, tls_contexts& contexts,
                                                                     on_socket told);

std::string pool_key_of(const endpoint& to);
std::string host_field(const endpoint& to);
failure closed_by_us(const endpoint& to);

}  // namespace troupe::wire
