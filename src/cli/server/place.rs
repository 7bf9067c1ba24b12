//! Where the profiles of a server are: the option `--store`.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::database::{has_password, is_url, without_password};
use super::super::exit::{Exit, Failure};
use super::super::files;
use super::super::key_access::{ModesArgs, hint, quoted};
use super::super::store::ServerStore;
use super::folder;
use crate::api::KeyFileError;
use crate::api::durable::create_folder;
use crate::profile::SledStore;
#[cfg(feature = "postgres")]
use crate::profile::{PostgresStore, PostgresUrl, StoreError};

/// The options about the store.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct StoreArgs {
    /// Where the profiles are: a folder, the URL of a database such as postgres://USER@HOST/NAME, or a file
    /// with such a URL; also PROFILE_SERVER_STORE [default: profiles in --data-dir]
    #[arg(long, value_name = "STORE", value_parser = files::argument(), global = true)]
    store: Option<PathBuf>,

    /// Connections to the database that --store names
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=MAX_STORE_CONNECTIONS),
        global = true
    )]
    store_connections: u16,
}

/// The place of a store, and how a user names it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The folder of the server's data.
    pub(super) data: PathBuf,
    /// The argument that names the place; `None` if it is the usual one, or the environment names it.
    named: Option<PathBuf>,
    kind: Kind,
}

/// The kind of a place.
#[derive(Clone, Debug)]
enum Kind {
    /// A folder, which a server makes.
    Folder(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres { url: PostgresUrl, connections: usize },
}

impl StoreArgs {
    /// Returns the place of the profiles of a server with this folder of data.
    pub(super) fn place(&self, data: &Path, modes: ModesArgs) -> Result<Place, Failure> {
        let variable = std::env::var_os(STORE_VARIABLE).filter(|value| !value.is_empty());
        match (&self.store, variable) {
            (Some(named), _) => self.named(named, data, modes),
            (None, Some(named)) => {
                let kind = self.kind(&named, modes)?;
                Ok(Place { data: data.to_owned(), named: None, kind })
            }
            (None, None) => {
                let kind = Kind::Folder(folder::profiles(data));
                Ok(Place { data: data.to_owned(), named: None, kind })
            }
        }
    }

    /// Returns the place that an argument names.
    pub(super) fn named(&self, named: &Path, data: &Path, modes: ModesArgs) -> Result<Place, Failure> {
        if named.to_str().is_some_and(has_password) {
            let what = format!(
                "{} is named with a password, or with an option that may hold one: other users of this \
                 computer can read arguments",
                without_password(&named.to_string_lossy())
            );
            return Err(Failure::new(Exit::Usage, what).hint(format!(
                "write the URL into a file that only you can read, and name the file instead; or put it into \
                 the environment variable {STORE_VARIABLE}"
            )));
        }
        let kind = self.kind(named.as_os_str(), modes)?;
        // As it is found from any folder.
        let named = match named.to_str().is_some_and(is_url) {
            true => named.to_owned(),
            false => std::path::absolute(named).unwrap_or_else(|_| named.to_owned()),
        };
        Ok(Place { data: data.to_owned(), named: Some(named), kind })
    }

    fn kind(&self, named: &OsStr, modes: ModesArgs) -> Result<Kind, Failure> {
        let path = Path::new(named);
        if let Some(text) = named.to_str() {
            if is_url(text) {
                return self.database(text);
            }
            // A typing error would become a folder of that name.
            if text.contains("://") {
                let what = format!("{text} is no place for profiles");
                return Err(Failure::new(Exit::Usage, what)
                    .hint("name a folder, a URL that begins with postgres://, or a file with such a URL"));
            }
        }
        if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
            // Without what a name beside it could not be made from, as a slash at its end.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            return Ok(Kind::Folder(path.components().collect()));
        }
        let text = read(path, modes)?;
        let url = first_line(&text);
        match is_url(url) {
            true => self.database(url),
            false => {
                let what = format!("the first line of {} is no URL of a database", path.display());
                Err(Failure::new(Exit::Usage, what).hint(
                    "write a line such as postgres://USER:PASSWORD@HOST/NAME into it, or name a folder",
                ))
            }
        }
    }

