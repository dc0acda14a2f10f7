// A TLS server for tests: a certificate of its own making for one name, one thread, answers each connection
// once.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <thread>

namespace troupe::wire::testing {

class tls_server {
 public:
  // `name` goes into the certificate as DNS name, or as address if it is one.
  explicit tls_server(const std::string& name, const std::string& answer);
  ~tls_server();

  std::uint16_t port() const { return port_; }
  const std::string& ca_file() const { return ca_file_; }

 private:
  void serve();

  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::string ca_file_, answer_;
  std::thread thread_;
};

}  // namespace troupe::wire::testing
