# Finds LibTorch, CPU or CUDA, without LibTorch's own config, which needs a CUDA toolkit for a CUDA build.
# Looks in CMAKE_PREFIX_PATH (an unpacked LibTorch or a wheel's `torch` folder), then in the project's .venv.
# Defines the target LibTorch::LibTorch, LibTorch_VERSION, and LibTorch_CUDA (is it a CUDA build?).
file(GLOB _wheel_torch ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
find_path(LibTorch_ROOT NAMES include/torch/script.h HINTS ${CMAKE_PREFIX_PATH} PATHS ${_wheel_torch} NO_DEFAULT_PATH)
find_library(LibTorch_torch torch HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_cpu torch_cpu HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_c10 c10 HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_cuda torch_cuda HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_c10_cuda c10_cuda HINTS ${LibTorch_ROOT}/lib NO_DEFAULT_PATH)

set(LibTorch_CUDA OFF)
if(LibTorch_cuda)
  set(LibTorch_CUDA ON)
endif()
# Releases up to 2.8 keep the numbers in the API's version.h, later ones in headeronly/version.h.
foreach(_file torch/csrc/api/include/torch/version.h torch/headeronly/version.h)
  set(_header ${LibTorch_ROOT}/include/${_file})
  if(EXISTS ${_header})
    file(STRINGS ${_header} _lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
    foreach(_line ${_lines})
      string(REGEX MATCH "_(MAJOR|MINOR|PATCH) ([0-9]+)" _match ${_line})
      set(_${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
    endforeach()
  endif()
endforeach()
set(LibTorch_VERSION "${_MAJOR}.${_MINOR}.${_PATCH}")

# PyPI's builds up to 2.6 have std::string of before C++11, with which nothing else here can be linked.
if(LibTorch_c10)
  file(STRINGS ${LibTorch_c10} _names REGEX "c10.*__cxx11" LIMIT_COUNT 1)
  if(NOT _names)
    message(FATAL_ERROR "LibTorch ${LibTorch_VERSION} in ${LibTorch_ROOT} was built with the C++ ABI of before C++11 "
                        "(_GLIBCXX_USE_CXX11_ABI=0); take its build with the C++11 ABI, or 2.7 or newer")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_ROOT LibTorch_torch LibTorch_cpu LibTorch_c10
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Run scripts/setup.sh, or name a LibTorch with -DCMAKE_PREFIX_PATH=/path/to/libtorch")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  set_target_properties(LibTorch::LibTorch PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${LibTorch_ROOT}/include;${LibTorch_ROOT}/include/torch/csrc/api/include")
  set(_libraries ${LibTorch_torch} ${LibTorch_cpu} ${LibTorch_c10})
  if(LibTorch_CUDA)
    # Nothing refers to these two by name, so the linker would drop them; they register the CUDA back end.
    list(PREPEND _libraries "-Wl,--no-as-needed" ${LibTorch_cuda} ${LibTorch_c10_cuda} "-Wl,--as-needed")
  endif()
  set_property(TARGET LibTorch::LibTorch PROPERTY INTERFACE_LINK_LIBRARIES "${_libraries}")
endif()
mark_as_advanced(LibTorch_ROOT LibTorch_torch LibTorch_cpu LibTorch_c10 LibTorch_cuda LibTorch_c10_cuda)
message(STATUS "LibTorch ${LibTorch_VERSION} in ${LibTorch_ROOT}, CUDA: ${LibTorch_CUDA}")
