//! Servers with a name: the file `servers.toml` beside the configuration file, and the commands that change
//! it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Deref;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};
use toml::de::DeValue;

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::super::toml_file::{self, TomlFile};
use super::super::{config, files};
use crate::ConnectAddress;

/// What to do with the names of servers; without a command, list them.
#[derive(Debug, Subcommand)]
pub(super) enum ServersCommand {
    /// Give a server a name; the first one becomes the default
    Add {
        /// Letters, digits, -, _ and .
        #[arg(value_name = "NAME", value_parser = name)]
        name: String,

        /// The server's public key, with nodes that know it if you have them: KEY@IP:PORT,IP:PORT
        #[arg(value_name = "KEY")]
        address: ConnectAddress,
    },
    /// Print the names and keys, the default one marked
    List,
    /// Forget a name; the profile at the server stays
    Remove {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Choose the server that is used where --server names none
    Default {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// The server of a visit.
#[derive(Clone, Debug)]
pub(super) struct Server {
    name: Option<String>,
    address: ConnectAddress,
    /// Whether it need not be typed.
    pub(super) is_default: bool,
}

impl Server {
    /// Reads a name, a key, or a key with addresses.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let no_key = match text.parse::<ConnectAddress>() {
            Ok(address) => {
                // The name is only shown: the key is enough where the file cannot be read.
                let name = Servers::read().ok().and_then(|servers| servers.name_of(&address));
                return Ok(Self { name, address, is_default: false });
            }
            Err(error) => error,
        };
        let servers = Servers::read().map_err(|failure| failure.error.to_string())?;
        let named = servers.named.get(text).cloned();
        let address = named.ok_or_else(|| {
            format!("no name that `profile-client servers` lists, and no key either: {no_key}")
        })?;
        Ok(Self { name: Some(text.to_owned()), address, is_default: false })
    }

    /// Returns the server that is used where none is named.
    pub(super) fn default() -> Result<Option<Self>, Failure> {
        let Servers { default, mut named, .. } = Servers::read()?;
        Ok(default.and_then(|name| {
            let address = named.remove(&name)?;
            Some(Self { name: Some(name), address, is_default: true })
        }))
    }

    /// Returns the command that gives the server a name, unless it has one.
    pub(super) fn naming(&self) -> Option<String> {
        self.name.is_none().then(|| format!("profile-client servers add NAME {}", self.address))
    }
}

impl Deref for Server {
    type Target = ConnectAddress;

    fn deref(&self) -> &ConnectAddress {
        &self.address
    }
}

/// As `--server` takes it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => self.address.fmt(f),
        }
    }
}

/// Reads the name of a server.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(is_plain) || text.starts_with('-') {
        return Err(format!(
            "a name has 1 to {MAX_NAME} letters, digits, -, _ and ., and does not begin with -"
        ));
    }
    match text.parse::<ConnectAddress>() {
        Ok(_) => Err("this is a key, and no name".into()),
        Err(_) => Ok(text.to_owned()),
    }
}

/// Runs `servers`.
pub(super) fn run(command: &ServersCommand, output: &Output) -> Result<(), Failure> {
    if let ServersCommand::List = command {
        Servers::read()?.print(output);
        return output.delivered();
    }
    // Held until the file is written: another program that changes it waits.
    let (_lock, mut servers) = Servers::lock()?;
    match command {
        ServersCommand::List => {}
        ServersCommand::Add { name, address } => servers.add(name, address, output)?,
        ServersCommand::Remove { name } => {
            servers.known(name)?;
            servers.named.remove(name);
            if servers.default.as_ref() == Some(name) {
                servers.default = None;
                output.note("no server is the default now; choose one: profile-client servers default NAME");
            }
        }
        ServersCommand::Default { name } => {
            servers.known(name)?;
            servers.default = Some(name.clone());
        }
    }
    servers.write()?;
    servers.print(output);
    Ok(())
}

/// Returns what is wrong where no server is named.
pub(super) fn needed() -> Result<String, Failure> {
    Ok(match Servers::read()?.named.is_empty() {
        true => "a server is needed: --server KEY, the key that profile-server prints; give it a name with \
                 `profile-client servers add NAME KEY`, and --server may be left out"
            .into(),
        false => {
            "a server is needed: --server NAME, one that `profile-client servers` lists; choose the one \
                  to use otherwise with `profile-client servers default NAME`"
                .into()
        }
    })
}

/// The content of the file.
#[derive(Debug, Default)]
struct Servers {
    path: PathBuf,
    default: Option<String>,
    named: BTreeMap<String, ConnectAddress>,
}

impl Servers {
    /// Reads the file; one that is missing names no server.
    fn read() -> Result<Self, Failure> {
        let Some(folder) = config::folder("profile-client") else { return Ok(Self::default()) };
        let path = folder.join("servers.toml");
        match TomlFile::read(&path)? {
            Some(file) => Self::parse(&file),
            None => Ok(Self { path, ..Self::default() }),
        }
    }

