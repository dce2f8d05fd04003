//! `segue demo`: the main job, on this machine, in half a minute. Two servers, a publisher and a viewer in one process;
//! one server is drained in the middle; then the files that were written are compared with what was sent. Owns the
//! story and its telling; everything in it is what `serve`, `publish`, `play`, `drain` and `verify` use.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use segue_flv::ledger::Options;
use segue_flv::verify::files;
use segue_net::publisher::Feed;
use segue_net::{Event, Player, Publisher};
use segue_proto::MediaMessage;
use segue_proto::client::{Ending, PlayerConfig, PublisherConfig};
use segue_proto::url::RtmpUrl;
use segue_server::drain::Target;
use segue_server::{Addresses, Handle, Server, ServerConfig};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::client_args::describe;
use crate::exit::{Exit, print};
use crate::output::Output;
use crate::pace::Pace;

/// Real H.264 and AAC, with picture and sound that never repeat.
const CLIP: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/demo.flv"));
/// Everything together takes less, or something is wrong.
const LIMIT: Duration = Duration::from_secs(29);
/// How long the viewer may take to see the stream's end, and servers to close.
const CLOSING: Duration = Duration::from_secs(4);
/// The drain's deadline.
const DEADLINE: Duration = Duration::from_secs(8);
const STREAM: &str = "live/demo";

/// See it work: a live stream moves from one server to another, and nothing is lost.
///
/// Starts two servers on this machine, publishes a clip to the first, plays it, drains the first server in the middle,
/// and compares what both recorded, and what the viewer received, with the clip. Ends by itself within 30 seconds.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the files go [default: a new folder among the temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Plays the story through.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let folder = folder(args.dir)?;
    timeout(LIMIT, story(&folder)).await.context("the demo takes too long; this machine is busy")?
}

async fn story(folder: &Path) -> anyhow::Result<Exit> {
    let clip = folder.join("clip.flv");
    std::fs::write(&clip, CLIP).with_context(|| format!("cannot write {}", clip.display()))?;
    let messages = segue_flv::reader::read_file(&clip)?.collect::<Result<Vec<_>, _>>()?;
    let length = length(&messages);

    let a = Site::start("A", folder.join("a"))?;
    let b = Site::start("B", folder.join("b"))?;
    print(format_args!("Two servers on this machine: A at {}, B at {}.\n", a.rtmp, b.rtmp))?;
    print(format_args!("Everything they record, and all that follows, is in {}\n", folder.display()))?;
    print("\n")?;
    let tale = Arc::new(Tale { begun: Instant::now(), names: [(a.rtmp, 'A'), (b.rtmp, 'B')] });

    let viewer_file = folder.join("viewer.flv");
    let url = RtmpUrl::parse(&format!("rtmp://{}/{STREAM}", a.rtmp))?;
    let viewer = watch(url.clone(), &viewer_file, &tale)?;
    tale.tell("A viewer asks A for the stream, and waits for it.");
    let publisher =
        Publisher::connect(PublisherConfig::new(url), Feed::Live, Some(tale.listener("publisher")));
    tale.tell(&format!("A publisher sends A a clip of {:.0} s, live: H.264 and AAC.", length.as_secs_f64()));

    let drain = tokio::spawn(drain_halfway(a.handle.clone(), b.rtmp, length / 2, tale.clone()));
    let mut pace = Pace::default();
    for message in messages {
        sleep_until(pace.due(message.timestamp)).await;
        if publisher.push(message).await.is_err() {
            break;
        }
    }
    let report = publisher.finish().await;
    if let Ending::Failed(why) | Ending::Lost(why) = &report.outcome.ending {
        bail!("the publisher failed: {why}");
    }
    tale.tell(&format!(
        "The clip is over: {} messages sent over {} connections, {}.",
        report.counts.pushed,
        report.counts.legs,
        if report.outcome.confirmed == Some(true) { "every byte confirmed" } else { "not confirmed" }
    ));
    drain.await??;
    timeout(CLOSING, viewer).await.context("the viewer did not see the stream's end")???;
    tale.tell("The viewer has seen the stream's end.");
    for site in [&a, &b] {
        site.handle.stop_now();
    }
    let recordings = [a.stop().await?, b.stop().await?].concat();
    compare(&clip, &viewer_file, &recordings)
}

