//! Asks the server, or does the same on the folder of a stopped one.

use std::io::{self, IsTerminal as _};

use serde_json::{Value, json};

use super::super::super::exit::{Exit, Failure};
use super::super::super::output::Output;
use super::super::super::prompt;
use super::super::ask;
use super::super::folder::none_in;
use super::super::place::Place;
use super::args::AdminCommand;
use super::lists::Lists;
use super::operator::Operator;
use super::request::{Answer, Request};
use super::show;
use crate::PublicKey;

/// Runs a command on the profiles in a place.
pub(in super::super) async fn run(
    command: AdminCommand,
    place: &Place,
    lists: Lists,
    output: &Output,
) -> Result<(), Failure> {
    if !place.data.exists() && place.is_of_data() {
        return Err(none_in(&place.data));
    }
    let stopped = Operator::stopped(place.clone(), lists);
    let mut server = Server { place, stopped, is_stopped: false };
    match command {
        AdminCommand::List { since, limit, after } => list(&mut server, since, limit, after, output).await,
        AdminCommand::Show { key } => {
            let held = server.one(&Request::Show { key }).await?;
            show::held(&held, output)
        }
        AdminCommand::Delete { key, yes } => delete(&mut server, key, yes, output).await,
        AdminCommand::Ban { target, reason } => {
            let done = server.one(&Request::Ban { target, reason }).await?;
            let ended = done["connections"].as_u64().unwrap_or(0);
            let already = format!("{target} was banned already");
            report(output, &done, &format!("banned {target}; connections ended: {ended}"), &already);
            Ok(())
        }
        AdminCommand::Unban { target } => {
            let done = server.one(&Request::Unban { target }).await?;
            report(output, &done, &format!("unbanned {target}"), &format!("{target} was not banned"));
            Ok(())
        }
        AdminCommand::Allow { key, reason } => {
            let done = server.one(&Request::Allow { key, reason }).await?;
            report(output, &done, &format!("allowed {key}"), &format!("{key} was allowed already"));
            Ok(())
        }
        AdminCommand::Disallow { key } => {
            let done = server.one(&Request::Disallow { key }).await?;
            report(output, &done, &format!("{key} is allowed no more"), &format!("{key} was not allowed"));
            Ok(())
        }
        AdminCommand::Disconnect { key } => {
            let done = server.one(&Request::Disconnect { key }).await?;
            let ended = done["connections"].as_u64().unwrap_or(0);
            report(output, &done, &format!("connections ended: {ended}"), "the key has no open connection");
            Ok(())
        }
        AdminCommand::Reload => {
            let done = server.one(&Request::Reload).await?;
            show::reloaded(&done, output);
            Ok(())
        }
        AdminCommand::Stats => {
            show::stats(&server.one(&Request::Stats).await?, output);
            Ok(())
        }
        AdminCommand::Banned => {
            server
                .pages(|after| Request::Banned { after: number(after) }, |line| show::listed(line, output))
                .await
        }
        AdminCommand::Allowed => {
            server
                .pages(|after| Request::Allowed { after: number(after) }, |line| show::listed(line, output))
                .await
        }
        AdminCommand::Connections => {
            let page = |after: &Value| Request::Connections { after: after.as_u64().unwrap_or(0) };
            server.pages(page, |line| show::connection(line, output)).await
        }
    }
}

/// The server of a place.
struct Server<'a> {
    place: &'a Place,
    stopped: Operator,
    /// Whether none has answered: it stays stopped until this is done, where the store was opened.
    is_stopped: bool,
}

impl Server<'_> {
    async fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        if !self.is_stopped
            && (self.place.is_of_data() || !request.is_about_profiles())
            && let Some(answer) = ask::request(&self.place.data, request)?
        {
            return Ok(answer);
        }
        self.is_stopped = true;
        self.stopped.carry_out(ask::own_user(), request).await
    }

    /// Returns the answer to a request that has one object for an answer.
    async fn one(&mut self, request: &Request) -> Result<Value, Failure> {
        let first = self.ask(request).await?.lines.into_iter().next();
        first.ok_or_else(|| Failure::new(Exit::Protocol, "the server has sent an empty answer"))
    }

    /// Shows page after page, each asked for with what the one before says.
    async fn pages(
        &mut self,
        request: impl Fn(&Value) -> Request,
        mut show: impl FnMut(&Value),
    ) -> Result<(), Failure> {
        let mut after = Value::Null;
        loop {
            let Answer { lines, next } = self.ask(&request(&after)).await?;
            lines.iter().for_each(&mut show);
            if next.is_null() {
                return Ok(());
            }
            after = next;
        }
    }
}

async fn list(
    server: &mut Server<'_>,
    since: Option<u64>,
    limit: Option<u64>,
    mut after: Option<PublicKey>,
    output: &Output,
) -> Result<(), Failure> {
    let mut left = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    loop {
        let Answer { lines, next } = server.ask(&Request::List { after, since, limit: left }).await?;
        lines.iter().for_each(|line| show::entry(line, output));
        left = left.saturating_sub(lines.len());
        // What is no key ends the list.
        after = serde_json::from_value(next).ok();
        match after {
            None => return Ok(()),
            Some(after) if left == 0 => {
                output.note(&format!("there may be more: --after {after}"));
                return Ok(());
            }
            // A reader of the first lines only has gone.
            Some(_) => output.delivered()?,
        }
    }
}

async fn delete(server: &mut Server<'_>, key: PublicKey, yes: bool, output: &Output) -> Result<(), Failure> {
    if !yes {
        if output.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(Failure::new(Exit::Usage, "deleting needs --yes where no person can be asked"));
        }
        let held = server.one(&Request::Show { key }).await?;
        show::held(&held, output)?;
        if !prompt::sure("Remove this profile from the server?").await? {
            output.note("nothing was removed");
            return Ok(());
        }
    }
    let done = server.one(&Request::Delete { key }).await?;
    report(output, &done, &format!("deleted the profile of {key}"), "");
    Ok(())
}

/// Prints what an act has changed.
fn report(output: &Output, done: &Value, changed: &str, unchanged: &str) {
    output.line(if done["changed"] == json!(false) { unchanged } else { changed });
    output.json(done);
}

fn number(after: &Value) -> usize {
    after.as_u64().and_then(|after| usize::try_from(after).ok()).unwrap_or(0)
}
