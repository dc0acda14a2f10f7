// File operations inside a sandbox, with its own uid and in its own view. A child of init.
#pragma once

namespace troupe::sandboxd {

// Answers requests on `socket` (init.h) one after the other, until it is closed.
[[noreturn]] void serve_files(int socket);

}  // namespace troupe::sandboxd
