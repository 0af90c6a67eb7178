#!/usr/bin/env python3
"""Writes facepoison.1 (a man page) and facepoison.bash (completion) from the program's --help.

scripts/shell_files.py BINARY FOLDER; `cmake --install` runs it.
"""

import re
import subprocess
import sys
from pathlib import Path

OPTION = re.compile(r"^  (?:-\w,)?(--[\w-]+)", re.MULTILINE)
COMPLETION = """\
# Completion of facepoison's commands and options in Bash; elsewhere files are completed.
_facepoison() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} found
  ((COMP_CWORD > 1)) || {{ mapfile -t COMPREPLY < <(compgen -W "{commands}" -- "$word"); return; }}
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  [[ $word == -* || $found != -* ]] && mapfile -t COMPREPLY < <(compgen -W "$found" -- "$word")
}}
complete -o default -F _facepoison facepoison
"""


def help_of(binary, *command):
    return subprocess.run([binary, *command, "--help"], capture_output=True, text=True, check=True).stdout


def commands_in(text):
    """The subcommands of a help text, in its order."""
    return re.findall(r"^  (\w+)", text.partition("\nSubcommands:\n")[2], re.MULTILINE)


def helps(binary):
    """The help text of the program, of each command and of their subcommands, by the words of the command."""
    found = {(): help_of(binary)}
    for command in commands_in(found[()]):
        found[(command,)] = help_of(binary, command)
        for sub in commands_in(found[(command,)]):
            found[(command, sub)] = help_of(binary, command, sub)
    return found


def completion(found):
    commands = [words[0] for words in found if len(words) == 1]
    cases = []
    for command in commands:
        subs = [words[1] for words in found if len(words) == 2 and words[0] == command]
        options = {option for words in found if words[:1] == (command,) for option in OPTION.findall(found[words])}
        cases.append(f'    {command}) found="{" ".join([*subs, *sorted(options)])}" ;;')
    return COMPLETION.format(commands=" ".join(commands), cases="\n".join(cases))


def man_page(found, version):
    def verbatim(text):
        lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
        return "\n".join(["\\&" + line if line.startswith((".", "'")) else line for line in lines])

    purpose, _, rest = found[()].partition("\n")
    parts = [
        f'.TH FACEPOISON 1 "" "facepoison {version}" "User Commands"\n.SH NAME\n'
        f"facepoison \\- measures what protection perturbed photos give against face recognition\n"
        f".SH DESCRIPTION\n{verbatim(purpose)}\n.PP\n.nf\n{verbatim(rest.strip())}\n.fi"
    ]
    for words, text in found.items():
        if words:
            parts.append(f'.SH "{" ".join(words).upper()}"\n.nf\n{verbatim(text.strip())}\n.fi')
    return "\n".join(parts) + "\n"


def main():
    binary, folder = sys.argv[1], Path(sys.argv[2])
    found = helps(binary)
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "facepoison.1").write_text(man_page(found, version))
    (folder / "facepoison.bash").write_text(completion(found))


if __name__ == "__main__":
    main()
