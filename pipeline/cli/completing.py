"""Completion in bash where names and files may stand in one place, which click's own script cannot do."""

from __future__ import annotations

from click.shell_completion import BashComplete

__all__ = ["Bash"]


class Bash(BashComplete):
    """What the program offers, and files besides where it says so; click's drops the one for the other."""

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' response line type value
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete $1)
    for line in $response; do
        IFS=',' read -r type value <<< "$line"
        case $type in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o filenames; COMPREPLY+=($(compgen -f -- "$value")) ;;
            dir) compopt -o filenames; COMPREPLY+=($(compgen -d -- "$value")) ;;
        esac
    done
}
%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}
%(complete_func)s_setup;
"""
