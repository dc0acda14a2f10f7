#include "runtime/clock.h"

#include <array>

#include <sodium.h>

namespace troupe {
namespace {

class real_clock final : public clock {
 public:
  timestamp now() const override {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }
  std::chrono::steady_clock::time_point steady() const override { return std::chrono::steady_clock::now(); }
};

class random_id_source final : public id_source {
 public:
  random_id_source() {
    if (sodium_init() < 0) throw std::runtime_error("libsodium could not find a source of random numbers");
  }

  std::string next(timestamp now) override {
    constexpr char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    std::string id(26, '0');
    auto ms = static_cast<std::uint64_t>(to_ms(now));
    for (int i = 9; i >= 0; --i, ms >>= 5) id[i] = alphabet[ms & 31];
    std::array<unsigned char, 16> random;
    randombytes_buf(random.data(), random.size());
    for (int i = 0; i < 16; ++i) id[10 + i] = alphabet[random[i] & 31];
    return id;
  }

  std::string incarnation() override {
    std::array<unsigned char, 16> random;
    randombytes_buf(random.data(), random.size());
    std::string hex(32, '0');
    constexpr char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; ++i) {
      hex[2 * i] = digits[random[i] >> 4];
      hex[2 * i + 1] = digits[random[i] & 15];
    }
    return hex;
  }
};

}  // namespace

clock& system_clock() {
  static real_clock c;
  return c;
}

id_source& random_ids() {
  static random_id_source ids;
  return ids;
}

}  // namespace troupe
