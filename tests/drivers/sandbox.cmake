if(TARGET troupe_drivers_sandbox AND TARGET sandboxd)
  troupe_test(sandbox_driver_test SOURCES sandbox_rules_test.cpp sandbox_provider_test.cpp sandbox_door_test.cpp
              sandbox_effects_test.cpp
              LINK troupe_drivers_sandbox LABELS drivers)
  add_dependencies(sandbox_driver_test sandboxd)
  target_compile_definitions(sandbox_driver_test PRIVATE SANDBOXD_PROGRAM="$<TARGET_FILE:sandboxd>")
endif()
