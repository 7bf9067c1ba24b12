//! Where a database is, and how to reach it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// The URL of a database: `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?OPTION=VALUE&…`.
///
/// The hosts are tried in turn, and only one that accepts writes is used. A host is a name, an address, or
/// the folder of a Unix socket with each `/` as `%2F`. Characters with a meaning in URLs are written as `%`
/// and two hexadecimal digits, in the password as well.
///
/// | option | value |
/// |---|---|
/// | `sslmode` | `disable`, `require` or `verify-full`, see below |
/// | `sslrootcert` | a file of certificates that sign the server's, in place of those the system trusts |
/// | `connect_timeout` | seconds for each host, 3 by default |
/// | `user`, `password`, `dbname`, `host`, `port`, `options`, `application_name` | as libpq has them |
/// | `channel_binding`, `keepalives`, `keepalives_idle`, `tcp_user_timeout` | the same |
///
/// `require` and `verify-full` mean the same: TLS, with a certificate that is valid for the host. The default
/// is `disable` for hosts on loopback and Unix sockets where no `sslrootcert` is given, `require` otherwise.
///
/// Neither `Debug` nor `Display` shows the password.
#[derive(Clone)]
pub struct PostgresUrl {
    /// One for each host.
    pub(super) hosts: Vec<Config>,
    pub(super) root_certificates: Option<PathBuf>,
}

/// Why a text is no URL of a database. It shows nothing of the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseUrlError {
    /// It does not begin with `postgres://` or `postgresql://`.
    #[error("the URL of a database begins with postgres:// or postgresql://")]
    Scheme,
    /// There is a second `@` before the database's name.
    #[error("the URL of the database has more than one @: write @ in a user name or password as %40")]
    At,
    /// There is no host.
    #[error("the URL of the database has no host: postgres://USER@HOST:PORT/DATABASE")]
    Host,
    /// An option or another part is not one of those that are known, or has no valid value.
    #[error("the URL of the database has an option or a part that is not valid")]
    Part,
    /// The value of `sslmode` is none of those that are known.
    #[error("the sslmode in the URL of the database is none of disable, require and verify-full")]
    Mode,
}

impl PostgresUrl {
    /// Returns whether the URL holds a password.
    pub fn has_password(&self) -> bool {
        self.hosts.iter().any(|host| host.get_password().is_some())
    }

    /// Returns whether a host is reached with TLS.
    pub(super) fn uses_tls(&self) -> bool {
        self.hosts.iter().any(|host| host.get_ssl_mode() == SslMode::Require)
    }
}

impl FromStr for PostgresUrl {
    type Err = ParseUrlError;

    fn from_str(url: &str) -> Result<Self, ParseUrlError> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or(ParseUrlError::Scheme)?;
        let (user, rest) = rest.split_at(rest.find('@').map_or(0, |at| at + 1));
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        if rest.contains('@') {
            return Err(ParseUrlError::At);
        }
        let (hosts, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (mut mode, mut root_certificates, mut others) = (None, None, String::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=').ok_or(ParseUrlError::Part)? {
                ("sslmode", "disable") => mode = Some(SslMode::Disable),
                ("sslmode", "require" | "verify-full") => mode = Some(SslMode::Require),
                ("sslmode", _) => return Err(ParseUrlError::Mode),
                ("sslrootcert", file) => root_certificates = Some(PathBuf::from(decode(file)?)),
                // With it the host's name would not show whether it is on loopback.
                ("hostaddr", _) => return Err(ParseUrlError::Part),
                _ => others = format!("{others}{option}&"),
            }
        }
        let one = |host: &str| {
            let url = format!("postgres://{user}{host}{path}?{others}");
            let mut config: Config = url.parse().map_err(|_| ParseUrlError::Part)?;
            let [host] = config.get_hosts() else { return Err(ParseUrlError::Host) };
            let default = match root_certificates.is_none() && is_local(host) {
                true => SslMode::Disable,
                false => SslMode::Require,
            };
            config.ssl_mode(mode.unwrap_or(default)).target_session_attrs(TargetSessionAttrs::ReadWrite);
            if config.get_connect_timeout().is_none() {
                config.connect_timeout(CONNECT_TIMEOUT);
            }
            if config.get_application_name().is_none() {
                config.application_name("hyperprofile");
            }
            Ok(config)
        };
        let hosts = hosts.split(',').map(one).collect::<Result<_, _>>()?;
        Ok(Self { hosts, root_certificates })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, config) in self.hosts.iter().enumerate() {
            match (number, config.get_user()) {
                (0, Some(user)) => write!(f, "{user}@")?,
                (0, None) => {}
                _ => f.write_str(",")?,
            }
            match &config.get_hosts()[0] {
                Host::Tcp(host) => f.write_str(host)?,
                #[cfg(unix)]
                Host::Unix(folder) => write!(f, "{}", folder.display())?,
            }
            write!(f, ":{}", config.get_ports().first().unwrap_or(&5432))?;
        }
        match self.hosts[0].get_dbname() {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(host) => host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Replaces each `%` and two hexadecimal digits by the byte that they stand for.
fn decode(text: &str) -> Result<String, ParseUrlError> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).ok_or(ParseUrlError::Part)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| ParseUrlError::Part)?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| ParseUrlError::Part)
}

