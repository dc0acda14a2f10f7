# Writes one folder of schemas/ as C++: cmake -DFOLDER=… -DNAME=… -DOUT=… -P embed.cmake
file(GLOB migrations LIST_DIRECTORIES false RELATIVE ${FOLDER} ${FOLDER}/[0-9][0-9][0-9][0-9].sql)
list(SORT migrations)
file(GLOB schemas LIST_DIRECTORIES false RELATIVE ${FOLDER} ${FOLDER}/*.json)
list(SORT schemas)

# A raw literal holds at most 64 KiB, far above any schema of ours.
set(text "#include \"schemas/${NAME}.h\"\n\nnamespace troupe::schemas {\nnamespace {\n\n")
set(version 0)
string(APPEND text "constexpr storage::migration migrations[] = {\n")
foreach(file IN LISTS migrations)
  math(EXPR version "${version} + 1")
  string(SUBSTRING ${file} 0 4 number)
  if(NOT "${number}" MATCHES "^0*${version}$")
    message(FATAL_ERROR "${FOLDER}/${file}: expected migration ${version}")
  endif()
  file(READ ${FOLDER}/${file} content)
  string(APPEND text "    {${version}, R\"_sql_(${content})_sql_\"},\n")
endforeach()
string(APPEND text "    {0, {}},\n};\n\nconstexpr schema_file files[] = {\n")
list(LENGTH schemas count)
foreach(file IN LISTS schemas)
  file(READ ${FOLDER}/${file} content)
  string(APPEND text "    {\"${file}\", R\"_json_(${content})_json_\"},\n")
endforeach()
string(APPEND text "    {{}, {}},\n};\n\n}  // namespace\n\n"
  "const schema_set ${NAME}{std::span(migrations).first(${version}), std::span(files).first(${count})};\n\n"
  "}  // namespace troupe::schemas\n")
file(WRITE ${OUT}/schemas/${NAME}.cpp "${text}")
file(WRITE ${OUT}/schemas/${NAME}.h
  "#pragma once\n\n#include \"runtime/schema_set.h\"\n\nnamespace troupe::schemas {\n\nextern const schema_set ${NAME};\n\n}  // namespace troupe::schemas\n")
