//! Where there are no sockets in folders, a running server takes no commands: they need it stopped.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::admin::Operator;

#[derive(Debug)]
pub(super) struct Control(Infallible);

#[derive(Debug)]
pub(super) struct Name(Infallible);

impl Control {
    pub(super) fn listen(_data: &Path) -> io::Result<(Self, Name)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) async fn serve(&self, _operator: &Arc<Operator>) {
        match self.0 {}
    }
}