    #[cfg(feature = "postgres")]
    fn database(&self, url: &str) -> Result<Kind, Failure> {
        match url.parse() {
            Ok(url) => Ok(Kind::Postgres { url, connections: self.store_connections.into() }),
            Err(error) => {
                let what = format!("{} cannot be used: {error}", without_password(url));
                Err(Failure::new(Exit::Usage, what).hint(
                    "characters of a password that a URL cannot hold are written as codes, as %40 for @",
                ))
            }
        }
    }

    #[cfg(not(feature = "postgres"))]
    fn database(&self, url: &str) -> Result<Kind, Failure> {
        let what = format!("{}: this profile-server is built without databases", without_password(url));
        Err(Failure::new(Exit::Usage, what)
            .hint("install one that has them: cargo install hyperprofile --features postgres"))
    }
}

impl Place {
    /// Names the usual place in a folder of data.
    #[cfg(test)]
    pub(super) fn usual(data: &Path) -> Self {
        Self { data: data.to_owned(), named: None, kind: Kind::Folder(folder::profiles(data)) }
    }

    /// Opens the store for a server, which makes a folder.
    pub(super) async fn open(&self) -> Result<ServerStore, Failure> {
        self.open_with(folder::open).await
    }

    /// Opens the store for a command. A folder has to be there, without a server that uses it.
    pub(super) async fn open_stopped(&self) -> Result<ServerStore, Failure> {
        if let Some(path) = self.folder().filter(|path| !path.exists()) {
            folder::refuse_interrupted(path, &self.options())?;
            return Err(self.is_empty());
        }
        self.open_with(folder::open_stopped).await
    }

    async fn open_with(
        &self,
        open: impl FnOnce(&Path, &str) -> Result<SledStore, Failure> + Send + 'static,
    ) -> Result<ServerStore, Failure> {
        match &self.kind {
            Kind::Folder(path) => {
                let (path, options) = (path.clone(), self.options());
                let opened = tokio::task::spawn_blocking(move || open(&path, &options)).await;
                Ok(opened.map_err(|error| Failure::from_error(Exit::Internal, error))??.into())
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres { url, connections } => {
                let connected = PostgresStore::connect(url, *connections).await;
                let store = connected.map_err(|error| self.unusable(error))?;
                Ok(ServerStore::database(store))
            }
        }
    }

    /// Opens the store of a folder that is being filled, or makes it.
    pub(super) async fn open_to_fill(&self) -> Result<ServerStore, Failure> {
        self.open_with(|folder, _| Ok(SledStore::open(folder)?)).await
    }

    /// Returns the place with another folder.
    pub(super) fn with_folder(&self, folder: &Path) -> Self {
        Self { kind: Kind::Folder(folder.to_owned()), ..self.clone() }
    }

    /// Keeps other servers out of the folder of the data until the file is dropped. The lock on the profiles
    /// of the usual place does so as well.
    pub(super) fn lock_data(&self) -> Result<Option<File>, Failure> {
        if self.is_usual() {
            return Ok(None);
        }
        let path = self.data.join("server.lock");
        let cannot = |error| folder::cannot("lock", &path, error);
        create_folder(&self.data).map_err(cannot)?;
        let file = files::open(&path, OpenOptions::new().write(true).create(true)).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                let what = format!("{} is locked: another server is using it", self.data.display());
                Err(Failure::new(Exit::Storage, what).hint(
                    "give this server a folder of its own with --data-dir, with a copy of the identity if it \
                     serves the same key",
                ))
            }
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }

    /// Returns whether a server that runs in the folder of the data is the one to be asked: where it has
    /// another store, its answer would not be about this one.
    pub(super) fn is_of_data(&self) -> bool {
        self.folder().is_some_and(|folder| self.is_usual() || folder::is_used(folder))
    }

