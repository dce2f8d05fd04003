//! The binary `segue`: live RTMP streams that survive their servers. This file owns the list of commands and what an
//! error looks like; each command is a file of its own.

// Doc comments on arguments are their help texts, where brackets mean what they mean in any usage line.
#![allow(rustdoc::broken_intra_doc_links)]

mod client_args;
mod demo;
mod dialects;
mod drain;
mod drain_view;
mod exit;
mod http;
mod input;
mod key;
mod logging;
mod output;
mod pace;
mod play;
mod progress;
mod publish;
mod report;
mod seconds;
mod serve;
mod stop;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::Exit;

/// Live RTMP streams that survive their servers.
///
/// A server that is about to go tells its clients; each moves to another server at the next keyframe, and nobody
/// loses a frame.
#[derive(Parser, Debug)]
#[command(name = "segue", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but something was lost or cut.\n\
                        Results go to stdout, logs to stderr; SEGUE_LOG sets what is logged (error, warn, info, debug)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Serve(serve::Args),
    Publish(publish::Args),
    Play(play::Args),
    Drain(drain::Args),
    Verify(verify::Args),
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error).into(),
    };
    logging::start(if matches!(cli.command, Command::Serve(_)) { "info" } else { "warn" });
    let result = match cli.command {
        Command::Serve(args) => block_on(serve::run(args)),
        Command::Publish(args) => block_on(publish::run(args)),
        Command::Play(args) => block_on(play::run(args)),
        Command::Drain(args) => block_on(drain::run(args)),
        Command::Verify(args) => verify::run(&args),
        Command::Demo(args) => block_on(demo::run(args)),
    };
    result.unwrap_or_else(|error| exit::report(&error)).into()
}

/// Runs a command on tokio. What it left behind (a resolver, a read of stdin) does not hold up the exit.
fn block_on(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
