//! `segue serve`: flags, the lines that say where it listens, and what signals do. The server is `segue_server`'s.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use segue_server::drain::{Refused, ServerState};
use segue_server::{Addresses, DrainDefaults, Handle, Server, ServerConfig, Switches};

use crate::dialects::Dialects;
use crate::exit::{Exit, complain};
use crate::seconds;
use crate::stop::{Stop, Stops};

/// A second SIGTERM so soon is the same wish, sent by a shell to a group and by a supervisor to its child.
const SAME_WISH: Duration = Duration::from_secs(2);
/// After a drain's deadline: closing sequences, recordings.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long connections and files may take to close when the server stops.
const STOPPING: Duration = Duration::from_secs(10);

/// Run a server.
///
/// Prints a line per listener once it accepts. SIGTERM drains (clients are told to go and move elsewhere), then exits
/// 0, or 3 if a publisher was cut or lost something; a second SIGTERM, 2 s later or more, or SIGINT stops at once.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where to listen for RTMP; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:1935")]
    rtmp: SocketAddr,

    /// Where to answer load balancers' health checks
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    http: SocketAddr,

    /// Where to offer the admin API; keep it private
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1985")]
    admin: SocketAddr,

    /// Record every stream below DIR, as FLV, one file a connection
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// Where a drain sends clients, rtmp://host[:port][/app]
    #[arg(long, value_name = "URL", value_parser = crate::drain::target)]
    drain_to: Option<String>,

    /// Seconds until a drain cuts whoever is still there
    #[arg(long, value_name = "S", default_value = "25", value_parser = seconds::parse)]
    drain_deadline: Duration,

    /// Seconds from the failing health check to the first signal without an address
    #[arg(long, value_name = "S", default_value = "6", value_parser = seconds::parse)]
    drain_settle: Duration,

    /// Which hand-over signals a drain may send to clients that announced them
    #[arg(long, value_enum, default_value_t = Dialects::Both, value_name = "DIALECT")]
    signals: Dialects,

    /// Leave out the `segue` extension: leg headers and last acknowledgements
    #[arg(long)]
    plain: bool,
}

impl Args {
    fn config(self) -> ServerConfig {
        let (reconnect, go_away) = self.signals.reconnect_and_go_away();
        ServerConfig {
            rtmp: self.rtmp,
            http: Some(self.http),
            admin: Some(self.admin),
            record: self.record,
            drain: DrainDefaults {
                to: self.drain_to,
                deadline: self.drain_deadline,
                settle: self.drain_settle,
                ..DrainDefaults::default()
            },
            switches: Switches { reconnect, go_away, segue: !self.plain },
            ..ServerConfig::default()
        }
    }
}

/// Serves until a signal ends it.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    // Before the first line: whoever reads it may send a signal at once.
    let mut stops = Stops::listen()?;
    let server = Server::bind(args.config())?;
    let (addresses, handle) = (server.addresses(), server.handle());
    let running = server.spawn()?;
    let mut joined = tokio::task::spawn_blocking(move || running.join());
    announce(addresses)?;

    loop {
        let stop = tokio::select! {
            biased;
            stop = stops.next() => stop,
            ended = &mut joined => {
                ended?.context("the server failed")?;
                return Ok(Exit::Done);
            }
        };
        if stop == Stop::Interrupt || drained(&handle, &mut stops).await {
            break;
        }
        complain("the drain was cancelled; serving on");
    }
    // None after a drain, unless one came back or would not go.
    let cut = handle.publishers() > 0;
    handle.stop_now();
    match tokio::time::timeout(STOPPING, joined).await {
        Ok(ended) => ended?.context("the server failed")?,
        Err(_) => complain("connections or recordings did not close in time"),
    }
    let unrecorded = handle.unrecorded();
    if unrecorded > 0 {
        complain(&format!("{unrecorded} messages were not recorded"));
    }
    Ok(if cut || unrecorded > 0 || handle.report().has_loss() { Exit::Lost } else { Exit::Done })
}

/// `listening ...`, a line a listener, there for a script to read at once.
fn announce(addresses: Addresses) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening rtmp://{}", addresses.rtmp)?;
    if let Some(http) = addresses.http {
        writeln!(out, "listening http://{http}")?;
    }
    if let Some(admin) = addresses.admin {
        writeln!(out, "listening admin http://{admin}")?;
    }
    out.flush()
}

/// Drains, or waits for the drain that is under way as it is; until a signal, or the end of patience, at the latest.
/// Returns false if the drain was cancelled: then the server runs as before.
async fn drained(handle: &Handle, stops: &mut Stops) -> bool {
    if let Err(refused) = handle.drain(handle.default_drain())
        && !matches!(refused, Refused::Busy | Refused::Drained)
    {
        complain(&format!("cannot drain: {refused}"));
    }
    let asked = Instant::now();
    let report = handle.report();
    let left = Duration::try_from_secs_f64(report.deadline - report.elapsed).unwrap_or_default();
    let waiting = handle.clone();
    let mut end = tokio::task::spawn_blocking(move || waiting.wait_drained(left + PATIENCE));
    loop {
        tokio::select! {
            biased;
            report = &mut end => return report.map_or(true, |report| report.state != ServerState::Running),
            stop = stops.next() => {
                if stop == Stop::Interrupt || asked.elapsed() >= SAME_WISH {
                    return true;
                }
            }
        }
    }
}
