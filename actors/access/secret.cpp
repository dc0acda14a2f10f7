#include "actors/access/secret.h"

#include <array>
#include <stdexcept>

#include <sodium.h>

#include "actors/sha256.h"

namespace troupe::actors {

std::string make_secret(std::string_view prefix) {
  if (sodium_init() < 0) throw std::runtime_error("cannot make a secret: the random source does not open");
  std::array<unsigned char, 32> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::string hex(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), bytes.data(), bytes.size());
  hex.pop_back();
  sodium_memzero(bytes.data(), bytes.size());
  return std::string(prefix) + "_" + hex;
}

std::string hash_of_secret(std::string_view secret) {
  return sha256_hex(secret);
}

std::string id_of_hash(std::string_view hash) {
  return std::string(hash.substr(0, 16));
}

}  // namespace troupe::actors
