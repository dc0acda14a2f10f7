# CAF::core: the actor library underneath the runtime. Debian's package has no configuration file of its own.
find_library(CAF_CORE_LIBRARY caf_core)
find_path(CAF_INCLUDE_DIR caf/actor_system.hpp)
mark_as_advanced(CAF_CORE_LIBRARY CAF_INCLUDE_DIR)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF REQUIRED_VARS CAF_CORE_LIBRARY CAF_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "Debian has it as libcaf-dev")
if(CAF_FOUND AND NOT TARGET CAF::core)
  add_library(CAF::core UNKNOWN IMPORTED)
  set_target_properties(CAF::core PROPERTIES
    IMPORTED_LOCATION ${CAF_CORE_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${CAF_INCLUDE_DIR})
endif()