    fn parse(file: &TomlFile) -> Result<Self, Failure> {
        let mut servers = Self { path: file.path.clone(), ..Self::default() };
        let mut default_line = 0;
        for (key, value) in &file.table()? {
            let at = value.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("default", DeValue::String(name)) => {
                    servers.default = Some(name.to_string());
                    default_line = file.line(at);
                }
                ("servers", DeValue::Table(named)) => {
                    for (key, value) in named {
                        let name =
                            name(key.get_ref()).map_err(|error| file.wrong(key.span().start, &error))?;
                        let address = match value.get_ref() {
                            DeValue::String(text) => text.parse().map_err(|error| format!("{name}: {error}")),
                            _ => Err(format!("{name}: expected a key in quotation marks")),
                        };
                        let address = address.map_err(|error| file.wrong(value.span().start, &error))?;
                        servers.named.insert(name, address);
                    }
                }
                _ => {
                    let what = "expected default = \"NAME\", or [servers] with lines like NAME = \"KEY\"";
                    return Err(file.wrong(key.span().start, what));
                }
            }
        }
        match &servers.default {
            Some(name) if !servers.named.contains_key(name) => {
                Err(file.wrong_line(default_line, &format!("no server is named {name}")))
            }
            _ => Ok(servers),
        }
    }

    /// Reads the file while others that change it wait.
    fn lock() -> Result<(File, Self), Failure> {
        let Some(folder) = config::folder("profile-client") else {
            let what = "there is no home folder to keep names of servers in";
            return Err(Failure::new(Exit::Usage, what).hint("set HOME or XDG_CONFIG_HOME"));
        };
        let path = folder.join("servers.lock");
        let locked = fs::create_dir_all(&folder).and_then(|()| {
            let file = files::open(&path, File::options().write(true).create(true))?;
            files::lock(&file, &path)?;
            Ok(file)
        });
        let lock = locked.map_err(|error| {
            let what = format!("cannot lock {}", path.display());
            Failure::from_error(Exit::Internal, anyhow::Error::from(error).context(what))
        })?;
        Ok((lock, Self::read()?))
    }

    fn write(&self) -> Result<(), Failure> {
        let mut text = "# Written by `profile-client servers`, which keeps no other comments.\n".to_owned();
        if let Some(default) = &self.default {
            text.push_str(&format!("default = \"{default}\"\n"));
        }
        text.push_str("\n[servers]\n");
        for (name, address) in &self.named {
            // Names and addresses hold nothing that has to be escaped.
            text.push_str(&format!("\"{name}\" = \"{address}\"\n"));
        }
        if text.len() as u64 > toml_file::MAX_BYTES {
            let what = format!("{} would have more than {} bytes", self.path.display(), toml_file::MAX_BYTES);
            return Err(Failure::new(Exit::Usage, what).hint("remove a server first"));
        }
        let aside = self.path.with_extension("toml.next");
        files::replace(&self.path, &aside, |file| file.write_all(text.as_bytes())).map_err(|error| {
            let what = format!("cannot write {}", self.path.display());
            Failure::from_error(Exit::Internal, anyhow::Error::from(error).context(what))
        })
    }

    fn add(&mut self, name: &str, address: &ConnectAddress, output: &Output) -> Result<(), Failure> {
        match self.named.get(name) {
            Some(known) if known != address => {
                let what = format!("{name} is the name of {known} already");
                let hint = format!("choose another name, or: profile-client servers remove {name}");
                return Err(Failure::new(Exit::Usage, what).hint(hint));
            }
            _ => self.named.insert(name.to_owned(), address.clone()),
        };
        if self.named.len() == 1 {
            self.default = Some(name.to_owned());
            output.note(&format!("{name} is the default: it is used where --server names no other"));
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Result<(), Failure> {
        match self.named.contains_key(name) {
            true => Ok(()),
            false => Err(Failure::new(Exit::Usage, format!("no server is named {name}"))
                .hint("profile-client servers lists the names")),
        }
    }

    fn name_of(&self, address: &ConnectAddress) -> Option<String> {
        self.named.iter().find_map(|(name, known)| (known == address).then(|| name.clone()))
    }

    fn print(&self, output: &Output) {
        let width = self.named.keys().map(String::len).max().unwrap_or(0);
        for (name, address) in &self.named {
            let mark = if self.default.as_ref() == Some(name) { '*' } else { ' ' };
            output.line(&format!("{mark} {name:width$}  {address}"));
        }
        if self.named.is_empty() {
            output.note("no server has a name; give one to a server: profile-client servers add NAME KEY");
        }
        let servers = self.named.iter().map(|(name, address)| -> Value {
            json!({
                "name": name,
                "public_key": address.public_key(),
                "connect_address": address.to_string(),
                "default": self.default.as_ref() == Some(name),
            })
        });
        output.json(&json!({"servers": servers.collect::<Vec<_>>()}));
    }
}

/// Most characters of a name.
const MAX_NAME: usize = 64;