/// Longest time for one host to accept a session.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> PostgresUrl {
        url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn modes(url: &str) -> Vec<SslMode> {
        parse(url).hosts.iter().map(Config::get_ssl_mode).collect()
    }

    #[test]
    fn the_hosts_are_shown_and_the_password_is_not() {
        let url = parse("postgresql://ada:very%40secret@one:1234,two,[::1]:99/db?connect_timeout=7");
        assert_eq!(url.to_string(), "ada@one:1234,two:5432,::1:99/db");
        assert!(!format!("{url:?} {url}").contains("secret"));
        assert!(url.has_password());
        assert_eq!(url.hosts[1].get_connect_timeout(), Some(&Duration::from_secs(7)));
        let url = parse("postgres://%2Frun%2Fpg:77/db?user=ada&password=secret");
        assert_eq!(url.to_string(), "ada@/run/pg:77/db");
        assert!(url.has_password());
        assert_eq!(parse("postgres:///db?host=/tmp").to_string(), "/tmp:5432/db");
        assert!(!parse("postgres://host").has_password());
    }

    #[test]
    fn hosts_elsewhere_need_tls_unless_it_is_disabled() {
        let (needed, unused) = (SslMode::Require, SslMode::Disable);
        assert_eq!(modes("postgres://127.0.0.1,localhost,%2Ftmp,db,10.0.0.1/x")[..3], [unused; 3]);
        assert_eq!(modes("postgres://127.0.0.1,localhost,%2Ftmp,db,10.0.0.1/x")[3..], [needed; 2]);
        assert_eq!(modes("postgres://db/x?sslmode=disable"), [unused]);
        assert_eq!(modes("postgres://localhost/x?sslmode=verify-full"), [needed]);
        assert_eq!(modes("postgres://localhost/x?sslrootcert=%2Froot.pem"), [needed]);
        let url = parse("postgres://localhost/x?sslrootcert=%2Froot%20.pem");
        assert_eq!(url.root_certificates, Some(PathBuf::from("/root .pem")));
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_it() {
        for (url, error) in [
            ("mysql://h/d", ParseUrlError::Scheme),
            ("postgres://u:secret@secret@h/d", ParseUrlError::At),
            ("postgres://u:secret@/d", ParseUrlError::Host),
            ("postgres://", ParseUrlError::Host),
            ("postgres://u:secret", ParseUrlError::Part),
            ("postgres://h/d?secret=1", ParseUrlError::Part),
            ("postgres://h/d?hostaddr=1.2.3.4", ParseUrlError::Part),
            ("postgres://h/d?sslmode=prefer", ParseUrlError::Mode),
            ("postgres://h/d?sslrootcert=%zz", ParseUrlError::Part),
        ] {
            assert_eq!(url.parse::<PostgresUrl>().unwrap_err(), error, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
