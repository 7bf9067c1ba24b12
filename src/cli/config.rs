//! Arguments from a configuration file: TOML whose keys are the long names of a program's options.
//!
//! An entry of the file becomes an argument before those that were typed, so that clap reads both by the same
//! rules. It gives way to a typed argument and to an environment variable that say the same, or that exclude
//! it.

use std::any::TypeId;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Parser};
use etcetera::BaseStrategy as _;
use serde_json::json;
use toml::de::DeValue;

use super::database::{is_url, without_password};
use super::exit::{Exit, Failure};
use super::files;
use super::foreign::is_hidden;
use super::network::BOOTSTRAP_VARIABLE;
use super::output::Output;
use super::pages::{self, with_pages};
use super::server::STORE_VARIABLE;
use super::toml_file::TomlFile;

/// The argument that names the file.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct ConfigArgs {
    /// Read options from this TOML file, such as timeout = "10s" for --timeout 10s; typed options come first
    /// [default: config.toml in $XDG_CONFIG_HOME and the folder of the program's name]
    #[arg(long, value_name = "FILE", value_parser = files::argument(), global = true)]
    #[allow(dead_code, reason = "read before the other arguments are")]
    config: Option<PathBuf>,
}

/// The arguments of a program, and where each comes from.
#[derive(Debug)]
pub(super) struct Effective<A> {
    pub(super) arguments: A,
    command: Command,
    matches: ArgMatches,
    entries: Vec<Entry>,
}

/// An option with its values; none if it is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The long name.
    pub(super) name: String,
    pub(super) values: Vec<String>,
    pub(super) source: Source,
}

/// Where a value comes from; the first of these that has one decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Argument,
    Environment(&'static str),
    File { path: PathBuf, line: usize },
    Default,
}

/// Why the arguments of a program are not used.
#[derive(Debug)]
pub(super) enum Refused {
    /// The error of a typed argument, or help that was asked for.
    Typed(Box<clap::Error>),
    /// A page about the options was asked for.
    Page(Vec<u8>),
    /// The error of the file.
    File { failure: Box<Failure>, json: bool },
}

/// Reads the arguments of a program: typed ones, then the environment, then the configuration file.
pub(super) fn load<A: Parser>(typed: &[OsString]) -> Result<Effective<A>, Refused> {
    let command = with_pages(A::command());
    // Their errors are found when all arguments are read: what is missing may be in the file.
    let first = command.clone().ignore_errors(true).try_get_matches_from(typed)?;
    if let Some(page) = pages::asked_for(&command, &first) {
        return Err(Refused::Page(page));
    }
    let json = matches!(first.try_get_one::<bool>("json"), Ok(Some(true)));
    let in_file = |failure: Failure| Refused::File { failure: failure.into(), json };
    let file = named_file(&command, &first).map_err(in_file)?;
    let mut entries = match &file {
        Some(file) => read(&command, file).map_err(in_file)?,
        None => Vec::new(),
    };
    let given: Vec<&Arg> = command.get_arguments().filter(|arg| given(arg, &first).is_some()).collect();
    entries.retain(|entry| {
        let arg = entry.arg(&command);
        !given.iter().any(|given| given.get_id() == arg.get_id() || exclude(&command, given, arg))
    });
    if let Some(file) = &file {
        check_together(&command, &entries, file).map_err(in_file)?;
    }
    let split = typed.len().min(1);
    let (program, typed) = typed.split_at(split);
    let from_file = entries.iter().flat_map(|entry| &entry.arguments);
    let all = program.iter().chain(from_file).chain(typed);
    let matches = command.clone().try_get_matches_from(all).map_err(|error| match &file {
        Some(file) => needs_another(&command, &entries, file, &error).map_or_else(|| error.into(), in_file),
        None => error.into(),
    })?;
    let arguments = A::from_arg_matches(&matches).map_err(|error| error.format(&mut command.clone()))?;
    Ok(Effective { arguments, command, matches, entries })
}

impl<A> Effective<A> {
    /// Returns all options of the program, without passwords, and where their values come from.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        for arg in self.command.get_arguments().filter(|arg| !NEVER.contains(&name(arg))) {
            let id = arg.get_id().as_str();
            let values = match arg.get_action() {
                ArgAction::Count => vec![self.matches.get_count(id).to_string()],
                _ => {
                    let values = self.matches.get_raw(id).into_iter().flatten();
                    values.map(|value| without_password(&value.to_string_lossy()).into_owned()).collect()
                }
            };
            let mut setting = Setting { name: name(arg).to_owned(), values, source: Source::Default };
            if let Some(entry) = self.entries.iter().find(|entry| entry.id == id) {
                setting.source = Source::File { path: entry.path.clone(), line: entry.line };
            } else if let Some(source) = given(arg, &self.matches)
                && (source == Source::Argument || !self.is_excluded(arg))
            {
                if let Source::Environment(variable) = source {
                    setting.values = match arg.get_action() {
                        ArgAction::Append => environment(variable),
                        _ => vec![without_password(&environment(variable).join(",")).into_owned()],
                    };
                }
                setting.source = source;
            }
            settings.push(setting);
        }
        settings
    }

    /// Returns whether a typed option excludes another one.
    fn is_excluded(&self, arg: &Arg) -> bool {
        self.command.get_arguments().any(|typed| {
            given(typed, &self.matches) == Some(Source::Argument) && exclude(&self.command, typed, arg)
        })
    }
}

