// A TLS server for tests: a certificate of its own making for one name, one thread, answers each connection
// once.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <thread>

namespace troupe::wire::testing {

// A certificate of its own making and its key (mode 600), in a folder that goes away.
class certificate_files {
 public:
  // `name` goes into the certificate as DNS name, or as address if it is one.
  explicit certificate_files(const std::string& name);
  ~certificate_files();
  certificate_files(const certificate_files&) = delete;
  certificate_files& operator=(const certificate_files&) = delete;

  std::string certificate() const { return folder_ + "/certificate.pem"; }
  std::string key() const { return folder_ + "/key.pem"; }

 private:
  std::string folder_;
};

class tls_server {
 public:
  explicit tls_server(const std::string& name, const std::string& answer);
  ~tls_server();

  std::uint16_t port() const { return port_; }
  std::string ca_file() const { return files_.certificate(); }

 private:
  void serve();

  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  const certificate_files files_;
  std::string answer_;
  std::thread thread_;
};

}  // namespace troupe::wire::testing
