//! Runs the commands.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use super::super::exit::Failure;
use super::super::output::Output;
use super::super::prompt;
use super::super::{demo, runtime};
use super::args::{Arguments, Command, IdentityCommand, ProfileArgs, QrOf};
use super::edit::{Edit, first_profile};
use super::loss::command;
use super::servers::{self, Server, ServersCommand};
use super::visit::{READABLE, Visit, node};
use super::{doctor, edit, editor, identity, others, proof, publish, qr, rotate};
use crate::ConnectAddress;
use crate::profile::{ClientError, Profile};

/// Runs the program.
pub fn main() -> ExitCode {
    let mut arguments: Arguments = match runtime::arguments() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let output = Output { json: arguments.json, quiet: false, verbose: arguments.verbose > 0 };
    runtime::log(LevelFilter::WARN, arguments.verbose);
    arguments.secrecy.apply();
    match &arguments.command {
        Some(Command::Whoami) => runtime::report(&output, identity::show(&arguments, &output)),
        Some(Command::Identity { command }) if !matches!(command, Some(IdentityCommand::Rotate { .. })) => {
            let command = command.as_ref().unwrap_or(&IdentityCommand::Show);
            runtime::report(&output, identity::run(command, &arguments, &output))
        }
        Some(Command::Servers { command }) => {
            let command = command.as_ref().unwrap_or(&ServersCommand::List);
            runtime::report(&output, servers::run(command, &output))
        }
        Some(Command::Demo) => runtime::run(output, None, runtime::interruptible(demo::run(&output))),
        Some(Command::Qr { what, png }) => {
            runtime::report(&output, qr_code(*what, png.as_deref(), &arguments, &output))
        }
        _ => match choose_server(&mut arguments) {
            // The editor gets Ctrl-C.
            Ok(()) if matches!(arguments.command, Some(Command::Edit)) => {
                runtime::run(output, Some(1), edit(&arguments, &output))
            }
            Ok(()) => runtime::run(output, Some(1), runtime::interruptible(run(&arguments, &output))),
            Err(failure) => runtime::report(&output, Err(failure)),
        },
    }
}

/// Takes the default server if none is named.
fn choose_server(arguments: &mut Arguments) -> Result<(), Failure> {
    if arguments.server.is_none() {
        arguments.server = Server::default()?;
    }
    Ok(())
}

fn qr_code(what: QrOf, png: Option<&Path>, arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let text = match what {
        QrOf::Me => identity::public_key(arguments, output)?.1.to_z32(),
        QrOf::Server => {
            match arguments.server.clone().map_or_else(Server::default, |server| Ok(Some(server)))? {
                Some(server) => ConnectAddress::to_string(&server),
                None => usage(&servers::needed()?),
            }
        }
    };
    qr::show(&text, png, output)
}

async fn edit(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match &arguments.server {
        Some(server) => editor::run(arguments, output, server).await,
        None => usage(&servers::needed()?),
    }
}

async fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match &arguments.command {
        Some(Command::Doctor) => {
            let dht = node(arguments).spawn().await?;
            doctor::run(arguments, output, dht).await
        }
        Some(Command::Identity { command: Some(IdentityCommand::Rotate { yes, from }) }) => {
            rotate::run(arguments, output, *yes, from.as_deref()).await
        }
        Some(Command::Verify { file, key }) => proof::verify(file, key.as_ref(), output).await,
        Some(Command::Lookup { key, dht: true, .. }) => publish::lookup(arguments, output, key).await,
        // Without a server there is nothing else to ask.
        Some(Command::Lookup { key, no_dht: false, .. }) if arguments.server.is_none() => {
            publish::lookup(arguments, output, key).await
        }
        Some(Command::Publish { withdraw: true, replace }) => {
            let (_, identity) = identity::load(arguments, output)?;
            publish::withdraw(arguments, output, &identity, *replace).await
        }
        command => match &arguments.server {
            Some(server) => at_server(server, command.as_ref(), arguments, output).await,
            None => usage(&servers::needed()?),
        },
    }
}

