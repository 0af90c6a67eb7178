# The layer list of docs/design.md, checked: which folders may name which headers and libraries.
function(forbid folder pattern why)
  file(GLOB_RECURSE files ${ROOT}/src/${folder}/*.cpp ${ROOT}/src/${folder}/*.hpp)
  foreach(file ${files})
    file(STRINGS ${file} found REGEX "#include .*(${pattern})")
    if(found)
      message(SEND_ERROR "${file}: ${found}: ${why}")
    endif()
  endforeach()
endfunction()

foreach(folder core extractors attacks classifiers stages training experiments report commands)
  forbid(${folder} "opencv2/|turbojpeg" "OpenCV appears only in data/")
endforeach()
foreach(folder core data extractors attacks classifiers stages training experiments report)
  forbid(${folder} "CLI/" "CLI11 appears only in main and commands")
endforeach()
set(experiments "facepoison/experiment.hpp")
set(report "facepoison/report.hpp")
set(training "facepoison/training.hpp|training/")
set(stages "facepoison/stages.hpp|stages/")
set(classifiers "facepoison/classifier.hpp|classifiers/")
set(attacks "facepoison/(attack|similarity).hpp|attacks/")
set(extractors "facepoison/(extractor|card).hpp|extractors/")
set(data "facepoison/(dataset|detect|image|geometry|npy|photos|prepare|sheet|splits).hpp")
set(commands "commands/")
forbid(core "${data}|${extractors}|${attacks}|${classifiers}|${stages}|${training}|${experiments}|${report}|${commands}"
  "core includes nothing above it")
forbid(data "${extractors}|${attacks}|${classifiers}|${stages}|${training}|${experiments}|${report}|${commands}"
  "data includes core only")
forbid(extractors "${attacks}|${classifiers}|${stages}|${training}|${experiments}|${report}|${commands}"
  "extractors include data and core only")
forbid(attacks "${classifiers}|${stages}|${training}|${experiments}|${report}|${commands}"
  "attacks include extractors, data and core only")
forbid(classifiers "${data}|${extractors}|${attacks}|${stages}|${training}|${experiments}|${report}|${commands}"
  "classifiers include core only")
forbid(report "${data}|${extractors}|${attacks}|${classifiers}|${stages}|${training}|${experiments}|${commands}"
  "report includes core only")
forbid(stages "${training}|${experiments}|${report}|${commands}" "stages include attacks and below, and classifiers")
forbid(training "${stages}|${experiments}|${report}|${commands}" "training includes attacks and below, and classifiers")
forbid(experiments "${commands}" "experiments include stages and below, classifiers and report")
