//! `segue publish`: an FLV file or stdin to a server, and to the next one when that goes. This file owns the flags, the
//! pace and what Ctrl-C means; the publisher is `segue_net`'s.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use segue_net::Publisher;
use segue_net::publisher::{Feed, Report};
use segue_proto::client::PublisherConfig;
use segue_proto::{MediaMessage, Timestamp};
use tokio::time::sleep_until;

use crate::client_args::{ClientArgs, judge, listener};
use crate::exit::{Exit, print, wrong_usage};
use crate::input::{Input, Item, Source};
use crate::key::StreamUrl;
use crate::pace::Pace;
use crate::progress::Progress;
use crate::report::ReportFile;
use crate::seconds;
use crate::stop::Stops;

/// Publish an FLV file, or stdin, to an RTMP server.
///
/// When the server says that it is going, the stream moves to another one at its next keyframe. Exits 0 if the server
/// has everything, 3 if something was lost, 1 if it failed. Ctrl-C ends the stream properly (stdin is read on to its
/// end); a second one aborts.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// An FLV file, or - for stdin
    #[arg(value_name = "INPUT")]
    input: PathBuf,

    #[command(flatten)]
    stream: StreamUrl,

    #[command(flatten)]
    client: ClientArgs,

    /// Seconds to wait for a keyframe to move at; then it moves by sending again from the last one
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds::parse)]
    boundary_deadline: Duration,

    /// Send a file as fast as it is taken, not at the pace of its timestamps; stdin is never paced
    #[arg(long)]
    no_pace: bool,

    /// Begin the file again at its end, with timestamps that go on, until stopped
    #[arg(long = "loop")]
    looped: bool,
}

/// Publishes.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let url = args.stream.resolve()?;
    let source = Source::from(args.input.as_path());
    let live_input = source == Source::Stdin;
    if live_input && args.looped {
        return Err(wrong_usage("--loop needs a file"));
    }
    let mut stops = Stops::listen()?;
    let name = &*if live_input { "stdin".into() } else { args.input.to_string_lossy() };
    let mut input = Input::open(&source, args.looped).with_context(|| format!("cannot read {name}"))?;
    let report_file = args.client.report.as_deref().map(ReportFile::create).transpose()?;
    // Nobody is connected to before there is something to send.
    let mut asked = false;
    let first = loop {
        tokio::select! {
            biased;
            _ = stops.next() => {
                if !live_input || asked {
                    bail!("stopped before {name} held anything to send");
                }
                asked = true;
            }
            item = input.next() => match item {
                Some(Item::Message(message)) => break message,
                Some(Item::Failed(error)) => return Err(error).context(name.to_owned()),
                Some(Item::Truncated(_)) | None => bail!("{name} holds no whole message"),
            }
        }
    };

    let progress = Progress::new(input.size().filter(|_| !args.looped));
    let config = PublisherConfig {
        announce: args.client.announce(),
        segue: args.client.announce().segue,
        redirect: args.client.redirect.clone(),
        boundary_deadline: args.boundary_deadline,
        ..PublisherConfig::new(url)
    };
    let paced = !live_input && !args.no_pace;
    let feed = if paced { Feed::Live } else { Feed::Unpaced };
    let publisher = Publisher::connect(config, feed, Some(listener(progress.clone())));

    let mut broken = None;
    {
        let mut feeding = std::pin::pin!(feed_all(first, &mut input, paced, &publisher, &progress, name));
        loop {
            tokio::select! {
                biased;
                _ = stops.next() => {
                    if asked {
                        publisher.aborter().abort();
                        break;
                    }
                    asked = true;
                    if !live_input {
                        break;
                    }
                    progress.say("reading on to the end of stdin; once more to abort");
                }
                () = publisher.over() => break,
                result = &mut feeding => {
                    broken = result.err();
                    break;
                }
            }
        }
    }
    let report = finish(publisher, &mut stops, asked).await;
    progress.done();
    if let Some(file) = report_file {
        file.write(&report.handovers)?;
    }
    let exit = conclude(&report)?;
    match broken {
        // What was lost says more than a file that broke off.
        Some(error) if exit == Exit::Done => Err(error),
        _ => Ok(exit),
    }
}

/// Pushes everything that the input gives, when it is due.
async fn feed_all(
    first: MediaMessage,
    input: &mut Input,
    paced: bool,
    publisher: &Publisher,
    progress: &Progress,
    name: &str,
) -> anyhow::Result<()> {
    let mut pace = Pace::default();
    let start = first.timestamp;
    let mut next = Some(Item::Message(first));
    while let Some(item) = next {
        match item {
            Item::Message(message) => {
                if paced {
                    sleep_until(pace.due(message.timestamp)).await;
                }
                let timestamp = message.timestamp;
                if publisher.push(message).await.is_err() {
                    return Ok(());
                }
                progress.update(input.bytes_read(), || position(start, timestamp));
            }
            Item::Truncated(bytes) => progress.say(&format!(
                "{name} ends inside a tag: published to its last whole one, without the last {bytes} bytes"
            )),
            Item::Failed(error) => return Err(error).context(name.to_owned()),
        }
        next = input.next().await;
    }
    Ok(())
}

/// Waits for the server's last word. The first request to stop is met by that already; a second one aborts.
async fn finish(publisher: Publisher, stops: &mut Stops, mut asked: bool) -> Report {
    let aborter = publisher.aborter();
    let mut finishing = std::pin::pin!(publisher.finish());
    loop {
        tokio::select! {
            biased;
            report = &mut finishing => return report,
            _ = stops.next() => {
                if std::mem::replace(&mut asked, true) {
                    aborter.abort();
                }
            }
        }
    }
}

/// One line on stdout of what was published, and the exit code.
fn conclude(report: &Report) -> anyhow::Result<Exit> {
    let counts = &report.counts;
    if counts.legs > 0 {
        let confirmed = report.outcome.confirmed.map_or("-", |yes| if yes { "true" } else { "false" });
        print(format_args!(
            "stream {} pushed {} missing {} connections {} confirmed {confirmed}\n",
            counts.stream, counts.pushed, report.outcome.missing, counts.legs
        ))?;
    }
    Ok(judge(&report.outcome))
}

fn position(start: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(start).max(0) / 1000;
    format!("{}:{:02} published", seconds / 60, seconds % 60)
}
