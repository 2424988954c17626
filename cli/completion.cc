// `beamline completion`; see completion.h.
#include "cli/completion.h"

#include <string>

#include "cli/output.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

// Words are taken from the line, since bash breaks COMP_WORDS at = : and @, and replies are given
// without what bash takes for an earlier word.
constexpr std::string_view kBash =
    R"sh(# bash completion of beamline, written by: beamline completion bash
_beamline() {
  local line=${COMP_LINE:0:COMP_POINT} current=${COMP_WORDS[COMP_CWORD]} whole before candidate
  local -a words=()
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  while ((${#words[@]} > 1)) && [[ ${words[0]} != "$1" ]]; do words=("${words[@]:1}"); done
  ((${#words[@]} > 1)) || return
  whole=${words[${#words[@]} - 1]}
  before=${whole%"$current"}
  COMPREPLY=()
  while IFS=$'\t' read -r candidate _; do
    case $candidate in
      :files)
        compopt -o filenames
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
        ;;
      :directories)
        compopt -o filenames
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current")
        ;;
      :flows)
        compopt -o filenames
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY \
          < <(compgen -f -X '!*.flow.yaml' -- "$current"; compgen -d -- "$current")
        ;;
      *) COMPREPLY+=("${candidate#"$before"}") ;;
    esac
  done < <("${words[0]/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _beamline beamline
)sh";

constexpr std::string_view kZsh = R"sh(#compdef beamline
# zsh completion of beamline, written by: beamline completion zsh
_beamline() {
  local line
  local -a candidates
  for line in "${(@f)$(${words[1]} __complete -- "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
    case $line in
      :files) _files ;;
      :directories) _files -/ ;;
      :flows) _files -g '*.flow.yaml' ;;
      ?*) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done
  (( $#candidates )) && _describe -t values beamline candidates
}
if [[ $funcstack[1] == _beamline ]]; then
  _beamline "$@"
else
  compdef _beamline beamline
fi
)sh";

constexpr std::string_view kFish =
    R"sh(# fish completion of beamline, written by: beamline completion fish
function __beamline_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path $current
            case :directories
                __fish_complete_directories $current
            case :flows
                __fish_complete_suffix .flow.yaml
            case '*'
                echo $line
        end
    end
end
complete -c beamline -f -a '(__beamline_complete)'
)sh";

}  // namespace

std::string_view CompletionScript(std::string_view shell) {
  return shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish;
}

int Completion(const Arguments& arguments, Context& context) {
  context.out.Write(CompletionScript(arguments.Get("SHELL")));
  return kExitOk;
}

}  // namespace beamline::cli