/// Runs the commands that need a server.
async fn at_server(
    server: &Server,
    command: Option<&Command>,
    arguments: &Arguments,
    output: &Output,
) -> Result<(), Failure> {
    // Arguments are checked and questions asked before connecting.
    let visit = || Visit::start(arguments, output, server);
    match command {
        None => greet(visit().await?, arguments, arguments.may_ask()).await,
        Some(Command::Show) => {
            let visit = visit().await?;
            let Some(record) = visit.client.record().cloned() else {
                return Err(visit.not_registered(arguments));
            };
            visit.end_with(&record).await
        }
        Some(Command::Register { again: true, .. }) => again(visit().await?, arguments).await,
        Some(Command::Register { profile, again: false }) => {
            let profile = profile_to_register(profile, arguments, output).await?;
            visit().await?.register(profile).await
        }
        Some(Command::Update { profile, unset }) => {
            let edit = Edit::from_args(profile.clone(), unset.clone()).await?;
            if edit.is_empty() {
                usage("nothing to change: name a part of the profile, see --help");
            }
            update(visit().await?, arguments, edit).await
        }
        Some(Command::Delete { yes }) => match *yes || is_sure_to_delete(arguments).await? {
            true => delete(visit().await?).await,
            false => Ok(()),
        },
        Some(Command::Lookup { key, no_dht, .. }) => {
            others::lookup(arguments, output, server, key, *no_dht).await
        }
        Some(Command::Watch { keys }) => others::watch(visit().await?, keys).await,
        Some(Command::Publish { replace, .. }) => {
            if arguments.server_addr.is_some() {
                usage("publishing needs the DHT: leave out --server-addr");
            }
            publish::publish(visit().await?, arguments, *replace).await
        }
        Some(Command::Export { file, key }) => {
            proof::export(visit().await?, arguments, file, key.as_ref()).await
        }
        Some(
            Command::Whoami
            | Command::Identity { .. }
            | Command::Servers { .. }
            | Command::Qr { .. }
            | Command::Edit
            | Command::Demo
            | Command::Doctor
            | Command::Verify { .. },
        ) => Ok(()),
    }
}

/// Returns the profile that was given, or asks for one.
async fn profile_to_register(
    given: &ProfileArgs,
    arguments: &Arguments,
    output: &Output,
) -> Result<Profile, Failure> {
    let given = first_profile(given).await?;
    if given.is_none() && !arguments.may_ask() {
        usage("a profile is needed: --name NAME, or --from-file FILE");
    }
    output.note(READABLE);
    match given {
        Some(profile) => Ok(profile),
        None => edit::ask_for_profile(*output).await,
    }
}

async fn is_sure_to_delete(arguments: &Arguments) -> Result<bool, Failure> {
    match arguments.may_ask() {
        true => prompt::sure("Remove your profile from the server?").await,
        false => usage("deleting needs --yes"),
    }
}

/// Shows the profile, or asks for one and registers it.
async fn greet(visit: Visit<'_>, arguments: &Arguments, ask: bool) -> Result<(), Failure> {
    if let Some(record) = visit.client.record().cloned() {
        let name = record.profile().name().to_owned();
        visit.output.note_about("the server knows you: welcome back, ", &name);
        return visit.end_with(&record).await;
    }
    if !ask {
        return Err(visit.not_registered(arguments));
    }
    let (output, server, loss) = (visit.output, visit.server, visit.loss);
    // The server does not wait for an answer at the terminal: connect again afterwards.
    if let Some((what, next)) = loss.explain(arguments) {
        output.note(&what);
        let identity = visit.leave().await;
        return match prompt::sure("Bring your last profile back?").await? {
            true => again(Visit::start_as(identity, arguments, output, server).await?, arguments).await,
            false => {
                output.note(&next);
                Ok(())
            }
        };
    }
    output.note("the server does not know you yet");
    output.note(READABLE);
    let identity = visit.leave().await;
    let profile = edit::ask_for_profile(*output).await?;
    let visit = Visit::start_as(identity, arguments, output, server).await?;
    visit.register(profile).await
}

/// Brings back what the server has lost.
async fn again(mut visit: Visit<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let before = visit.client.record().cloned();
    let record = async {
        visit.client.bring_back().await.map_err(|error| match error {
            error @ ClientError::NothingAcknowledged => {
                let first = command(arguments, "register --name NAME");
                Failure::from(error).hint(format!("store a profile with: {first}"))
            }
            error => error.into(),
        })
    };
    let record = visit.deadline.bound(record).await?;
    let what = match before.as_ref() == Some(&record) {
        true => "the server has your last profile, nothing was lost",
        false => "your last profile is back",
    };
    visit.output.note(what);
    visit.end_with(&record).await
}

async fn update(mut visit: Visit<'_>, arguments: &Arguments, edit: Edit) -> Result<(), Failure> {
    if !edit.is_whole() {
        visit.loss.forbid_update(arguments)?;
    }
    let update = visit.client.update(|profile| edit.apply(profile));
    let record = visit.deadline.bound(update).await?;
    visit.end_with(&record).await
}

async fn delete(mut visit: Visit<'_>) -> Result<(), Failure> {
    let version = visit.deadline.bound(visit.client.delete()).await?;
    let key = visit.key.clone();
    visit.output.line("your profile is deleted");
    visit.end(json!({"public_key": key, "version": version, "deleted": true})).await
}

/// Ends the program as clap does for arguments that it finds wrong itself.
fn usage(message: &str) -> ! {
    Arguments::command().error(clap::error::ErrorKind::MissingRequiredArgument, message).exit()
}