/// Compares what the viewer and the servers have with the clip. The last lines are `verify`'s of the recordings.
fn compare(clip: &Path, viewer: &Path, recordings: &[PathBuf]) -> anyhow::Result<Exit> {
    let options = Options { whole: true, no_overlap: true, ..Options::default() };
    print(format_args!("\nWhat the viewer received, against what was sent:\n"))?;
    print(format_args!("segue verify {} {} --whole --no-overlap\n", clip.display(), viewer.display()))?;
    let seen = files(options, clip, &[viewer])?.report;
    print(&seen)?;
    print(format_args!("\nWhat A and B recorded, one after the other, against what was sent:\n"))?;
    let paths = recordings.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    print(format_args!("segue verify {} {paths} --whole --no-overlap\n", clip.display()))?;
    let recorded = files(options, clip, recordings)?.report;
    print(&recorded)?;
    Ok(if seen.is_whole() && recorded.is_whole() { Exit::Done } else { Exit::Lost })
}

/// Drains A to B when half of the clip is over, and waits until it is empty.
async fn drain_halfway(a: Handle, b: SocketAddr, after: Duration, tale: Arc<Tale>) -> anyhow::Result<()> {
    sleep_until(tale.begun + after).await;
    tale.tell("A is drained, as before a restart: it tells its clients to go to B.");
    let request = segue_server::drain::Request {
        to: Some(Target::parse(&format!("rtmp://{b}"))?),
        deadline: DEADLINE,
        settle: Duration::ZERO,
        ..a.default_drain()
    };
    a.drain(request)?;
    let report = tokio::task::spawn_blocking(move || a.wait_drained(2 * DEADLINE)).await?;
    tale.tell(&format!(
        "A is empty: {} stream moved, {} cut.",
        report.publishers.moved, report.publishers.cut
    ));
    Ok(())
}

/// Plays the stream into a file, on a task of its own.
fn watch(url: RtmpUrl, file: &Path, tale: &Arc<Tale>) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let output = Output::open(Some(file))?;
    let mut player = Player::connect(PlayerConfig::new(url), Some(tale.listener("viewer")));
    Ok(tokio::spawn(async move {
        while let Some(message) = player.next().await {
            if !output.push(message).await {
                break;
            }
        }
        output.close().await.context("cannot write what the viewer receives")?;
        match player.finish().await.outcome.ending {
            Ending::Failed(why) | Ending::Lost(why) => bail!("the viewer failed: {why}"),
            _ => Ok(()),
        }
    }))
}

/// One of the two servers.
struct Site {
    rtmp: SocketAddr,
    handle: Handle,
    joined: JoinHandle<std::io::Result<()>>,
    folder: PathBuf,
}

impl Site {
    fn start(name: &str, folder: PathBuf) -> anyhow::Result<Self> {
        let config = ServerConfig {
            rtmp: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            http: None,
            admin: None,
            record: Some(folder.clone()),
            shards: 1,
            ..ServerConfig::default()
        };
        let server = Server::bind(config).with_context(|| format!("server {name}"))?;
        let (Addresses { rtmp, .. }, handle) = (server.addresses(), server.handle());
        let running = server.spawn()?;
        Ok(Self { rtmp, handle, joined: tokio::task::spawn_blocking(move || running.join()), folder })
    }

    /// Waits until it has closed; gives its recordings, in the order of legs.
    async fn stop(self) -> anyhow::Result<Vec<PathBuf>> {
        timeout(CLOSING, self.joined).await.context("a server did not stop in time")???;
        let app = STREAM.split('/').next().unwrap_or_default();
        let entries = std::fs::read_dir(self.folder.join(app)).context("a server recorded nothing")?;
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }
}

/// Tells what happens, with the seconds since the beginning.
struct Tale {
    begun: Instant,
    names: [(SocketAddr, char); 2],
}

impl Tale {
    fn tell(&self, text: &str) {
        // A tale that nobody reads any more goes on all the same: the files count.
        let _ = print(format_args!("{:5.1} s  {text}\n", self.begun.elapsed().as_secs_f64()));
    }

    /// Tells the hand-overs of one of the two clients.
    fn listener(self: &Arc<Self>, who: &'static str) -> Box<dyn FnMut(Event) + Send> {
        let tale = Arc::clone(self);
        Box::new(move |event| {
            if let Event::Handover(record) = event {
                let text = tale.names.iter().fold(describe(&record), |text, (address, name)| {
                    text.replace(&address.to_string(), &name.to_string())
                });
                tale.tell(&format!("The {who}: {text}."));
            }
        })
    }
}

/// From the first timestamp to the last.
fn length(messages: &[MediaMessage]) -> Duration {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Duration::ZERO };
    Duration::from_millis(u64::try_from(last.timestamp.since(first.timestamp)).unwrap_or(0))
}

/// The folder to write to: a new one, so that nothing of an earlier run is compared.
fn folder(wanted: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S-%3f");
    let parent = wanted.unwrap_or_else(std::env::temp_dir);
    let folder = parent.join(format!("segue-demo-{stamp}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
