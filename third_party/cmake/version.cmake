# Writes the version and the commit into a header, and changes the file only when they change.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT COMMIT) # an archive of a commit: `git archive` put it into this file
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/commit.txt COMMIT LIMIT_COUNT 1)
  if(COMMIT MATCHES "Format")
    set(COMMIT unknown)
  else()
    string(SUBSTRING "${COMMIT}" 0 12 COMMIT)
  endif()
endif()
set(TEXT "#pragma once\n#define FACEPOISON_VERSION \"${VERSION}\"\n#define FACEPOISON_COMMIT \"${COMMIT}\"\n")
set(OLD "")
if(EXISTS ${OUT})
  file(READ ${OUT} OLD)
endif()
if(NOT OLD STREQUAL TEXT)
  file(WRITE ${OUT} "${TEXT}")
endif()
