//! Announcements whose key is kept elsewhere.

use std::fmt;
use std::sync::Arc;

use crate::identity::Signer;
use crate::wire::compact::Encode;
use crate::wire::records::Announce;

/// An announcement that a signer elsewhere has to sign.
#[derive(Clone)]
pub struct Unsigned {
    announce: Announce,
    /// What is signed.
    pub message: [u8; 64],
    /// Who signs.
    pub signer: Arc<dyn Signer>,
}

impl Unsigned {
    pub(super) fn new(announce: Announce, message: [u8; 64], signer: &Arc<dyn Signer>) -> Self {
        Self { announce, message, signer: Arc::clone(signer) }
    }

    /// Returns the value of the request, with the signature.
    pub fn signed(mut self, signature: [u8; 64]) -> Vec<u8> {
        self.announce.signature = Some(signature);
        self.announce.to_bytes()
    }
}

impl PartialEq for Unsigned {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message && Arc::ptr_eq(&self.signer, &other.signer)
    }
}

impl Eq for Unsigned {}

impl fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsigned").field("announce", &self.announce).finish_non_exhaustive()
    }
}
