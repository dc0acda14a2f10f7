// The kind of failure that a piece of code ends with; the test fails if it ends well.
#pragma once

#include <doctest/doctest.h>

#include "storage/error.h"

template <class F>
troupe::storage::failure kind_of(F&& f) {
  try {
    f();
  } catch (const troupe::storage::error& e) {
    return e.kind();
  }
  FAIL("it should have failed");
  return troupe::storage::failure::misuse;
}
