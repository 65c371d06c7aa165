# masu_library(NAME SOURCES … LINKS …): the one static library of a folder.
function(masu_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(masu_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(masu_${name} PUBLIC masu_flags ${ARG_LINKS})
endfunction()

# masu_executable(NAME SOURCES … LINKS …): a program in the build root.
function(masu_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE masu_flags ${ARG_LINKS})
endfunction()

# masu_test(FILE_test [LABELS …] LINKS …): a cmocka program beside the file it tests.
# A test that needs root, a kernel or a browser carries a label saying so; the default label is unit.
function(masu_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;LINKS;SOURCES" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  set(target ${folder}_${name})
  add_executable(${target} ${name}.c ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE masu_flags ${ARG_LINKS} PkgConfig::CMOCKA)
  target_compile_definitions(${target} PRIVATE MASU_SOURCE_DIR="${CMAKE_SOURCE_DIR}" MASU_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${folder}/${name} COMMAND ${target})
  set_tests_properties(${folder}/${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# masu_fuzzer(FILE_fuzz LINKS …): a libFuzzer program; its seeds are tests/fuzz/seeds/FILE.
function(masu_fuzzer name)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  if(MASU_FUZZ)
    add_executable(${name} ${name}.c)
    target_link_libraries(${name} PRIVATE masu_flags ${ARG_LINKS})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()
