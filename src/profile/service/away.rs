//! A store that cannot be used for a while is an error of each request, and ends no connection.

use serde_json::json;

use super::super::changes::Changes;
use super::super::entry::{Change, Dated, KeyEntry};
use super::super::record::Record;
use super::super::rotation::Rotation;
use super::super::store::{ApplyError, Store, StoreError};
use super::testing::{Peer, key_pair, kind, record};
use super::{Service, ServiceConfig};
use crate::PublicKey;
use crate::api::ProvenKey;

/// A store whose database cannot be reached.
#[derive(Default)]
struct Away(Changes);

fn away() -> StoreError {
    StoreError::Unavailable("connection refused".into())
}

impl Store for Away {
    async fn load(&self, _: &PublicKey) -> Result<KeyEntry, StoreError> {
        Err(away())
    }

    async fn apply(&self, _: &ProvenKey, _: Change) -> Result<KeyEntry, ApplyError> {
        Err(away().into())
    }

    fn changes(&self) -> &Changes {
        &self.0
    }

    async fn rotate(&self, _: Rotation, _: Record) -> Result<KeyEntry, ApplyError> {
        Err(away().into())
    }

    async fn page(&self, _: Option<PublicKey>, _: usize) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        Err(away())
    }

    async fn remove(&self, _: &PublicKey) -> Result<bool, StoreError> {
        Err(away())
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_an_error_of_the_greeting_and_of_each_request() {
    let service = Service::new(Away::default(), ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    assert_eq!(ada.hello["params"]["error"]["data"]["kind"], "storage");
    assert_eq!(kind(&ada.register(&record(1, 1, "Ada")).await), "storage");
    let key = key_pair(1).public_key().to_hex();
    assert!(ada.call("profile.watch", json!({"keys": [key]})).await.get("result").is_some());
    assert_eq!(kind(&ada.call("profile.get", json!({})).await), "storage");
    assert!(ada.call("ping", json!({})).await.get("result").is_some());
}
