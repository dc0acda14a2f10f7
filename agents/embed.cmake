# Writes the registry as C++: cmake -DIN=registry.json -DOUT=….cpp -P embed.cmake
file(READ ${IN} content)
file(WRITE ${OUT} "namespace troupe::agents {\n\nextern const char registry_text[];\n"
                  "const char registry_text[] = R\"_json_(${content})_json_\";\n\n}  // namespace troupe::agents\n")
