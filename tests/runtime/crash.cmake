# Tests of crashes: a program that is killed, and a disk that fails under a whole host.
add_library(crash_bank OBJECT ${CMAKE_CURRENT_LIST_DIR}/crash_bank.cpp)
target_link_libraries(crash_bank PUBLIC troupe_runtime troupe_warnings)

add_executable(crash_program ${CMAKE_CURRENT_LIST_DIR}/crash_program.cpp)
target_link_libraries(crash_program PRIVATE crash_bank)

troupe_test(crash_tests
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/backup_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/crash_verify.cpp
    ${CMAKE_CURRENT_LIST_DIR}/crash_disk_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/crash_test.cpp
  LINK crash_bank troupe_storage_testing
  LABELS crash)
target_compile_definitions(crash_tests PRIVATE CRASH_PROGRAM="$<TARGET_FILE:crash_program>")
add_dependencies(crash_tests crash_program)

# Virtual time, a recorded disk, every step of it.
troupe_test(crash_point_tests
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/crash_points_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/ledger.cpp
  LINK crash_bank troupe_testing
  LABELS crash
  TIMEOUT 14400)
