//! `--web` and `--metrics`: a page for the operator, its data, and numbers for Prometheus, over HTTP.
//!
//! Nothing here changes anything: all that is answered is read. A request comes in at [`server`], which
//! bounds clients, and goes to [`routes`], which checks what the browser says it is for.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`] | the options |
//! | [`view`] | what is shown: the nodes and the service of the program |
//! | [`server`], [`places`] | accepts clients, a bounded number of them |
//! | [`routes`], [`body`] | which request gets what |
//! | [`snapshot`] | what the page shows, as JSON |
//! | [`prometheus`] | numbers as Prometheus reads them |

mod args;
mod body;
mod places;
mod prometheus;
mod routes;
mod server;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;

pub(super) use args::{MetricsArgs, WebArgs};
pub(super) use server::Web;
pub(super) use view::View;
