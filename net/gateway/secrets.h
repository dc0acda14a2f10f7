// Secrets of organizations: written through the API, read by drivers alone. Encrypted on disk with libsodium.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/problem.h"

namespace troupe::gateway {

struct secret_name {
  std::string name;
  /// Milliseconds since 1970 of the last write.
  std::int64_t updated_at = 0;
};

/// Thread-safe. Blocks for a file's write at most.
class secret_store {
 public:
  static constexpr std::size_t max_value_bytes = 64 * 1024;
  static constexpr std::size_t max_names = 1000;  ///< of one organization

  virtual ~secret_store() = default;

  /// Replaces a value of that name. 422 for a name outside the grammar of ids or a value over the limit.
  virtual std::optional<problem> put(std::string_view organization, std::string_view name,
                                     std::string_view value) = 0;
  /// 404 when there is none.
  virtual std::optional<problem> remove(std::string_view organization, std::string_view name) = 0;
  virtual std::variant<std::vector<secret_name>, problem> list(std::string_view organization) = 0;
  /// For drivers, never for an answer of the API.
  virtual std::optional<std::string> read(std::string_view organization, std::string_view name) = 0;
  /// All of them, for drivers, who keep them out of what is stored.
  virtual std::vector<std::string> values(std::string_view organization) = 0;
};

/// The key that seals the files: 32 bytes. While it takes the place of another one it opens what that one
/// sealed.
class sealing_key {
 public:
  /// From the file, which is made with mode 600 when it is not there; a second line is the key before. Throws
  /// std::runtime_error for one that others may read, or that is not a key.
  static sealing_key from_file(const std::filesystem::path&);
  /// 64 hex digits, from the environment say. Throws std::runtime_error otherwise.
  static sealing_key from_hex(std::string_view);

  /// This one, in the place of `before`.
  sealing_key after(const sealing_key& before) const;

  ~sealing_key();
  sealing_key(const sealing_key&) = default;
  sealing_key& operator=(const sealing_key&) = default;
  const unsigned char* bytes() const { return bytes_; }
  /// Null when it takes no other's place.
  const unsigned char* before() const { return has_before_ ? before_ : nullptr; }

 private:
  sealing_key() = default;
  unsigned char bytes_[32] = {}, before_[32] = {};
  bool has_before_ = false;
};

/// One file per organization in `folder`, each value sealed by itself with XChaCha20-Poly1305, bound to its
/// organization and name, replaced atomically and durably.
std::unique_ptr<secret_store> open_secret_store(const std::filesystem::path& folder, sealing_key key);

/// Seals every value in `folder` with the key, also what the one before it had sealed; how many. Throws
/// std::runtime_error, before it changes anything, naming a value that neither opens.
std::size_t seal_anew(const std::filesystem::path& folder, const sealing_key& key);

/// Gives the folder a new key. Killed at any instant it leaves every value readable, and run again it
/// finishes. No server may have the folder. Throws std::runtime_error.
std::size_t rotate_sealing_key(const std::filesystem::path& folder, const std::filesystem::path& key_file);

}  // namespace troupe::gateway
