# find_package(lignum) gives lignum::client: the client library and what it stands on.
#
#     find_package(lignum REQUIRED)
#     target_link_libraries(app PRIVATE lignum::client)      # and  #include <lignum/net/client.h>
#
# The libraries are static; the ones of the system are found here, so that a missing one is named.
include(CMakeFindDependencyMacro)
find_dependency(Threads)

get_filename_component(_lignum_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET lignum::client)
  set(_lignum_libraries)
  # In link order: each needs only what follows.
  foreach(_library routing wire wire_schema formats vocabulary)
    list(APPEND _lignum_libraries "${_lignum_prefix}/lib/lignum/liblignum_${_library}.a")
  endforeach()
  foreach(_library protobuf-lite isal xxhash zstd lz4 snappy z fmt)
    find_library(LIGNUM_${_library}_LIBRARY ${_library} REQUIRED)
    mark_as_advanced(LIGNUM_${_library}_LIBRARY)
    list(APPEND _lignum_libraries "${LIGNUM_${_library}_LIBRARY}")
  endforeach()

  add_library(lignum::client STATIC IMPORTED)
  set_target_properties(lignum::client PROPERTIES
    IMPORTED_LOCATION "${_lignum_prefix}/lib/lignum/liblignum_client.a"
    # The second one is for the headers among themselves.
    INTERFACE_INCLUDE_DIRECTORIES "${_lignum_prefix}/include;${_lignum_prefix}/include/lignum"
    INTERFACE_COMPILE_FEATURES cxx_std_23
    INTERFACE_LINK_LIBRARIES "${_lignum_libraries};Threads::Threads")
endif()
