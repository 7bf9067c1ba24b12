//! What a program writes about its own options: completions for shells, and a page of the manual.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;

/// Adds the commands that print them.
pub(super) fn with_pages(command: Command) -> Command {
    let shell = Arg::new("shell").value_name("SHELL").value_parser(value_parser!(Shell)).required(true);
    let completions = Command::new("completions")
        .about("Print completions of commands and options for a shell")
        .arg(shell.help("Which shell"));
    let man = Command::new("man").about("Print the page of the manual, for man -l -");
    command.subcommand(completions).subcommand(man)
}

/// Returns what one of these commands prints; `None` if another command was typed.
pub(super) fn asked_for(command: &Command, typed: &ArgMatches) -> Option<Vec<u8>> {
    let (name, typed) = typed.subcommand()?;
    match name {
        "completions" => {
            let shell = typed.get_one::<Shell>("shell")?;
            let mut printed = Vec::new();
            let program = command.get_name().to_owned();
            let mut command = command.clone().disable_help_subcommand(true);
            clap_complete::generate(*shell, &mut command, &program, &mut printed);
            if *shell == Shell::Bash {
                // It writes a program with a hyphen in two forms, and finds no command (clap issue 6421).
                let [wrong, right] = ["__subcmd__", "__"].map(|hyphen| program.replace('-', hyphen));
                let text = String::from_utf8(printed).expect("completions are text");
                printed = text.replace(&wrong, &right).into_bytes();
            }
            Some(printed)
        }
        "man" => Some(man(command.clone())),
        _ => None,
    }
}

/// Returns one page with all commands: a person searches in it, and the common options are there once.
fn man(command: Command) -> Vec<u8> {
    let mut command = command.disable_help_subcommand(true).subcommand_value_name("COMMAND");
    command.build();
    let exit_codes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let page = Man::new(command.clone());
    let mut text = part(|into| page.render_title(into));
    text += &part(|into| page.render_name_section(into));
    text += &part(|into| page.render_synopsis_section(into));
    text += &part(|into| page.render_description_section(into));
    text += &part(|into| page.render_options_section(into));
    if command.has_subcommands() {
        text += ".SH COMMANDS\n";
    }
    for subcommand in command.get_subcommands() {
        text += &commands(subcommand, subcommand.get_name());
    }
    text += ".SH EXIT CODES\n.nf\n";
    for line in exit_codes.lines().skip(1) {
        text += &format!("{}\n", line.trim());
    }
    text += ".fi\n";
    text += &part(|into| page.render_version_section(into));
    // Not every reader of such pages takes UTF-8.
    let ascii = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\[u{:04X}]", u32::from(c)) };
    text.chars().map(ascii).collect::<String>().into_bytes()
}

/// Returns the part of a command, and those of the commands that it has.
fn commands(command: &Command, name: &str) -> String {
    let own = command.clone().mut_args(|arg| {
        let is_common = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(is_common)
    });
    let has_options = own.get_arguments().any(|arg| !arg.is_hide_set());
    let page = Man::new(own);
    let mut text = format!(".SS {name}\n");
    text += &untitled(&part(|into| page.render_synopsis_section(into)));
    text += ".PP\n";
    text += &untitled(&part(|into| page.render_description_section(into)));
    if has_options {
        text += &untitled(&part(|into| page.render_options_section(into)));
    }
    for subcommand in command.get_subcommands() {
        text += &commands(subcommand, &format!("{name} {}", subcommand.get_name()));
    }
    text
}

fn part(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    render(&mut text).expect("memory takes all that is written");
    String::from_utf8(text).expect("help texts are text")
}

/// Leaves out the heading of a section, and the definitions before it.
fn untitled(section: &str) -> String {
    let after = section.split_once("\n.SH ").map_or(section, |(_, after)| after);
    after.split_once('\n').map_or(String::new(), |(_, text)| text.to_owned())
}
