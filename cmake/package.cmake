# What others embed, as a package that find_package(Troupe) finds: cmake --install BUILD --component libraries.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Troupe)

# troupe_export(SET NAME…): installs the libraries troupe_NAME as troupe::NAME.
function(troupe_export set)
  foreach(name IN LISTS ARGN)
    set_target_properties(troupe_${name} PROPERTIES EXPORT_NAME ${name})
    install(TARGETS troupe_${name} EXPORT ${set} COMPONENT libraries
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION include/troupe)
  endforeach()
  install(EXPORT ${set} NAMESPACE troupe:: DESTINATION ${package} COMPONENT libraries)
endfunction()

# troupe_headers(FOLDER HEADER…): under the names by which the project itself includes them.
function(troupe_headers folder)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/${folder}/)
  install(FILES ${ARGN} DESTINATION include/troupe/${folder} COMPONENT libraries)
endfunction()

# The headers that a program may include; the rest of each folder is nobody else's business.
troupe_headers(storage changes.h database.h error.h migration.h reader.h row.h statement.h value.h)
troupe_headers(storage/testing disk_event.h disk_image.h disk_player.h fault_vfs.h)
troupe_headers(runtime answer.h backup.h clock.h compact.h durability.h effect.h host.h inspect.h key.h kind.h problem.h scheduler.h
  schema_set.h topic.h turn.h verify.h view.h)
troupe_headers(runtime/testing actor_in_memory.h manual.h simulation.h)
troupe_export(TroupeTargets storage runtime storage_testing testing)
if(TARGET troupe_gateway)
  troupe_headers(net/gateway auth.h gateway.h network.h secrets.h)
  troupe_headers(net/wire asio.h certificate.h client.h message.h result.h server.h sse.h websocket.h)
  troupe_export(TroupeGatewayTargets wire dashboard gateway)
endif()

configure_package_config_file(cmake/TroupeConfig.cmake.in TroupeConfig.cmake INSTALL_DESTINATION ${package})
# Before 1.0 a new minor version may change an interface.
write_basic_package_version_file(TroupeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/TroupeConfig.cmake ${PROJECT_BINARY_DIR}/TroupeConfigVersion.cmake cmake/FindCAF.cmake
        DESTINATION ${package} COMPONENT libraries)
