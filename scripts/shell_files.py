#!/usr/bin/env python3
"""Writes facepoison.1 (a man page) and facepoison.bash (completion) from the program's --help.

scripts/shell_files.py BINARY FOLDER; `cmake --install` runs it.
"""

import re
import sys
from pathlib import Path

import commands

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


def completion(texts):
    found = {}
    for command, text in texts.items():
        first, *sub = command.split()
        found.setdefault(first, set()).update(sub, OPTION.findall(text))

    def is_option(word):  # subcommands come first
        return word.startswith("-"), word

    cases = [f'    {first}) found="{" ".join(sorted(words, key=is_option))}" ;;' for first, words in found.items()]
    return COMPLETION.format(commands=" ".join(found), cases="\n".join(cases))


def verbatim(text):
    lines = text.strip().replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in lines)


def man_page(texts):
    purpose, _, usage = commands.help_of("").partition("\n")
    parts = [
        f'.TH FACEPOISON 1 "" "{commands.help_of("", "--version").splitlines()[0]}" "User Commands"\n.SH NAME\n'
        "facepoison \\- measures what protection perturbed photos give against face recognition\n"
        f".SH DESCRIPTION\n{verbatim(purpose)}\n.PP\n.nf\n{verbatim(usage)}\n.fi"
    ]
    parts += [f'.SH "{command.upper()}"\n.nf\n{verbatim(text)}\n.fi' for command, text in texts.items()]
    return "\n".join(parts) + "\n"


def main():
    commands.BINARY, folder = Path(sys.argv[1]), Path(sys.argv[2])
    texts = commands.help_texts()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "facepoison.1").write_text(man_page(texts))
    (folder / "facepoison.bash").write_text(completion(texts))


if __name__ == "__main__":
    main()
