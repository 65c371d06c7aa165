# Bash completion for masu(1). completion_test compares it with the command table.

_masu_containers() {
    masu "${socket[@]}" top --json 2>/dev/null | sed -n 's/^ *"\(path\|name\)": "\(.*\)",$/\2/p' | sort -u
}

_masu_metrics() {
    masu help graph 2>/dev/null | sed -n '/^Metrics:/,$s/^  \([a-z_]*\) .*/\1/p'
}

_masu_types() {
    masu help events 2>/dev/null | sed -n '/^Types:/,$s/^  \([a-z_]*\) .*/\1/p'
}

# What comes after the last comma of a list, with all before it and its '-'.
_masu_list() {
    local before= last=${1##*,}
    [[ $1 != *,* ]] || before=${1%,*},
    [[ $last != -* ]] || before+=-
    mapfile -t COMPREPLY < <(compgen -P "$before" -W "$2" -- "${last#-}")
}

_masu() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= words=0 i
    local -a socket=()
    local commands="status top tree check plan apply release explain graph events help"
    local options="--json --socket --help"

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket) socket=(--socket "${COMP_WORDS[++i]}") ;;
        --sort | --delay | --last | --output | --width | --height | --limit | --type | -[sdlont]) ((i++)) ;;
        -*) ;;
        *) if [ -z "$command" ]; then command=${COMP_WORDS[i]}; else ((words++)); fi ;;
        esac
    done
    COMPREPLY=()
    case $command:$previous in
    *:--socket | *:--output | graph:-o) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    top:--sort | top:-s) mapfile -t COMPREPLY < <(compgen -W "cpu memory io name" -- "$current"); return ;;
    *:--type | events:-t) _masu_list "$current" "$(_masu_types)"; return ;;
    *:--delay | *:--last | *:--width | *:--height | *:--limit | top:-d | graph:-l | events:-n) return ;;
    esac
    case $command in
    top) options+=" --sort --delay --all" ;;
    tree | release) options+=" --all" ;;
    graph) options+=" --last --output --width --height" ;;
    events) options+=" --follow --limit --type" ;;
    esac
    if [[ $current == -* ]]; then
        [ -n "$command" ] || options="--socket --help --version"
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    case $command:$words in
    :*) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current") ;;
    help:0) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current") ;;
    check:*) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    explain:0 | tree:0 | graph:0 | events:0) mapfile -t COMPREPLY < <(compgen -W "$(_masu_containers)" -- "$current") ;;
    graph:1) mapfile -t COMPREPLY < <(compgen -W "$(_masu_metrics)" -- "$current") ;;
    esac
}

complete -o filenames -F _masu masu