impl<A> Effective<A> {
    /// Prints all options as a file that sets the same, and where each value comes from.
    pub(super) fn print(&self, output: &Output) {
        for setting in self.settings() {
            let Setting { name, values, source } = &setting;
            let from = match source {
                Source::Argument => json!({"kind": "argument"}),
                Source::Environment(name) => json!({"kind": "environment", "name": name}),
                Source::File { path, line } => json!({"kind": "file", "file": path, "line": line}),
                Source::Default => json!({"kind": "default"}),
            };
            output.json(&json!({"option": name, "values": values, "source": from}));
            output.line(&match self.as_toml(&setting) {
                Some(value) => format!("{name} = {value}  # {source}"),
                None => format!("# {name} is not set"),
            });
        }
    }

    /// Returns the value of a setting in TOML; `None` if it has none.
    fn as_toml(&self, setting: &Setting) -> Option<String> {
        let arg = self.command.get_arguments().find(|arg| name(arg) == setting.name)?;
        let value = |value: &String| match value.parse::<i64>() {
            Ok(number) if number.to_string() == *value => value.clone(),
            _ if !is_path(arg.get_value_parser()) || is_url(value) => quoted(value),
            // Seen from the folder of whatever file this becomes.
            _ => quoted(
                &std::path::absolute(value).map_or_else(|_| value.clone(), |path| path.display().to_string()),
            ),
        };
        match arg.get_action() {
            ArgAction::SetTrue => setting.values.first().cloned(),
            ArgAction::Append if !setting.values.is_empty() => {
                Some(format!("[{}]", setting.values.iter().map(value).collect::<Vec<_>>().join(", ")))
            }
            _ => setting.values.first().map(value),
        }
    }
}

/// Writes a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_hidden(c) => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => write!(f, "argument"),
            Self::Environment(variable) => write!(f, "environment: {variable}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => write!(f, "default"),
        }
    }
}

/// An entry of the file, as arguments.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    line: usize,
    id: String,
    arguments: Vec<OsString>,
}

impl Entry {
    fn arg<'a>(&self, command: &'a Command) -> &'a Arg {
        let mut arguments = command.get_arguments();
        arguments.find(|arg| arg.get_id() == self.id.as_str()).expect("entries are made from arguments")
    }
}

/// Returns the file that is named, or the one in its usual place if there is one.
fn named_file(command: &Command, typed: &ArgMatches) -> Result<Option<TomlFile>, Failure> {
    match typed.get_one::<PathBuf>("config") {
        // The usual name of a file without anything in it.
        Some(path) if path == Path::new("/dev/null") => Ok(None),
        Some(path) => match TomlFile::read(path)? {
            None => Err(Failure::new(Exit::Usage, format!("there is no file {}", path.display()))),
            file => Ok(file),
        },
        // Without a home there is no such place.
        None => match folder(command.get_name()) {
            Some(folder) => TomlFile::read(&folder.join("config.toml")),
            None => Ok(None),
        },
    }
}

/// Returns the folder of a program's configuration; `None` where there is no home folder.
pub(super) fn folder(program: &str) -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.config_dir().join(program))
}

