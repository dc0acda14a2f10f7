#include "net/wire/certificate.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "net/wire/transport_over.h"

namespace troupe::wire {

namespace {

// Shakes hands as the server. The stream keeps what it needs of the context.
class secured final : public transport_over<tls_stream> {
 public:
  using transport_over::transport_over;

  asio::awaitable<error_code> handshake() override {
    error_code ec;
    co_await stream_->async_handshake(asio::ssl::stream_base::server,
                                      asio::redirect_error(asio::use_awaitable, ec));
    co_return ec;
  }
};

class pem_files final : public securing {
 public:
  pem_files(std::string certificate_file, std::string key_file)
      : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)) {}

  std::optional<failure> reload() override {
    struct stat found {};
    if (::stat(key_file_.c_str(), &found) != 0)
      return failure{fault::tls, "cannot read the key " + key_file_ + ": " + std::strerror(errno)};
    if (found.st_mode & 077)
      return failure{fault::tls, "others may read the key " + key_file_ + ": chmod 600 it"};
    auto fresh = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    error_code ec;
    fresh->use_certificate_chain_file(certificate_file_, ec);
    if (ec)
      return failure{fault::tls, "cannot use the certificate " + certificate_file_ + ": " + ec.message()};
    fresh->use_private_key_file(key_file_, asio::ssl::context::pem, ec);
    if (ec)
      return failure{fault::tls,
                     "cannot use the key " + key_file_ + " with " + certificate_file_ + ": " + ec.message()};
    SSL_CTX_set_min_proto_version(fresh->native_handle(), TLS1_2_VERSION);
    // Renegotiation would let a client make the server work without end.
    SSL_CTX_set_options(fresh->native_handle(), SSL_OP_NO_RENEGOTIATION);
    const std::lock_guard lock(mutex_);
    context_ = std::move(fresh);
    return std::nullopt;
  }

  std::shared_ptr<transport> secure(stream_socket s) override {
    std::shared_ptr<asio::ssl::context> now;
    {
      const std::lock_guard lock(mutex_);
      now = context_;
    }
    return std::make_shared<secured>(std::make_unique<tls_stream>(std::move(s), *now));
  }

 private:
  const std::string certificate_file_, key_file_;
  std::mutex mutex_;
  std::shared_ptr<asio::ssl::context> context_;
};

}  // namespace

result<std::shared_ptr<certificate>> certificate::load(const std::string& certificate_file,
                                                       const std::string& key_file) {
  auto made = std::make_shared<pem_files>(certificate_file, key_file);
  if (auto wrong = made->reload()) return *wrong;
  return std::shared_ptr<certificate>(std::move(made));
}

}  // namespace troupe::wire
