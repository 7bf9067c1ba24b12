//! Which command runs, and what a signal does.

use std::process::ExitCode;

use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::super::runtime;
use super::args::{Arguments, Command, Target};
use super::session::{Tool, identity};
use super::{ping, pipe, records, swarm, tunnel};

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments: Arguments = match runtime::arguments() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let output = Output { json: arguments.json, quiet: false, verbose: arguments.verbose > 0 };
    runtime::log(LevelFilter::WARN, arguments.verbose);
    arguments.secrecy.apply();
    match arguments.command {
        Command::Whoami => runtime::report(&output, whoami(&arguments, &output)),
        _ => runtime::run(output, Some(1), run(&arguments, &output)),
    }
}

async fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let tool = runtime::interruptible(Tool::start(arguments, output)).await?;
    let done = tokio::select! {
        biased;
        () = runtime::stop_signal() => stopped(&tool).await,
        done = command(&tool) => done,
    };
    tool.dht.close().await;
    done
}

/// Ends what goes on until it is stopped. All else is not done then.
async fn stopped(tool: &Tool<'_>) -> Result<(), Failure> {
    match &tool.arguments.command {
        Command::Announce { topic, once: false } | Command::Swarm { topic } => {
            records::withdraw(tool, *topic).await
        }
        Command::Tunnel(_) => Ok(()),
        _ => Err(Failure::new(Exit::Interrupted, "interrupted")),
    }
}

async fn command(tool: &Tool<'_>) -> Result<(), Failure> {
    match &tool.arguments.command {
        Command::Ping { target: Some(Target::Node(node)), .. } => ping::node(tool, *node).await,
        Command::Ping { target: Some(Target::Server(server)), .. } => ping::server(tool, server).await,
        Command::Ping { topic: Some(topic), .. } => ping::topic(tool, *topic).await,
        Command::Lookup { topic: Some(topic), .. } => records::peers(tool, tool.dht.lookup(*topic)).await,
        Command::Lookup { key: Some(key), .. } => records::peers(tool, tool.dht.find_peer(key)).await,
        Command::Announce { topic, once } => records::announce(tool, *topic, *once).await,
        Command::Get { target, mutable } => records::get(tool, target, *mutable).await,
        Command::Put { value, mutable, seq } => records::put(tool, value, *mutable, *seq).await,
        Command::Pipe { key: Some(key), .. } => pipe::dial(tool, key).await,
        Command::Pipe { allow, .. } => pipe::listen(tool, allow).await,
        Command::Swarm { topic } => swarm::run(tool, *topic).await,
        Command::Tunnel(tunnel) => tunnel::run(tool, tunnel).await,
        // The others were done before, or the arguments would have been refused.
        Command::Whoami | Command::Ping { .. } | Command::Lookup { .. } => Ok(()),
    }
}

fn whoami(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let Some(identity) = identity(arguments, output)? else {
        return Err(Failure::new(Exit::Usage, "no file is named that holds a key pair")
            .hint("name one with --identity FILE"));
    };
    let key = identity.public_key();
    output.line(&key.to_z32());
    output.json(&json!({"public_key": key, "public_key_hex": key.to_hex()}));
    Ok(())
}