    /// Returns the folder; `None` if the place is a database.
    pub(super) fn folder(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Folder(path) => Some(path),
            #[cfg(feature = "postgres")]
            Kind::Postgres { .. } => None,
        }
    }

    fn is_usual(&self) -> bool {
        self.folder().is_some_and(|folder| folder == folder::profiles(&self.data))
    }

    /// Makes the failure for a database that cannot be used.
    #[cfg(feature = "postgres")]
    fn unusable(&self, error: StoreError) -> Failure {
        let is_tls = |why: &str| why.contains("TLS") || why.contains("certificate");
        let code = |code: &str| matches!(&error, StoreError::Engine(why) if why.contains(code));
        let hint = match &error {
            StoreError::Unavailable(why) if !is_tls(why) => {
                let what = format!("cannot reach the database at {self}: {why}");
                let hint = "is it running, does it accept connections from here, and can it be written to?";
                return Failure::new(Exit::Storage, what).kind(AWAY).hint(hint);
            }
            StoreError::Unavailable(_) => Some(
                "name the certificates that sign those of the database with sslrootcert=FILE in the URL; in \
                 a network of your own, sslmode=disable turns TLS off",
            ),
            StoreError::Schema { .. } => Some("update this program to the version of the newest server"),
            _ if code("SQLSTATE 28") => {
                Some("compare user and password of the URL with the roles and pg_hba.conf of the database")
            }
            _ if code("SQLSTATE 3D") => Some("create the database, as with createdb, then try again"),
            _ if code("SQLSTATE 42501") => {
                Some("grant the role the rights that docs/operations.md lists: it makes tables of its own")
            }
            _ => None,
        };
        let what = format!("the database at {self} cannot be used: {error}");
        Failure { hint: hint.map(Into::into), ..Failure::new(Exit::Storage, what) }
    }

    /// Makes the failure for a folder without profiles.
    pub(super) fn is_empty(&self) -> Failure {
        match self.is_usual() {
            true => folder::none_in(&self.data),
            false => {
                let what = format!("there are no profiles in {self}");
                Failure::new(Exit::Storage, what).hint("name the place of the profiles with --store")
            }
        }
    }

    /// Returns the options with which a command finds this place, with a space before each.
    pub(super) fn options(&self) -> String {
        let mut options = format!(" --data-dir {}", quoted(&self.data));
        if let Some(named) = &self.named {
            options.push_str(&format!(" --store {}", quoted(named)));
        }
        options
    }
}

/// Without a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Folder(path) => write!(f, "{}", path.display()),
            #[cfg(feature = "postgres")]
            Kind::Postgres { url, .. } => write!(f, "{url}"),
        }
    }
}

/// Returns whether a store could not be opened because its database is away: trying again may help.
pub(super) fn is_away(failure: &Failure) -> bool {
    failure.kind == AWAY
}

/// Reads a file with a URL. One with a password has to be its owner's alone.
fn read(path: &Path, modes: ModesArgs) -> Result<Zeroizing<String>, Failure> {
    let cannot = |error| folder::cannot("read", path, error);
    let refused = match modes.file(path).read_text() {
        Ok(Some(text)) => return Ok(text),
        Ok(None) => return Err(cannot(std::io::ErrorKind::NotFound.into())),
        Err(refused) => refused,
    };
    // Whatever is wrong with it does not matter as long as there is no secret in it.
    let mut bytes = Zeroizing::new(Vec::new());
    let file = fs::File::open(path).and_then(|file| file.take(MAX_STORE_FILE).read_to_end(&mut bytes));
    file.map_err(cannot)?;
    let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    if !has_password(first_line(&text)) {
        return Ok(text);
    }
    let what = match &refused {
        KeyFileError::Readable { mode, .. } => {
            format!("the password in {} can be read by other users (mode {mode:04o})", path.display())
        }
        // Made for identities, but for the name the same.
        refused => refused.to_string().replace("the identity file", "the file with the password,"),
    };
    Err(Failure { hint: hint(&refused), ..Failure::new(Exit::Usage, what) })
}

fn first_line(text: &str) -> &str {
    files::unmarked(text).lines().next().unwrap_or_default().trim()
}

/// The kind of the failure of a database that is away.
const AWAY: &str = "database_away";
/// Names the store where no option does.
pub(in crate::cli) const STORE_VARIABLE: &str = "PROFILE_SERVER_STORE";
/// Most connections of a server to its database.
const MAX_STORE_CONNECTIONS: i64 = 1000;
/// Bytes that are read of a file with the URL of a database.
const MAX_STORE_FILE: u64 = 4096;
