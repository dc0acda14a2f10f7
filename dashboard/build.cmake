# Builds the dashboard: cmake -DNPM=PROGRAM -DSOURCE=FOLDER -DOUT=FOLDER -P build.cmake
# When its packages cannot be had nothing is written, which the next build tries again; mistakes in it fail the build.
set(installed ${SOURCE}/node_modules/.package-lock.json)
if(NOT EXISTS ${installed} OR ${SOURCE}/package-lock.json IS_NEWER_THAN ${installed})
  execute_process(COMMAND ${NPM} ci --fetch-retries=0 --fetch-timeout=30000 WORKING_DIRECTORY ${SOURCE} TIMEOUT 600
    RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(failed)
    message(WARNING "The plain page stands in for the dashboard: npm ci failed in ${SOURCE}.\n${said}")
    file(REMOVE_RECURSE ${OUT})
    return()
  endif()
  file(TOUCH ${installed})
endif()
execute_process(COMMAND ${NPM} run --silent build -- --outDir ${OUT} --logLevel warn WORKING_DIRECTORY ${SOURCE}
  RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "The dashboard does not build; what is wrong stands above.")
endif()
