# fish completion of beamline, written by: beamline completion fish
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
