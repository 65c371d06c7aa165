# Every library masu links, once; all come from the distribution.
find_package(PkgConfig REQUIRED)
foreach(package
    cmocka
    jansson
    libcap-ng
    libcgroup
    libcurl
    libevent_core
    libevent_extra
    libmnl
    librrd
    yaml-0.1
    zlib)
  string(TOUPPER ${package} prefix)
  pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET ${package})
endforeach()
