//! A server's key and how to reach it, as a value and as text.

use std::fmt;
use std::net::SocketAddrV4;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;

use crate::PublicKey;
use crate::keys::{ParseKeyError, z_base_32};
use crate::wire::Decode as _;
use crate::wire::address::{self, is_destination};

/// A server's public key, and addresses of DHT nodes that probably know the server.
///
/// [`Dht::connect`](super::Dht::connect) takes it in place of a bare key. The addresses are hints: they are
/// asked beside the lookup, so that wrong ones do no harm. The server still proves its key.
/// [`Server::connect_address`](super::Server::connect_address) makes one.
///
/// As text it is the key in z-base-32, and after an `@` the addresses, separated by commas: `KEY`, or
/// `KEY@192.0.2.1:49737,192.0.2.2:49737`. A shell needs no quotes around it.
///
/// ```
/// use hyperprofile::{ConnectAddress, KeyPair};
///
/// let key = *KeyPair::from_seed(&[1; 32]).public_key();
/// let address = ConnectAddress::new(key, ["192.0.2.1:49737".parse()?])?;
/// assert_eq!(address.to_string(), format!("{key}@192.0.2.1:49737"));
/// assert_eq!(address.to_string().parse(), Ok(address));
/// assert_eq!(key.to_string().parse(), Ok(ConnectAddress::from(key)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectAddress {
    public_key: PublicKey,
    addresses: Vec<SocketAddrV4>,
}

/// Why a text is not a [`ConnectAddress`], or addresses can't be part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseConnectAddressError {
    /// What stands before the addresses is not a public key.
    #[error(transparent)]
    Key(#[from] ParseKeyError),
    /// An address is not an IPv4 address with a port.
    #[error("{given:?} is not an IPv4 address with a port, like 192.0.2.1:49737")]
    Address {
        /// What was given.
        given: String,
    },
    /// No datagram can be sent to an address: it has no port, or is unspecified, multicast or reserved.
    #[error("no node has the address {0}")]
    Unusable(SocketAddrV4),
    /// An address occurs twice.
    #[error("the address {0} occurs twice")]
    Duplicate(SocketAddrV4),
    /// There are more than [`ConnectAddress::MAX_ADDRESSES`] addresses.
    #[error("at most {} addresses can stand beside a key", ConnectAddress::MAX_ADDRESSES)]
    TooMany,
}

impl ConnectAddress {
    /// Addresses beside the key: 8.
    pub const MAX_ADDRESSES: usize = 8;

    /// Makes one of a server's key and the addresses of nodes that probably know it, or of the server itself.
    ///
    /// # Errors
    ///
    /// [`ParseConnectAddressError`]: an address that no datagram can be sent to, one that occurs twice, or
    /// more than [`Self::MAX_ADDRESSES`].
    pub fn new(
        public_key: PublicKey,
        addresses: impl IntoIterator<Item = SocketAddrV4>,
    ) -> Result<Self, ParseConnectAddressError> {
        let mut made = Self::from(public_key);
        for address in addresses {
            made.add(address)?;
        }
        Ok(made)
    }

    /// Returns the server's key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Returns the addresses of nodes that probably know the server.
    pub fn addresses(&self) -> &[SocketAddrV4] {
        &self.addresses
    }

    /// Returns both parts.
    pub fn into_parts(self) -> (PublicKey, Vec<SocketAddrV4>) {
        (self.public_key, self.addresses)
    }

    pub(super) fn add(&mut self, address: SocketAddrV4) -> Result<(), ParseConnectAddressError> {
        if !is_destination(&address) {
            return Err(ParseConnectAddressError::Unusable(address));
        }
        if self.addresses.contains(&address) {
            return Err(ParseConnectAddressError::Duplicate(address));
        }
        if self.addresses.len() >= Self::MAX_ADDRESSES {
            return Err(ParseConnectAddressError::TooMany);
        }
        self.addresses.push(address);
        Ok(())
    }
}

impl From<PublicKey> for ConnectAddress {
    fn from(public_key: PublicKey) -> Self {
        Self { public_key, addresses: Vec::new() }
    }
}

impl From<&PublicKey> for ConnectAddress {
    fn from(public_key: &PublicKey) -> Self {
        Self::from(*public_key)
    }
}

impl From<&Self> for ConnectAddress {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl fmt::Display for ConnectAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.public_key)?;
        for (index, address) in self.addresses.iter().enumerate() {
            let separator = if index == 0 { '@' } else { ',' };
            write!(f, "{separator}{address}")?;
        }
        Ok(())
    }
}

impl FromStr for ConnectAddress {
    type Err = ParseConnectAddressError;

    /// Reads a key in either form of [`PublicKey`], and after an `@` up to [`ConnectAddress::MAX_ADDRESSES`]
    /// addresses, separated by commas. Also reads an address blob of the JavaScript implementation
    /// (`hyperdht-address`) in z-base-32 or hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ParseConnectAddressError> {
        let Some((key, addresses)) = text.split_once('@') else {
            return match text.parse::<PublicKey>() {
                Ok(key) => Ok(key.into()),
                Err(error) => blob(text).unwrap_or_else(|| Err(error.into())),
            };
        };
        let mut parsed = Self::from(key.parse::<PublicKey>()?);
        for given in addresses.split(',') {
            let address = given
                .parse()
                .map_err(|_| ParseConnectAddressError::Address { given: given.chars().take(32).collect() })?;
            parsed.add(address)?;
        }
        Ok(parsed)
    }
}

