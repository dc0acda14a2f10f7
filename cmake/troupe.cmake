# The settings that every target of this project shares, and the two functions that declare targets.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  # With which it sees through precompiled headers.
  add_compile_options(-fpch-preprocess)
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)

if(TROUPE_SANITIZE)
  add_compile_options(-fsanitize=${TROUPE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TROUPE_SANITIZE})
endif()

# What nearly every file includes, parsed once. Each file still includes what it uses: -DTROUPE_PRECOMPILE=OFF shows it.
option(TROUPE_PRECOMPILE "Parse the common headers once" ON)
# Files of one target compiled eight at a time, which makes a clean build three times as fast; what is in the unnamed
# namespaces of one folder therefore has distinct names. -DCMAKE_UNITY_BUILD=OFF for quicker small changes.
option(CMAKE_UNITY_BUILD "Compile several files of a target at a time" ON)

# Warnings are for our own code alone; dependents of the libraries never inherit them.
add_library(troupe_warnings INTERFACE)
target_link_libraries(troupe_warnings INTERFACE fmt::fmt Threads::Threads nlohmann_json::nlohmann_json)
target_compile_options(troupe_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                                 -Woverloaded-virtual
                                                 -Wno-missing-field-initializers)
# GCC 12 sees copies of 2^63 bytes in `"text" + std::string` when it optimizes (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(troupe_warnings INTERFACE -Wno-stringop-overflow -Wno-restrict)
endif()

if(CMAKE_UNITY_BUILD)
  # GCC takes an unnamed namespace of a file that is compiled with others for one of a header.
  target_compile_options(troupe_warnings INTERFACE -Wno-subobject-linkage)
endif()

if(TROUPE_PRECOMPILE)
  add_library(troupe_precompiled OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled.cpp)
  target_link_libraries(troupe_precompiled PRIVATE troupe_warnings)
  target_precompile_headers(troupe_precompiled PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled.h)
endif()
function(troupe_precompile name)
  if(TROUPE_PRECOMPILE)
    target_precompile_headers(${name} REUSE_FROM troupe_precompiled)
  endif()
endfunction()

# troupe_library(NAME SOURCES … PUBLIC … PRIVATE …): a static library, headers found from the project's root.
function(troupe_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  # As the installed package calls it.
  string(REGEX REPLACE "^troupe_" "troupe::" alias ${name})
  add_library(${alias} ALIAS ${name})
  target_compile_features(${name} PUBLIC cxx_std_20)
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE $<BUILD_INTERFACE:troupe_warnings> ${ARG_PRIVATE})
  troupe_precompile(${name})
endfunction()

# troupe_test(NAME SOURCES … LINK … [LABELS …]): one doctest program, known to ctest under its name.
function(troupe_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE troupe_warnings troupe_test_main ${ARG_LINK})
  troupe_precompile(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "${ARG_LABELS}")
  if(ARG_TIMEOUT)
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
  endif()
endfunction()
