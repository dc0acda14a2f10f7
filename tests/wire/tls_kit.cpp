#include "tests/wire/tls_kit.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace troupe::wire::testing {

certificate_files::certificate_files(const std::string& name) {
  folder_ = (std::filesystem::temp_directory_path() / "wire-certificate-XXXXXX").string();
  if (!::mkdtemp(folder_.data())) throw std::runtime_error("no folder for a certificate");
  auto* key = EVP_EC_gen("P-256");
  auto* cert = X509_new();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, key);
  auto* subject = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1,
                             -1, 0);
  X509_set_issuer_name(cert, subject);
  X509V3_CTX v3;
  X509V3_set_ctx(&v3, cert, cert, nullptr, nullptr, 0);
  bool address = name.find_first_not_of("0123456789.") == std::string::npos;
  auto names = (address ? "IP:" : "DNS:") + name;
  auto* extension = X509V3_EXT_conf_nid(nullptr, &v3, NID_subject_alt_name, names.c_str());
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(cert, key, EVP_sha256());

  auto* file = std::fopen(certificate().c_str(), "w");
  PEM_write_X509(file, cert);
  std::fclose(file);
  file = std::fopen(this->key().c_str(), "w");
  ::fchmod(::fileno(file), 0600);
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(cert);
  EVP_PKEY_free(key);
}

certificate_files::~certificate_files() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

tls_server::tls_server(const std::string& name, const std::string& answer) : files_(name), answer_(answer) {
  context_ = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate_file(context_, files_.certificate().c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_use_PrivateKey_file(context_, files_.key().c_str(), SSL_FILETYPE_PEM);

  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  ::bind(listener_, reinterpret_cast<sockaddr*>(&at), size);
  ::listen(listener_, 8);
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
  port_ = ntohs(at.sin_port);
  thread_ = std::thread([this] { serve(); });
}

tls_server::~tls_server() {
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
  SSL_CTX_free(context_);
}

void tls_server::serve() {
  for (;;) {
    int fd = ::accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    auto* ssl = SSL_new(context_);
    SSL_set_fd(ssl, fd);
    char buffer[4096];
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, buffer, sizeof buffer) > 0) {
      SSL_write(ssl, answer_.data(), static_cast<int>(answer_.size()));
      SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    ::close(fd);
  }
}

}  // namespace troupe::wire::testing
