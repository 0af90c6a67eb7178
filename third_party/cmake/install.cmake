# `cmake --install build/release --prefix DIR`, and a .deb by `cpack -G DEB --config build/release/CPackConfig.cmake`.
# The installed program needs neither the source tree nor its .venv: it finds its files as share/facepoison beside bin,
# and LibTorch's libraries in lib/facepoison.
set_target_properties(facepoison PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/facepoison")
install(TARGETS facepoison RUNTIME_DEPENDENCIES
  DIRECTORIES ${LibTorch_ROOT}/lib
  POST_INCLUDE_REGEXES "^${LibTorch_ROOT}/"
  POST_EXCLUDE_REGEXES "."
  RUNTIME DESTINATION bin
  LIBRARY DESTINATION lib/facepoison)
install(DIRECTORY configs DESTINATION share/facepoison)
install(DIRECTORY data/recognisers data/cloak-detectors data/rendered data/report DESTINATION share/facepoison/data)
install(FILES data/paper.json DESTINATION share/facepoison/data)
# What scripts/setup.sh gets of Vega, for interactive reports.
install(DIRECTORY build/report DESTINATION share/facepoison/build OPTIONAL FILES_MATCHING PATTERN "vega*.min.js")
install(FILES README.md LICENSE CHANGELOG.md CITATION.cff DESTINATION share/doc/facepoison)
install(DIRECTORY docs/ DESTINATION share/doc/facepoison/docs FILES_MATCHING PATTERN "*.md")

find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
  install(CODE "execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND ${Python3_EXECUTABLE}
    ${PROJECT_SOURCE_DIR}/scripts/shell_files.py $<TARGET_FILE:facepoison> ${PROJECT_BINARY_DIR}/shell)")
  install(FILES ${PROJECT_BINARY_DIR}/shell/facepoison.1 DESTINATION share/man/man1)
  install(FILES ${PROJECT_BINARY_DIR}/shell/facepoison.bash DESTINATION share/bash-completion/completions
    RENAME facepoison)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "the authors of facepoison")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Measures what protection perturbed photos give against face recognition")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${LibTorch_ROOT}/lib)
include(CPack)
