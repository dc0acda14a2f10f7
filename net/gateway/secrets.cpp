#include "net/gateway/secrets.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <sodium.h>

#include "runtime/key.h"

namespace troupe::gateway {

namespace {

using nlohmann::json;

constexpr std::size_t key_bytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(key_bytes == 32);

void require_sodium() {
  if (sodium_init() < 0)
    throw std::runtime_error("libsodium cannot be used on this machine: sodium_init failed");
}

std::string hex_of(const unsigned char* bytes, std::size_t size) {
  std::string out(size * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), bytes, size);
  out.pop_back();
  return out;
}

std::optional<std::string> bytes_of(const std::string& hex) {
  std::string out(hex.size() / 2, '\0');
  std::size_t got = 0;
  if (hex.size() % 2 != 0 ||
      sodium_hex2bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), hex.data(), hex.size(),
                     nullptr, &got, nullptr) != 0 ||
      got != out.size())
    return std::nullopt;
  return out;
}

unsigned char* raw(std::string& s) {
  return reinterpret_cast<unsigned char*>(s.data());
}

std::runtime_error cannot(const std::string& what, const std::filesystem::path& where) {
  return std::runtime_error("cannot " + what + " " + where.string() + ": " + std::strerror(errno));
}

class descriptor {
 public:
  explicit descriptor(int fd) : fd_(fd) {}
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Whole and durable, or not at all. Throws std::runtime_error.
void replace_file(const std::filesystem::path& where, std::string_view bytes) {
  auto draft = where;
  draft += ".new";
  {
    descriptor file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) throw cannot("write", draft);
    while (!bytes.empty()) {
      auto n = ::write(file.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) throw cannot("write", draft);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    if (::fsync(file.get()) != 0) throw cannot("write", draft);
  }
  if (::rename(draft.c_str(), where.c_str()) != 0) throw cannot("replace", where);
  descriptor folder(::open(where.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) throw cannot("sync", where.parent_path());
}

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

problem broken(const std::exception& e) {
  return unavailable("storage", std::string("the secrets could not be kept: ") + e.what());
}

class sealed_files final : public secret_store {
 public:
  sealed_files(std::filesystem::path folder, sealing_key k) : folder_(std::move(folder)), key_(k) {
    require_sodium();
    std::filesystem::create_directories(folder_);
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
  }

  std::optional<problem> put(std::string_view org, std::string_view name, std::string_view value) override {
    if (!key::valid_id(org)) return not_found("there is no organization " + std::string(org.substr(0, 100)));
    if (!key::valid_id(name))
      return unprocessable("bad_name", "a secret's name has 1 to 64 of A-Z a-z 0-9 . _ -");
    if (value.empty() || value.size() > max_value_bytes)
      return unprocessable("bad_value", "a secret has 1 to " + std::to_string(max_value_bytes) + " bytes");
    std::lock_guard lock(mutex_);
    try {
      auto all = load(org);
      if (!all.contains(name) && all.size() >= max_names)
        return too_many(
            "too_many_secrets",
            "an organization keeps at most " + std::to_string(max_names) + " secrets: remove one first", 60);
      all[std::string(name)] = seal(org, name, value, now_ms());
      store(org, all);
      return std::nullopt;
    } catch (const std::exception& e) {
      return broken(e);
    }
  }

  std::optional<problem> remove(std::string_view org, std::string_view name) override {
    std::lock_guard lock(mutex_);
    try {
      if (!key::valid_id(org)) return not_found("there is no such organization");
      auto all = load(org);
      if (all.erase(std::string(name)) == 0)
        return not_found("there is no secret " + std::string(name.substr(0, 100)) + " in " +
                         std::string(org));
      store(org, all);
      return std::nullopt;
    } catch (const std::exception& e) {
      return broken(e);
    }
  }

  std::variant<std::vector<secret_name>, problem> list(std::string_view org) override {
    std::lock_guard lock(mutex_);
    try {
      std::vector<secret_name> names;
      if (!key::valid_id(org)) return names;
      auto all = load(org);
      for (const auto& [name, entry] : all.items())
        names.push_back({name, entry.at("updated_at").get<std::int64_t>()});
      return names;
    } catch (const std::exception& e) {
      return broken(e);
    }
  }

  std::optional<std::string> read(std::string_view org, std::string_view name) override {
    std::lock_guard lock(mutex_);
    try {
      if (!key::valid_id(org)) return std::nullopt;
      auto all = load(org);
      auto found = all.find(std::string(name));
      if (found == all.end()) return std::nullopt;
      return open(org, name, *found);
    } catch (const std::exception&) {
      return std::nullopt;
    }
  }

  std::vector<std::string> values(std::string_view org) override {
    std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    try {
      if (!key::valid_id(org)) return out;
      const auto all = load(org);
      for (const auto& [name, entry] : all.items())
        if (auto value = open(org, name, entry)) out.push_back(std::move(*value));
    } catch (const std::exception&) {
      // A file that cannot be read gives no value to anybody, so there is none to hide.
    }
    return out;
  }

  std::size_t seal_anew() {
    std::lock_guard lock(mutex_);
    std::map<std::string, json> files;
    std::size_t count = 0;
    for (const auto& at : std::filesystem::directory_iterator(folder_)) {
      if (at.path().extension() != ".json") continue;
      const auto org = at.path().stem().string();
      auto& all = files[org] = load(org);
      for (auto& [name, entry] : all.items()) {
        const auto value = open(org, name, entry);
        if (!value)
          throw std::runtime_error("the secret " + name + " of " + org +
                                   " does not open with this key: set it anew or remove it first");
        entry = seal(org, name, *value, entry.at("updated_at").get<std::int64_t>());
        ++count;
      }
    }
    for (const auto& [org, all] : files) store(org, all);
    return count;
  }

 private:
  json seal(std::string_view org, std::string_view name, std::string_view value,
            std::int64_t updated_at) const {
    std::string nonce(nonce_bytes, '\0'), sealed(value.size() + tag_bytes, '\0');
    randombytes_buf(nonce.data(), nonce.size());
    auto bound = bound_to(org, name);
    unsigned long long size = 0;
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        raw(sealed), &size, reinterpret_cast<const unsigned char*>(value.data()), value.size(), raw(bound),
        bound.size(), nullptr, raw(nonce), key_.bytes());
    return {{"nonce", hex_of(raw(nonce), nonce.size())},
            {"sealed", hex_of(raw(sealed), sealed.size())},
            {"updated_at", updated_at}};
  }

  std::optional<std::string> open(std::string_view org, std::string_view name, const json& entry) const {
    auto nonce = bytes_of(entry.at("nonce").get<std::string>());
    auto sealed = bytes_of(entry.at("sealed").get<std::string>());
    if (!nonce || !sealed || nonce->size() != nonce_bytes || sealed->size() < tag_bytes) return std::nullopt;
    std::string value(sealed->size() - tag_bytes, '\0');
    auto bound = bound_to(org, name);
    for (const auto* k : {key_.bytes(), key_.before()}) {
      unsigned long long size = 0;
      if (k != nullptr &&
          crypto_aead_xchacha20poly1305_ietf_decrypt(raw(value), &size, nullptr, raw(*sealed), sealed->size(),
                                                     raw(bound), bound.size(), raw(*nonce), k) == 0)
        return value;
    }
    return std::nullopt;  // another key, or a file that somebody changed
  }

  // Sealed values cannot be moved to another name or organization.
  static std::string bound_to(std::string_view org, std::string_view name) {
    return std::string(org) + '\0' + std::string(name);
  }

  std::filesystem::path file_of(std::string_view org) const { return folder_ / (std::string(org) + ".json"); }

  json load(std::string_view org) const {
    auto where = file_of(org);
    std::ifstream in(where, std::ios::binary);
    if (!in) {
      if (std::filesystem::exists(where)) throw cannot("read", where);
      return json::object();
    }
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    auto all = json::parse(text, nullptr, false);
    if (!all.is_object()) throw std::runtime_error(where.string() + " is damaged: it is not a JSON object");
    return all;
  }

  void store(std::string_view org, const json& all) const { replace_file(file_of(org), all.dump(1) + "\n"); }

  const std::filesystem::path folder_;
  const sealing_key key_;
  std::mutex mutex_;  // held across a file's write: writers are people, and rare
};

}  // namespace

