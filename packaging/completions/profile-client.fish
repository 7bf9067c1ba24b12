# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_profile_client_global_optspecs
    string join \n server= identity= bootstrap= local= server-addr= relay= bind= passphrase-file= timeout= json explain no-input v/verbose allow-core-dumps no-strict-modes config= h/help V/version
end

function __fish_profile_client_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_profile_client_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_profile_client_using_subcommand
    set -l cmd (__fish_profile_client_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c profile-client -n "__fish_profile_client_needs_command" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_needs_command" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_needs_command" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_needs_command" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_needs_command" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_needs_command" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_needs_command" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_needs_command" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_needs_command" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_needs_command" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_needs_command" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_needs_command" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_needs_command" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_needs_command" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_needs_command" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_needs_command" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-client -n "__fish_profile_client_needs_command" -s V -l version -d 'Print version'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "register" -d 'Store a first profile'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "show" -d 'Print my profile'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "update" -d 'Change my profile; what is not named stays'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "edit" -d 'Change my profile in the editor that VISUAL or EDITOR names, or write a first one'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "delete" -d 'Remove my profile from the server'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "lookup" -d 'Print the profile of another key, its signature verified here'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "watch" -d 'Print the profiles of other keys, and each of them again whenever it changes, until Ctrl-C'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "publish" -d 'Put my profile into the DHT as well, where it is found while the server is off'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "export" -d 'Write my profile, with its signature, to a file that proves itself without a server'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "verify" -d 'Check and print an exported profile; needs no network'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "doctor" -d 'Check what works between this computer, the network and, with --server, the server, and advise on what does not'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "whoami" -d 'Print my public key and where it is kept; needs no network'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "identity" -d 'Keep my identity as words on paper, protect it with a passphrase, replace it, or make one'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "qr" -d 'Show my public key, or the server\'s ticket, as a QR code; needs no network'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "servers" -d 'Give names to servers, and choose the one that is used where --server names none; needs no network'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "demo" -d 'Show a network, a server and its clients at work inside this process; needs no server'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "completions" -d 'Print completions of commands and options for a shell'
complete -c profile-client -n "__fish_profile_client_needs_command" -f -a "man" -d 'Print the page of the manual, for man -l -'
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l name -d 'What you are called' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l bio -d 'A few sentences about you' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l link -d 'A link, http, https or mailto; may be given several times and then replaces all links' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l field -d 'Anything else; may be given several times' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l from-file -d 'Take the whole profile from a JSON file or a pipe, - for standard input' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l again -d 'Bring back my last profile, which is kept beside my identity, if the server has lost it'
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand register" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand show" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l name -d 'What you are called' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l bio -d 'A few sentences about you' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l link -d 'A link, http, https or mailto; may be given several times and then replaces all links' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l field -d 'Anything else; may be given several times' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l from-file -d 'Take the whole profile from a JSON file or a pipe, - for standard input' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l unset -d 'Remove the bio, the links, or a field' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand update" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand edit" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l yes -d 'Do not ask whether I am sure'
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l dht -d 'Look in the DHT only; no server is needed'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l no-dht -d 'Ask the server only'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand lookup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand watch" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l withdraw -d 'Take back what I have published'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l replace -d 'Replace a value of another program under my key'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand publish" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l key -d 'The profile of another key' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand export" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l key -d 'Fail unless it is of this key' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand verify" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand whoami" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -f -a "show" -d 'Print my public key and where it is kept, as whoami'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -f -a "words" -d 'Show my identity as 24 words, to write down; on a terminal only'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -f -a "restore" -d 'Make the identity file from 24 words, asked for or from a pipe'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -f -a "protect" -d 'Encrypt the identity file with a passphrase, which every command then asks for'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -f -a "unprotect" -d 'Remove the passphrase'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -f -a "rotate" -d 'Replace my identity by a new one: at the server my profile moves to the new key, and the old one, which may be in the wrong hands, can do nothing any more'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and not __fish_seen_subcommand_from show words restore protect unprotect rotate new" -f -a "new" -d 'Make a new identity where there is none'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from words" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from protect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from unprotect" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l from -d 'At a further server: the old identity, which was replaced at another one before' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l yes -d 'Do not ask whether I am sure'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand identity; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l png -d 'Write a PNG picture to this file' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand qr" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -f -a "add" -d 'Give a server a name; the first one becomes the default'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -f -a "list" -d 'Print the names and keys, the default one marked'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -f -a "remove" -d 'Forget a name; the profile at the server stays'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and not __fish_seen_subcommand_from add list remove default" -f -a "default" -d 'Choose the server that is used where --server names none'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand servers; and __fish_seen_subcommand_from default" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand demo" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand completions" -s h -l help -d 'Print help'
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l server -d 'The server: a name that `servers` lists, or its public key (52 characters, or 64 hexadecimal digits), with nodes that know it if you have them: KEY@IP:PORT,IP:PORT [default: that of `servers`]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l identity -d 'File that holds your identity [default: $XDG_DATA_HOME/profile-client/identity]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l server-addr -d 'Connect to the server at this address, or through the node there, without asking the DHT' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l relay -d 'Blind relay to meet the server at until a direct path is found' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l bind -d 'Address of the socket [default: any; 127.0.0.1 in a network on this computer]' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l passphrase-file -d 'File whose first line is the passphrase of my identity, if it has one; nobody else may read it' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l timeout -d 'How long each visit to the server may take, from the first packet to the last answer' -r
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l json -d 'Print one JSON object'
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l explain -d 'Print each step of the connection attempt'
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l no-input -d 'Never ask for anything'
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -s v -l verbose -d 'Log more: -v events and causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-client -n "__fish_profile_client_using_subcommand man" -s h -l help -d 'Print help'
