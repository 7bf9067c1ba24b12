# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_profile_server_global_optspecs
    string join \n bootstrap= local= data-dir= store= store-connections= bind= relay= registration= lookup= allow-list= writes-per-minute= registrations-per-hour= lookups-per-minute= connections= refusals-per-minute= backup-dir= backup-every= backup-keep= web= web-public web-host= json v/verbose q/quiet allow-core-dumps no-strict-modes config= h/help V/version
end

function __fish_profile_server_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_profile_server_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_profile_server_using_subcommand
    set -l cmd (__fish_profile_server_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c profile-server -n "__fish_profile_server_needs_command" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_needs_command" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_needs_command" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l bind -d 'Address of the socket [default: any address and port; 127.0.0.1 in a network on this computer]' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l relay -d 'Blind relay at which clients may meet this server until a direct path is found' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l registration -d 'Whether new clients may register; allow-list is for those that the command allow names' -r -f -a "open\t''
closed\t''
allow-list\t''"
complete -c profile-server -n "__fish_profile_server_needs_command" -l lookup -d 'Whether clients may read the profiles of others' -r -f -a "open\t''
closed\t''
allow-list\t''"
complete -c profile-server -n "__fish_profile_server_needs_command" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_needs_command" -l writes-per-minute -d 'Stored writes a minute and key' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l registrations-per-hour -d 'Registrations an hour and network (public IPv4 /24)' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l lookups-per-minute -d 'Lookups a minute and key' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l connections -d 'Open connections of all clients' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l refusals-per-minute -d 'Refused requests a minute and key' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_needs_command" -l backup-every -d 'Time between two backups' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l backup-keep -d 'Backups to keep in the folder; older ones of this server are removed' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l web -d 'Serve a page with the state of this program at http://IP:PORT/, and numbers for Prometheus at /metrics; anyone who reaches the address can read it' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l web-host -d 'Name under which browsers may ask for the page, beside localhost and IP addresses; may be repeated' -r
complete -c profile-server -n "__fish_profile_server_needs_command" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_needs_command" -l web-public -d 'Let --web name an address that other hosts reach'
complete -c profile-server -n "__fish_profile_server_needs_command" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_needs_command" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_needs_command" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_needs_command" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_needs_command" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-server -n "__fish_profile_server_needs_command" -s V -l version -d 'Print version'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "key" -d 'Print the server\'s public key, which is made if there is none yet'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "backup" -d 'Write all profiles to a file, also while the server runs'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "restore" -d 'Take profiles over from a backup; the server has to be stopped, unless they are in a database'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "move-store" -d 'Carry all profiles from one place to another, as --store names them; the server has to be stopped'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "check" -d 'Compare the profiles with what was acknowledged, and with a backup; changes nothing'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "config" -d 'Print the options in force as a configuration file, and where each comes from'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "list" -d 'List what is stored for each key: key, version, time of the last change, name'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "show" -d 'Show the profile of a key'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "delete" -d 'Remove the profile of a key; its owner may register again'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "ban" -d 'Refuse connections of a key or a network, and end those that are open'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "unban" -d 'Lift a ban'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "banned" -d 'List who is banned'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "allow" -d 'Let a key register where --registration is allow-list'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "disallow" -d 'Take a key from the list of those that may register; its profile stays'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "allowed" -d 'List the keys that may register'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "stats" -d 'Print numbers: keys, connections, lists'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "connections" -d 'List the open connections of a server that runs'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "disconnect" -d 'End the open connections of a key, which may connect again'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "reload" -d 'Make a server that runs read its configuration and its lists again, as SIGHUP does'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "completions" -d 'Print completions of commands and options for a shell'
complete -c profile-server -n "__fish_profile_server_needs_command" -f -a "man" -d 'Print the page of the manual, for man -l -'
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand key" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand backup" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l only-backup -d 'Take nothing over from damaged profiles'
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand move-store" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand check" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand config" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l since -d 'Only what was changed since then: 2026-01-31, 2026-01-31T12:00:00Z, or 2h for two hours ago' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l limit -d 'Stop after so many' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l after -d 'Begin behind this key' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand list" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand show" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -s y -l yes -d 'Do not ask'
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand delete" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l reason -d 'Why, for people who read the list' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand ban" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand unban" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand banned" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l reason -d 'Why, for people who read the list' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand allow" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand disallow" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand allowed" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand stats" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand connections" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand disconnect" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand reload" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand completions" -s h -l help -d 'Print help'
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l bootstrap -d 'Join through these DHT nodes instead of the public ones [env: HYPERDHT_BOOTSTRAP]' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l local -d 'Use a private DHT on this computer; the server starts it if there is none' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l data-dir -d 'Folder of the server\'s identity and its profiles [default: $XDG_DATA_HOME/profile-server]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l store -d 'Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l store-connections -d 'Connections to the database that --store names' -r
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l allow-list -d 'File of the keys on the allow-list [default: allowed in --data-dir]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l backup-dir -d 'Write a backup into this folder from time to time' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l config -d 'Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first [default: config.toml in $XDG_CONFIG_HOME and the folder of the program\'s name]' -r -F
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l json -d 'Print JSON, one object per event'
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -s v -l verbose -d 'Log more: -v causes of failures, -vv each step of the protocol, -vvv each packet; RUST_LOG selects by module'
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -s q -l quiet -d 'Print nothing but the key and failures'
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l allow-core-dumps -d 'Let debuggers and core dumps see this program, and with it the secret key'
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -l no-strict-modes -d 'Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link to such a file'
complete -c profile-server -n "__fish_profile_server_using_subcommand man" -s h -l help -d 'Print help'
