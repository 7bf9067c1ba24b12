//! The arguments.

use crate::support::Result;

/// What to measure.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) command: String,
    pub(crate) store: String,
    pub(crate) clients: usize,
    /// Keys of each client.
    pub(crate) keys: usize,
    pub(crate) writes: usize,
    pub(crate) profiles: usize,
    /// The length of a profile's text.
    pub(crate) bytes: usize,
    pub(crate) count: usize,
    pub(crate) threads: usize,
    /// Sessions with a database.
    pub(crate) connections: usize,
    pub(crate) port: u16,
    pub(crate) microseconds: u64,
    /// Where the server that this program starts finds the DHT.
    pub(crate) bootstrap: String,
}

impl Options {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let words: Vec<_> = words.collect();
        let [command, store, rest @ ..] = words.as_slice() else {
            return Err(
                "usage: scale writes|fill|open|registrations|greetings|lookups|delay STORE [options]".into(),
            );
        };
        let mut options = Self {
            command: command.clone(),
            store: store.clone(),
            clients: 64,
            keys: 300,
            writes: 50_000,
            profiles: 1_000_000,
            bytes: 300,
            count: 20_000,
            threads: 1,
            connections: 64,
            port: 5555,
            microseconds: 500,
            bootstrap: String::new(),
        };
        for pair in rest.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} needs a value", pair[0]).into());
            };
            match name.as_str() {
                "--clients" => options.clients = value.parse()?,
                "--keys" => options.keys = value.parse()?,
                "--writes" => options.writes = value.parse()?,
                "--profiles" => options.profiles = value.parse()?,
                "--bytes" => options.bytes = value.parse()?,
                "--count" => options.count = value.parse()?,
                "--threads" => options.threads = value.parse()?,
                "--connections" => options.connections = value.parse()?,
                "--port" => options.port = value.parse()?,
                "--microseconds" => options.microseconds = value.parse()?,
                "--bootstrap" => options.bootstrap.clone_from(value),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(options)
    }

    /// Returns whether the store is a database.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_database(&self) -> bool {
        self.store.starts_with("postgres")
    }

    #[cfg(feature = "postgres")]
    pub(crate) async fn database(&self) -> Result<hyperprofile::profile::PostgresStore> {
        Ok(hyperprofile::profile::PostgresStore::connect(&self.store.parse()?, self.connections).await?)
    }
}