/// Reads the entries of a file, each judged by itself.
fn read(command: &Command, file: &TomlFile) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for (key, value) in &file.table()? {
        let line = file.line(key.span().start);
        let Some(arg) = command.get_arguments().find(|arg| name(arg) == key.get_ref()) else {
            return Err(unknown(command, file, line, key.get_ref()));
        };
        if NEVER.contains(&name(arg)) {
            return Err(file.wrong_line(line, &format!("{key} cannot be set in a file", key = key.get_ref())));
        }
        let at = file.line(value.span().start);
        let wrong = |what: String| file.wrong_line(at, &format!("{}: {what}", key.get_ref()));
        let arguments = as_arguments(arg, value.get_ref(), &file.path).map_err(wrong)?;
        // Read alone, so that an error is this entry's.
        let alone = probe(command, &arguments);
        if let Err(error) = alone
            && error.kind() != ErrorKind::MissingRequiredArgument
        {
            return Err(wrong(reason(&error)));
        }
        entries.push(Entry { path: file.path.clone(), line, id: arg.get_id().to_string(), arguments });
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

/// Reads arguments by themselves, without a command.
fn probe(command: &Command, arguments: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let command = command.clone().subcommand_required(false).arg_required_else_help(false);
    let program = OsString::from(command.get_name());
    command.try_get_matches_from([&program].into_iter().chain(arguments))
}

/// Returns the failure of a key that is no option of the program.
fn unknown(command: &Command, file: &TomlFile, line: usize, key: &str) -> Failure {
    if let Some(name) = owner(command, key) {
        let what = format!("{key} is an option of the command {name}, which a file cannot set");
        return file.wrong_line(line, &what);
    }
    let program = command.get_name();
    let names = command.get_arguments().map(name).filter(|name| !NEVER.contains(name));
    let near = names.map(|name| (strsim::jaro_winkler(name, &key.replace('_', "-")), name));
    let nearest = near.filter(|(near, _)| *near > NEAR).max_by(|one, other| one.0.total_cmp(&other.0));
    file.wrong_line(line, &format!("{key} is no option of {program}")).hint(match nearest {
        Some((_, name)) => format!("is {name} meant?"),
        None => format!("the keys are the long options that {program} --help lists"),
    })
}

/// Returns the command that has an option of its own.
fn owner(command: &Command, option: &str) -> Option<String> {
    command.get_subcommands().find_map(|subcommand| {
        let own = subcommand.get_arguments().any(|arg| name(arg) == option);
        if own { Some(subcommand.get_name().to_owned()) } else { owner(subcommand, option) }
    })
}

/// Writes an entry as the arguments that say the same.
fn as_arguments(arg: &Arg, value: &DeValue<'_>, file: &Path) -> Result<Vec<OsString>, String> {
    let flag = OsString::from(format!("--{}", name(arg)));
    let may_be_bare = arg.get_num_args().is_some_and(|number| number.min_values() == 0);
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(set)) => Ok(vec![flag; usize::from(*set)]),
        (ArgAction::SetTrue, _) => Err("expected true or false".into()),
        (ArgAction::Count, _) => match integer(value).map(u8::try_from) {
            Some(Ok(times)) => Ok(vec![flag; times.into()]),
            _ => Err("expected a number from 0 to 255".into()),
        },
        (_, DeValue::Boolean(set)) if may_be_bare => Ok(vec![flag; usize::from(*set)]),
        (ArgAction::Append, DeValue::Array(values)) => {
            values.iter().map(|value| with_value(&flag, arg, value.get_ref(), file)).collect()
        }
        _ => Ok(vec![with_value(&flag, arg, value, file)?]),
    }
}

fn with_value(flag: &OsString, arg: &Arg, value: &DeValue<'_>, file: &Path) -> Result<OsString, String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        value => match integer(value) {
            Some(number) => number.to_string(),
            None => {
                return Err(format!(
                    "expected a text or a number, found a value of type {}",
                    value.type_str()
                ));
            }
        },
    };
    let mut argument = flag.clone();
    argument.push("=");
    match is_path(arg.get_value_parser()) {
        true if !is_url(&text) => argument.push(located(&text, file)),
        _ => argument.push(text),
    }
    Ok(argument)
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn is_path(parser: &ValueParser) -> bool {
    parser.type_id() == TypeId::of::<PathBuf>()
}

/// Returns the place that a file names: seen from its folder, wherever the program starts, or from the home
/// of the user.
fn located(text: &str, file: &Path) -> PathBuf {
    if let (Some(rest), Ok(home)) = (text.strip_prefix("~/"), etcetera::home_dir()) {
        return home.join(rest);
    }
    file.parent().map_or_else(|| text.into(), |folder| folder.join(text))
}

/// Fails if two entries exclude each other.
fn check_together(command: &Command, entries: &[Entry], file: &TomlFile) -> Result<(), Failure> {
    for (number, entry) in entries.iter().enumerate() {
        let excluded = |other: &&Entry| {
            let is_set = !entry.arguments.is_empty() && !other.arguments.is_empty();
            is_set && exclude(command, entry.arg(command), other.arg(command))
        };
        if let Some(other) = entries[..number].iter().find(excluded) {
            let [one, two] = [entry, other].map(|entry| name(entry.arg(command)));
            let what = format!("{one} cannot be used together with {two} in line {}", other.line);
            return Err(file.wrong_line(entry.line, &what));
        }
    }
    Ok(())
}

/// Returns the failure of an entry that needs another option, if that is why the arguments were refused.
fn needs_another(
    command: &Command,
    entries: &[Entry],
    file: &TomlFile,
    error: &clap::Error,
) -> Option<Failure> {
    let missing = missing(error)?;
    entries.iter().find_map(|entry| {
        let own = self::missing(&probe(command, &entry.arguments).err()?)?;
        let needed = own.iter().find(|needed| missing.contains(needed))?;
        let needed = needed.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
        let name = name(entry.arg(command));
        Some(file.wrong_line(entry.line, &format!("{name} needs {needed} as well")))
    })
}

