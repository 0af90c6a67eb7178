// Ctrl-C and SIGTERM stop the program between two blocks of work, when everything done so far is on disk.
#pragma once

namespace facepoison {

// Installs the handlers; a second signal, of either kind, ends the process at once, with its exit code.
void install_signal_handlers();

// Throws Error(interrupted) or Error(terminated) when a signal has come. Called between blocks of work.
void stop_if_interrupted();

}  // namespace facepoison
