//! Without the feature `web` there is neither a page nor an option for it.

use std::sync::Arc;

use super::exit::Failure;
use super::output::Output;
use super::store::ServerStore;
use crate::Dht;
use crate::profile::Service;

#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct WebArgs {}

#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct MetricsArgs {}

#[derive(Debug)]
pub(super) struct View;

#[derive(Debug)]
pub(super) struct Web;

impl View {
    pub(super) fn new(_program: &'static str) -> Arc<Self> {
        Arc::new(Self)
    }

    pub(super) const fn add_node(&self, _node: &Dht) {}

    pub(super) const fn set_service(&self, _service: &Service<Arc<ServerStore>>) {}
}

impl Web {
    pub(super) async fn start(
        _page: &WebArgs,
        _metrics: &MetricsArgs,
        _view: &Arc<View>,
        _output: &Output,
    ) -> Result<Self, Failure> {
        Ok(Self)
    }

    pub(super) async fn ended(&mut self) -> Failure {
        std::future::pending().await
    }
}