sealing_key sealing_key::from_hex(std::string_view hex) {
  auto bytes = bytes_of(std::string(hex));
  if (!bytes || bytes->size() != key_bytes)
    throw std::runtime_error("the key for secrets must have 64 hexadecimal digits");
  sealing_key k;
  std::memcpy(k.bytes_, bytes->data(), key_bytes);
  return k;
}

sealing_key sealing_key::from_file(const std::filesystem::path& where) {
  require_sodium();
  struct stat found {};
  if (::lstat(where.c_str(), &found) != 0) {
    if (errno != ENOENT) throw cannot("read", where);
    std::filesystem::create_directories(where.parent_path());
    unsigned char fresh[key_bytes];
    randombytes_buf(fresh, sizeof fresh);
    auto text = hex_of(fresh, sizeof fresh);
    sodium_memzero(fresh, sizeof fresh);
    replace_file(where, text + "\n");
    return from_hex(text);
  }
  if (!S_ISREG(found.st_mode) || (found.st_mode & 077) != 0)
    throw std::runtime_error("the key for secrets in " + where.string() +
                             " can be read by others: make it a file of its owner alone (chmod 600)");
  std::ifstream in(where);
  std::string text, before;
  if (!(in >> text)) throw cannot("read", where);
  try {
    return in >> before ? from_hex(text).after(from_hex(before)) : from_hex(text);
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(where.string() + ": " + e.what());
  }
}

sealing_key sealing_key::after(const sealing_key& before) const {
  sealing_key k = *this;
  std::memcpy(k.before_, before.bytes_, key_bytes);
  k.has_before_ = true;
  return k;
}

sealing_key::~sealing_key() {
  sodium_memzero(bytes_, sizeof bytes_);
  sodium_memzero(before_, sizeof before_);
}

std::unique_ptr<secret_store> open_secret_store(const std::filesystem::path& folder, sealing_key k) {
  return std::make_unique<sealed_files>(folder, k);
}

std::size_t seal_anew(const std::filesystem::path& folder, const sealing_key& k) {
  return sealed_files(folder, k).seal_anew();
}

std::size_t rotate_sealing_key(const std::filesystem::path& folder, const std::filesystem::path& key_file) {
  const auto old = sealing_key::from_file(key_file);
  // What a rotation that was cut off left to the key before its own.
  if (old.before() != nullptr) seal_anew(folder, old);
  unsigned char fresh[key_bytes];
  randombytes_buf(fresh, sizeof fresh);
  const auto now = hex_of(fresh, sizeof fresh);
  sodium_memzero(fresh, sizeof fresh);
  replace_file(key_file, now + "\n" + hex_of(old.bytes(), key_bytes) + "\n");
  const auto count = seal_anew(folder, sealing_key::from_file(key_file));
  replace_file(key_file, now + "\n");
  return count;
}

}  // namespace troupe::gateway
