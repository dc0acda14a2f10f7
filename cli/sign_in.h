// The address that signs a browser in.
#pragma once

#include <string>
#include <string_view>

namespace troupe::cli {

/// The page takes the word from the fragment, which browsers never send, and posts it.
inline std::string sign_in_url(std::string_view server, std::string_view word) {
  return std::string(server) + "/#sign-in=" + std::string(word);
}

}  // namespace troupe::cli
