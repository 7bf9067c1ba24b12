//! Settings of a service.

use crate::profile::limits::Limits;

/// Who may use a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// No key.
    Closed,
    /// The keys of [`Admission::allowed_keys`](super::Admission::allowed_keys).
    Allowed,
    /// Every key.
    #[default]
    Open,
}

/// Settings of a service, chosen by its operator. They can be replaced while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Who may register. Registered keys may update and delete in any case.
    pub registration: Access,
    /// Who may read the profiles of others.
    pub lookup: Access,
    /// What a peer may ask for.
    pub limits: Limits,
}
