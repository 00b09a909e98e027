# Writes OUT, a C file that carries the bytes of each of FILES; see base/embedded.h.
set(table "")
set(bodies "")
set(i 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND bodies "static const unsigned char text_${i}[] = {${bytes}0};\n")
  string(APPEND table "\t{\"${name}\", (const char *)text_${i}, sizeof text_${i} - 1},\n")
  math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "#include \"base/embedded.h\"\n${bodies}
const struct embedded_text embedded_texts[] = {\n${table}\t{0, 0, 0}};\n")
