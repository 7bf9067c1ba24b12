# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_dht_node_global_optspecs
    string join \n bootstrap= local= bind= port= public= nodes= new-network data-dir= metrics= web= web-public web-host= relay relay-key= relay-pairs= json v/verbose allow-core-dumps no-strict-modes config= h/help V/version
end

function __fish_dht_node_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_dht_node_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_dht_node_using_subcommand
    set -l cmd (__fish_dht_node_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c dht-node -n "__fish_dht_node_needs_command" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l bind -d 'Address of the first node\'s socket; further nodes take the ports that follow' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l port -d 'Port of the first node\'s socket, if --bind names none' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l public -d 'The address that others see, for hosts behind a one-to-one NAT or with several addresses' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l nodes -d 'How many nodes to run' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l data-dir -d 'Keep known nodes and announcements here, so that after a restart the nodes find back into the network and still know its servers' -r -F
complete -c dht-node -n "__fish_dht_node_needs_command" -l metrics -d 'Serve numbers for Prometheus at http://IP:PORT/metrics' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l web -d 'Serve a page with the state of this program at http://IP:PORT/, and numbers for Prometheus at /metrics; anyone who reaches the address can read it' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l web-host -d 'Name under which browsers may ask for the page, beside localhost and IP addresses; may be repeated' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l relay-key -d 'File that holds the relay\'s identity [default: $XDG_DATA_HOME/dht-node/relay]' -r -F
complete -c dht-node -n "__fish_dht_node_needs_command" -l relay-pairs -d 'Pairs that the relay serves at once' -r
complete -c dht-node -n "__fish_dht_node_needs_command" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c dht-node -n "__fish_dht_node_needs_command" -l new-network -d 'Start a new network, and print the commands by which others join it'
complete -c dht-node -n "__fish_dht_node_needs_command" -l web-public -d 'Let --web name an address that other hosts reach'
complete -c dht-node -n "__fish_dht_node_needs_command" -l relay -d 'Serve as a blind relay as well: print its key, and carry packets for peers that have no path between them'
complete -c dht-node -n "__fish_dht_node_needs_command" -l json -d 'Print JSON'
complete -c dht-node -n "__fish_dht_node_needs_command" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c dht-node -n "__fish_dht_node_needs_command" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c dht-node -n "__fish_dht_node_needs_command" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c dht-node -n "__fish_dht_node_needs_command" -s h -l help -d 'Print help'
complete -c dht-node -n "__fish_dht_node_needs_command" -s V -l version -d 'Print version'
complete -c dht-node -n "__fish_dht_node_needs_command" -f -a "completions" -d 'Print completions of commands and options for a shell'
complete -c dht-node -n "__fish_dht_node_needs_command" -f -a "man" -d 'Print the page of the manual, for man -l -'
complete -c dht-node -n "__fish_dht_node_using_subcommand completions" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c dht-node -n "__fish_dht_node_using_subcommand completions" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c dht-node -n "__fish_dht_node_using_subcommand completions" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c dht-node -n "__fish_dht_node_using_subcommand completions" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c dht-node -n "__fish_dht_node_using_subcommand completions" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c dht-node -n "__fish_dht_node_using_subcommand completions" -s h -l help -d 'Print help'
complete -c dht-node -n "__fish_dht_node_using_subcommand man" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c dht-node -n "__fish_dht_node_using_subcommand man" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c dht-node -n "__fish_dht_node_using_subcommand man" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c dht-node -n "__fish_dht_node_using_subcommand man" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c dht-node -n "__fish_dht_node_using_subcommand man" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c dht-node -n "__fish_dht_node_using_subcommand man" -s h -l help -d 'Print help'
