//! What the operator of a service decides.

use crate::profile::limits::Limits;

/// Whether something is open to everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// To nobody.
    Closed,
    /// To everybody.
    #[default]
    Open,
}

/// What the operator of a service decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Who may register. Those who are registered may update and delete in any case.
    pub registration: Access,
    /// Who may read the profiles of others.
    pub lookup: Access,
    /// How much a peer may ask for.
    pub limits: Limits,
}
