# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_hyperdht_global_optspecs
    string join \n bootstrap= local= identity= relay= bind= timeout= json v/verbose allow-core-dumps no-strict-modes config= h/help V/version
end

function __fish_hyperdht_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_hyperdht_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_hyperdht_using_subcommand
    set -l cmd (__fish_hyperdht_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c hyperdht -n "__fish_hyperdht_needs_command" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -s V -l version -d 'Print version'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "ping" -d 'Measure the round trip to a DHT node, to a server, or to the peers of a topic'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "lookup" -d 'Print the peers of a topic, or the nodes that know a server'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "announce" -d 'Announce your key under a topic until Ctrl-C'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "get" -d 'Print the value with a hash, or the latest value that a key has signed'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "put" -d 'Store a value under its hash, or signed under your key, and print the hash or the key'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "pipe" -d 'Join standard input and output to those of a peer'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "swarm" -d 'Talk with all peers of a topic: lines of standard input go to all of them, and theirs are printed'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "tunnel" -d 'Reach a TCP or UDP port of another computer'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "whoami" -d 'Print the public key of --identity; needs no network'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "completions" -d 'Print completions of commands and options for a shell'
complete -c hyperdht -n "__fish_hyperdht_needs_command" -f -a "man" -d 'Print the page of the manual, for man -l -'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l topic -d 'All peers of a topic that listen' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand ping" -s h -l help -d 'Print help'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l key -d 'A server' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand lookup" -s h -l help -d 'Print help'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l once -d 'Announce once and leave it there; nodes forget it after 20 minutes'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand announce" -s h -l help -d 'Print help'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l mutable -d 'Get what a key has signed'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand get" -s h -l help -d 'Print help'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l seq -d 'The number of the value, which has to be above that of the one before [default: one more]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l mutable -d 'Sign it and store it under your key, in place of the value that is there; needs --identity'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand put" -s h -l help -d 'Print help'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l allow -d 'Let this key in and no other; may be given several times [default: everyone who knows yours]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l listen -d 'Wait for one peer'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand pipe" -s h -l help -d 'Print help'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand swarm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l at -d 'Where programs of this computer connect to; port 0 takes a free one' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l to -d 'What they reach, as seen from this computer' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l connections -d 'Peers that are let in at once, and sources of UDP datagrams of each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l allow -d 'Let this key in; may be given several times' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l listen -d 'Be the end that others reach'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l udp -d 'Carry UDP in place of TCP; both ends have to agree'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l allow-anyone -d 'Let everyone in who knows your key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand tunnel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand whoami" -s h -l help -d 'Print help'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand completions" -s h -l help -d 'Print help'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l identity -d 'File that holds your key pair, made at the first use [default: a new key pair for each run]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l relay -d 'Blind relay to meet the other side at until a direct path is found' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l timeout -d 'How long joining the network, a query and a connection attempt may take, each' -r
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l json -d 'Print a JSON object on each line; pipe prints them on standard error'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c hyperdht -n "__fish_hyperdht_using_subcommand man" -s h -l help -d 'Print help'
