//! What an operator does with a server: the same commands while it runs and while it is stopped.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`] | the commands |
//! | [`request`] | what is asked of a server, and the answer, as both travel over the control socket |
//! | [`operator`] | carries requests out: in a running server, or on the folder of a stopped one |
//! | [`entries`] | what the store holds |
//! | [`lists`] | the files of who is banned and who is allowed |
//! | [`live`], [`reload`] | what a running server shows, and reads again |
//! | [`audit`] | the file that says who has changed what |
//! | [`mod@run`], [`show`] | asks, and prints what comes back |

mod args;
mod audit;
mod entries;
mod lists;
mod live;
mod operator;
mod reload;
mod request;
mod run;
mod show;

pub(super) use args::AdminCommand;
pub(super) use lists::Lists;
pub(super) use live::Live;
pub(super) use operator::Operator;
pub(super) use reload::Reloader;
pub(super) use request::{Answer, Request};
pub(super) use run::run;
