troupe_test(isolation_test SOURCES isolation_parts_test.cpp isolation_inside_test.cpp isolation_kit.cpp
            LINK troupe_isolation LABELS sandboxd)
add_dependencies(isolation_test sandboxd)
target_compile_definitions(isolation_test PRIVATE SANDBOXD_PROGRAM="$<TARGET_FILE:sandboxd>")