/// Returns the options that an error misses.
fn missing(error: &clap::Error) -> Option<Vec<String>> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) => Some(missing.clone()),
        _ => None,
    }
}

/// Returns where an option is given outside of a file.
fn given(arg: &Arg, typed: &ArgMatches) -> Option<Source> {
    if typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
        return Some(Source::Argument);
    }
    let (_, variable) = ENVIRONMENT.into_iter().find(|(option, _)| *option == name(arg))?;
    (!environment(variable).is_empty()).then_some(Source::Environment(variable))
}

/// Returns the values of an environment variable.
fn environment(variable: &str) -> Vec<String> {
    let value = std::env::var_os(variable).unwrap_or_default();
    let value = value.to_string_lossy();
    value.split(',').map(str::trim).filter(|value| !value.is_empty()).map(Into::into).collect()
}

fn exclude(command: &Command, one: &Arg, other: &Arg) -> bool {
    let excludes = |one: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|excluded| excluded.get_id() == other.get_id())
    };
    excludes(one, other) || excludes(other, one)
}

/// Returns the reason for which clap refuses a value.
fn reason(error: &clap::Error) -> String {
    use std::error::Error as _;
    match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(values))) => format!("expected one of {}", values.join(", ")),
        _ => error.kind().to_string(),
    }
}

fn name(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self::Typed(error.into())
    }
}

/// Options that a file cannot set.
const NEVER: [&str; 4] = ["", "config", "help", "version"];
/// Options with an environment variable.
const ENVIRONMENT: [(&str, &str); 2] = [("bootstrap", BOOTSTRAP_VARIABLE), ("store", STORE_VARIABLE)];
/// How alike a wrong name and a right one are, from 0 to 1, for one to be meant.
const NEAR: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::super::network::NetworkArgs;
    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "program")]
    struct Arguments {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        network: NetworkArgs,
        #[arg(long, default_value_t = 7)]
        number: u32,
        #[arg(long)]
        folder: Option<PathBuf>,
        #[arg(long)]
        flag: bool,
        #[arg(short, long, action = ArgAction::Count)]
        verbose: u8,
    }

    fn effective(content: &str, typed: &str) -> (Effective<Arguments>, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, content).unwrap();
        let typed = typed.split(' ').filter(|word| !word.is_empty()).map(OsString::from);
        let named = [OsString::from("program"), "--config".into(), file.clone().into()];
        let typed: Vec<_> = named.into_iter().chain(typed).collect();
        (load(&typed).unwrap(), file)
    }

    #[test]
    fn each_value_comes_with_its_source() {
        let content = "local = 0x9\nflag = true\n\nverbose = 2\nnumber = 1\n";
        let (effective, path) = effective(content, "--number 2");
        let Arguments { config: _, network, number, folder, flag, verbose } = &effective.arguments;
        assert_eq!((network.local, *number, *flag, *verbose, folder), (Some(9), 2, true, 2, &None));
        let line = |line| Source::File { path: path.clone(), line };
        let settings = effective.settings();
        let shown: Vec<_> =
            settings.iter().map(|s| (s.name.as_str(), s.values.join(" "), s.source.clone())).collect();
        assert_eq!(
            shown,
            [
                ("bootstrap", String::new(), Source::Default),
                ("local", "9".into(), line(1)),
                ("number", "2".into(), Source::Argument),
                ("folder", String::new(), Source::Default),
                ("flag", "true".into(), line(2)),
                ("verbose", "2".into(), line(4)),
            ]
        );
    }

    #[test]
    fn false_and_an_empty_list_set_nothing() {
        let (effective, path) = effective("local = false\nbootstrap = []\nflag = false\n", "");
        assert_eq!((effective.arguments.network.local, effective.arguments.flag), (None, false));
        let flag = effective.settings().into_iter().find(|setting| setting.name == "flag").unwrap();
        assert_eq!((flag.values, flag.source), (vec!["false".to_owned()], Source::File { path, line: 3 }));
    }

    #[test]
    fn places_are_seen_from_the_folder_of_the_file_or_from_home() {
        let (effective, path) = self::effective("folder = \"data\"", "");
        assert_eq!(effective.arguments.folder, Some(path.with_file_name("data")));
        let (effective, _) = self::effective("folder = \"/data\"", "");
        assert_eq!(effective.arguments.folder, Some("/data".into()));
        let (effective, _) = self::effective("folder = \"~/data\"", "");
        assert_eq!(effective.arguments.folder, Some(etcetera::home_dir().unwrap().join("data")));
    }
}
