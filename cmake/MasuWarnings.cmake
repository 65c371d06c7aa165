# The flags every masu target is built with.
add_library(masu_flags INTERFACE)
target_compile_options(masu_flags INTERFACE
  -Wall
  -Wextra
  -Wshadow
  -Wconversion
  -Wstrict-prototypes
  -Wmissing-prototypes
  -Wswitch-enum
  -Wvla
  -Wformat=2
  -Wundef
  -Wimplicit-fallthrough
  -Wwrite-strings
  -Wcast-qual
  -Wpointer-arith
  -fno-common
  # clang counts signs to -Wconversion, gcc does not in C
  $<$<C_COMPILER_ID:Clang>:-Wno-sign-conversion>
  $<$<BOOL:${MASU_WERROR}>:-Werror>
  $<$<BOOL:${MASU_HARDEN}>:-O2;-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2;-fstack-protector-strong;-fcf-protection>
  $<$<BOOL:${MASU_COVERAGE}>:--coverage>
  $<$<BOOL:${MASU_FUZZ}>:-fsanitize=fuzzer-no-link>)
target_compile_definitions(masu_flags INTERFACE _GNU_SOURCE)
target_include_directories(masu_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_link_options(masu_flags INTERFACE
  -Wl,--as-needed
  $<$<BOOL:${MASU_HARDEN}>:-Wl,-z,relro,-z,now>
  $<$<BOOL:${MASU_COVERAGE}>:--coverage>)
if(MASU_SANITIZE)
  target_compile_options(masu_flags INTERFACE -fsanitize=${MASU_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(masu_flags INTERFACE -fsanitize=${MASU_SANITIZE})
endif()
