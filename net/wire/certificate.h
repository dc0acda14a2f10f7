// What a server proves its name with over TLS: a certificate with its chain and its key, from two PEM files.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/wire/result.h"

namespace troupe::wire {

// Thread-safe. TLS 1.2 and later.
class certificate {
 public:
  // Failure: a file that cannot be read, a key that others may read or that is not the certificate's.
  static result<std::shared_ptr<certificate>> load(const std::string& certificate_file,
                                                   const std::string& key_file);

  virtual ~certificate() = default;

  // Reads both files again, for connections from now on. After a failure what was there stays in use.
  virtual std::optional<failure> reload() = 0;
};

}  // namespace troupe::wire
