//! `segue play`: a stream to an FLV file or stdout, from whatever server it moves to. This file owns the flags and when
//! to stop; the player is `segue_net`'s.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use segue_net::Player;
use segue_net::player::Report;
use segue_proto::client::{Ending, PlayerConfig};
use tokio::time::{Instant, sleep_until};

use crate::client_args::{ClientArgs, judge, listener};
use crate::exit::Exit;
use crate::key::StreamUrl;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::report::ReportFile;
use crate::seconds;
use crate::stop::Stops;

/// How long a slow reader of stdout may take to take the rest after Ctrl-C.
const CLOSING: Duration = Duration::from_secs(2);

/// Play a stream to an FLV file, or to stdout for a player to read.
///
/// When the server says that it is going, the viewer moves with the stream and misses nothing. Exits 0 when the stream
/// ends, at the duration or on Ctrl-C; 3 if media was lost; 1 if there is no such stream or no server.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: StreamUrl,

    /// Where the FLV goes; - for stdout, which is the default unless that is a terminal
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,

    /// Stop after so many seconds of playing
    #[arg(long, value_name = "S", value_parser = seconds::parse)]
    duration: Option<Duration>,

    /// Seconds to wait for a stream that is not there yet
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds::parse)]
    wait: Duration,

    #[command(flatten)]
    client: ClientArgs,
}

/// Plays.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let url = args.stream.resolve()?;
    let mut stops = Stops::listen()?;
    let output = Output::open(args.output.as_deref())?;
    let report_file = args.client.report.as_deref().map(ReportFile::create).transpose()?;
    let progress = Progress::new(None);
    let config = PlayerConfig {
        announce: args.client.announce(),
        segue: args.client.announce().segue,
        redirect: args.client.redirect.clone(),
        wait: args.wait,
        ..PlayerConfig::new(url)
    };
    let player = Player::connect(config, Some(listener(progress.clone())));
    let report = play(player, &output, args.duration, &mut stops, &progress).await;
    let closed = tokio::time::timeout(CLOSING, output.close()).await;
    progress.done();
    if let Some(file) = report_file {
        file.write(&report.handovers)?;
    }
    let mut outcome = report.outcome;
    if outcome.ending == Ending::Aborted {
        // Nobody but this command stops the player, and then it has what was asked for.
        outcome.ending = Ending::Complete;
    }
    let exit = judge(&outcome);
    closed
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .with_context(|| format!("cannot write {}", output::name(args.output.as_ref())))?;
    Ok(exit)
}

/// Takes messages until the stream, the duration, the output or the user ends it.
async fn play(
    mut player: Player,
    output: &Output,
    duration: Option<Duration>,
    stops: &mut Stops,
    progress: &Progress,
) -> Report {
    let (mut end, mut first, mut bytes) = (None, None, 0);
    loop {
        let message = tokio::select! {
            biased;
            _ = stops.next() => break,
            () = at(end) => break,
            message = player.next() => message,
        };
        let Some(message) = message else { break };
        if message.info().is_media() {
            let start = *first.get_or_insert(message.timestamp);
            end = end.or_else(|| duration.map(|duration| Instant::now() + duration));
            bytes += message.payload.len() as u64;
            let seconds = message.timestamp.since(start).max(0) / 1000;
            progress.update(bytes, || format!("{}:{:02} received", seconds / 60, seconds % 60));
        }
        // A pipe that takes nothing must not make the command deaf.
        tokio::select! {
            biased;
            taken = output.push(message) => if !taken { break },
            _ = stops.next() => break,
            () = at(end) => break,
        }
    }
    player.finish().await
}

async fn at(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
