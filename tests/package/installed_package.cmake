# Installs the libraries into an empty folder, then works as somebody who has nothing else of this project.
set(prefix ${WORK}/prefix)
file(REMOVE_RECURSE ${WORK})

# run(WHAT COMMAND…): stops the test with what the command said when it fails; OUTPUT has it otherwise.
macro(run what)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE OUTPUT ERROR_VARIABLE OUTPUT RESULT_VARIABLE status TIMEOUT 600)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what}: ended with ${status}\n${OUTPUT}")
  endif()
endmacro()

function(expect what text)
  string(FIND "${OUTPUT}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${what}: expected «${text}» in\n${OUTPUT}")
  endif()
endfunction()

# configure(SOURCE NAME): as in an empty folder of its own.
macro(configure source name)
  run("configure ${name}" ${CMAKE_COMMAND} -S ${source} -B ${WORK}/${name} -G Ninja -DCMAKE_PREFIX_PATH=${prefix}
      -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_STANDARD=20 -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})
endmacro()

run("install" ${CMAKE_COMMAND} --install ${BUILD} --component libraries --prefix ${prefix})

# Each header alone, against the installed ones alone.
configure(${CONSUMER} consumer)
run("every installed header compiles alone" ${CMAKE_COMMAND} --build ${WORK}/consumer --target headers)

# A handler of the wrong shape: the compiler's message says the right one.
foreach(row command query)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/consumer --target wrong_${row}
                  OUTPUT_VARIABLE OUTPUT ERROR_VARIABLE OUTPUT RESULT_VARIABLE status TIMEOUT 300)
  if(status EQUAL 0)
    message(FATAL_ERROR "a handler of the wrong shape compiled")
  endif()
  expect("the message for a wrong handler of a ${row}" "the handler of a ${row} is a function: answer NAME(")
endforeach()

file(COPY ${EXAMPLES}/hello_actor ${EXAMPLES}/bank ${EXAMPLES}/embedded_gateway DESTINATION ${WORK}/copied)
configure(${WORK}/copied/hello_actor hello_actor)
run("build hello_actor" ${CMAKE_COMMAND} --build ${WORK}/hello_actor)
foreach(time 1 2)
  run("hello_actor" ${WORK}/hello_actor/hello_actor ${WORK}/data)
  expect("hello_actor, run ${time}" "greeted ${time} times")
endforeach()

configure(${WORK}/copied/bank bank)
run("build bank" ${CMAKE_COMMAND} --build ${WORK}/bank)
run("bank_test" ${WORK}/bank/bank_test)
expect("bank_test" "SUCCESS")

# The gateway's libraries and what they need are found too.
configure(${WORK}/copied/embedded_gateway embedded_gateway)
