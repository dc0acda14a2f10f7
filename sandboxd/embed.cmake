# Writes the OpenAPI document as C++: cmake -DIN=openapi.json -DOUT=….cpp -P embed.cmake
file(READ ${IN} content)
file(WRITE ${OUT} "namespace troupe::sandboxd {\n\nextern const char openapi_document[];\n"
                  "const char openapi_document[] = R\"_json_(${content})_json_\";\n\n}  // namespace troupe::sandboxd\n")