/// Reads an address blob, which is longer than a bare key in either alphabet; `None` if it is none.
fn blob(text: &str) -> Option<Result<ConnectAddress, ParseConnectAddressError>> {
    let text = text.strip_prefix("pear://").unwrap_or(text);
    if text.len() <= 52 {
        return None;
    }
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    let bytes = bytes.or_else(|_| z_base_32().decode(text.as_bytes())).ok()?;
    let address::ConnectAddress { key, nodes } = address::ConnectAddress::from_bytes(&bytes).ok()?;
    Some(ConnectAddress::new(key, nodes))
}

/// As text.
#[cfg(feature = "serde")]
impl serde::Serialize for ConnectAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From text as [`FromStr`] takes it.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ConnectAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Encode as _;

    #[test]
    fn text_reads_back_in_each_form() {
        let bare = ConnectAddress::from(key());
        assert_eq!(key().to_z32().parse(), Ok(bare.clone()));
        assert_eq!(key().to_hex().parse(), Ok(bare.clone()));
        assert_eq!(bare.to_string(), key().to_z32());
        let full = ConnectAddress::new(key(), [at("10.0.0.1:49737"), at("192.0.2.7:1")]).unwrap();
        assert_eq!(full.to_string(), format!("{}@10.0.0.1:49737,192.0.2.7:1", key()));
        assert_eq!(full.to_string().parse(), Ok(full.clone()));
        assert_eq!(format!("pear://{full}").parse(), Ok(full.clone()));
        assert_eq!(format!("{}@10.0.0.1:49737,192.0.2.7:1", key().to_hex()).parse(), Ok(full));
    }

    #[test]
    fn an_address_blob_reads() {
        let nodes = vec![at("10.0.0.1:49737")];
        let blob = address::ConnectAddress { key: key(), nodes: nodes.clone() }.to_bytes();
        let full = ConnectAddress::new(key(), nodes).unwrap();
        assert_eq!(HEXLOWER_PERMISSIVE.encode(&blob).parse(), Ok(full.clone()));
        assert_eq!(z_base_32().encode(&blob).parse(), Ok(full));
    }

    #[test]
    fn what_is_wrong_has_an_error_of_its_own() {
        let parse = |rest: &str| format!("{}{rest}", key()).parse::<ConnectAddress>().unwrap_err();
        let not_one = |given: &str| ParseConnectAddressError::Address { given: given.into() };
        for given in ["", "1.2.3.4", "host:1", "[::1]:1", "1.2.3.4:65536", " 1.2.3.4:5"] {
            assert_eq!(parse(&format!("@{given}")), not_one(given));
        }
        assert_eq!(parse("@1.2.3.4:5,"), not_one(""));
        for unusable in ["1.2.3.4:0", "0.0.0.0:5", "224.0.0.1:5", "255.255.255.255:5"] {
            let error = ParseConnectAddressError::Unusable(at(unusable));
            assert_eq!(parse(&format!("@{unusable}")), error);
            assert_eq!(ConnectAddress::new(key(), [at(unusable)]), Err(error));
        }
        let twice = ParseConnectAddressError::Duplicate(at("1.2.3.4:5"));
        assert_eq!(parse("@1.2.3.4:5,1.2.3.4:5"), twice);
        for bad in ["", "abc", "@1.2.3.4:5", &"g".repeat(64), &"y".repeat(54), "pear://"] {
            let error = bad.parse::<ConnectAddress>().unwrap_err();
            assert!(matches!(error, ParseConnectAddressError::Key(_)), "{bad}: {error}");
        }
        // What a person sees of a long text stays short.
        assert!(parse(&format!("@{}", "x".repeat(10_000))).to_string().len() < 120);
    }

    #[test]
    fn eight_addresses_fit_beside_a_key_and_no_more() {
        let many = |count: u8| (0..count).map(|host| SocketAddrV4::new([10, 0, 0, host].into(), 7));
        let full = ConnectAddress::new(key(), many(8)).unwrap();
        assert_eq!(full.to_string().parse(), Ok(full.clone()));
        assert_eq!(full.into_parts(), (key(), many(8).collect()));
        assert_eq!(ConnectAddress::new(key(), many(9)), Err(ParseConnectAddressError::TooMany));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn as_data_it_is_its_text() {
        let address = ConnectAddress::new(key(), [at("192.0.2.1:49737")]).unwrap();
        let data = serde_json::to_value(&address).unwrap();
        assert_eq!(data, serde_json::json!(address.to_string()));
        assert_eq!(serde_json::from_value::<ConnectAddress>(data).unwrap(), address);
        let error = serde_json::from_str::<ConnectAddress>("\"abc\"").unwrap_err();
        assert!(error.to_string().contains("52 characters"), "{error}");
    }

    fn key() -> PublicKey {
        PublicKey::from_bytes([7; 32])
    }

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }
}
