//! What a server is told at its start, and the named bounds that it keeps. Parsing flags or files into it belongs to
//! the binary.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Streams that have ended and are kept for viewers on their way, at most.
pub const MAX_ENDED: usize = 64;
/// Bytes that their logs may hold together.
pub const MAX_ENDED_BYTES: usize = 128 << 20;
/// How long each is kept.
pub const KEEP_ENDED: Duration = Duration::from_secs(15);
/// Bytes that may wait for a viewer before the log is read on for it: one message and the configuration before it may go
/// past that. What waits is the log's own payloads; beside them a viewer keeps the configuration that it was sent last.
pub const VIEWER_QUEUE_BYTES: usize = 256 * 1024;
/// A viewer whose queue makes no progress for this long is dropped.
pub const VIEWER_STALL: Duration = Duration::from_secs(15);
/// How long a play waits for a stream that is not here yet.
pub const PARK: Duration = Duration::from_secs(30);
/// Plays that may wait, in all; one more is refused at once.
pub const MAX_PARKED: usize = 4096;
/// How long a connection that the server closes may take to close its own side.
pub const LINGER: Duration = Duration::from_secs(2);
/// How long a closing connection may take to take what is queued for it.
pub const FLUSH: Duration = Duration::from_secs(5);
/// How long the last acknowledgement waits for the recorder and for a leg in hold.
pub const SETTLE: Duration = Duration::from_secs(3);
/// A recorder further behind than this is degraded, and holds back no acknowledgement.
pub const RECORDER_LAG: Duration = Duration::from_secs(1);
/// Messages that may wait for a recorder that keeps up before its stream's publisher is read on: a source that is not
/// paced must not outrun the disk and the log.
pub const MAX_UNWRITTEN: u64 = 128;
/// Hand-over records kept for `GET handovers`.
pub const MAX_HANDOVERS: usize = 1000;
/// Points between what a publisher sent and what the log holds, kept per publisher. With more, the newest two merge,
/// which makes acknowledgements coarser and never wrong.
pub const MAX_CHECKPOINTS: usize = 1024;
/// Messages of a replaced publisher that are looked for in the log, whether its successor brought them; what comes after
/// so many counts as lost unseen.
pub const MAX_LOOKS: u64 = 1024;
/// Kernel's patience with a peer that acknowledges nothing.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection is silent before the kernel probes it, and between probes.
pub const TCP_KEEPALIVE: Duration = Duration::from_secs(5);

/// The time of day, for file names and records. `None` in a simulation.
pub type WallClock = Arc<dyn Fn() -> Option<jiff::Timestamp> + Send + Sync>;

/// Which of the extensions are switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// E-RTMP v2 Reconnect Request.
    pub reconnect: bool,
    /// RTMP Go Away.
    pub go_away: bool,
    /// Segue's own: leg header, last acknowledgement.
    pub segue: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self { reconnect: true, go_away: true, segue: true }
    }
}

/// Defaults of a drain that the request leaves open.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainDefaults {
    /// Where clients are sent, as `rtmp://host[:port][/app]`.
    pub to: Option<String>,
    /// From the command to the cut.
    pub deadline: Duration,
    /// From readiness off to the first signal that carries no address.
    pub settle: Duration,
    /// Over which signals are spread.
    pub over: Duration,
}

impl Default for DrainDefaults {
    fn default() -> Self {
        Self {
            to: None,
            deadline: Duration::from_secs(25),
            settle: Duration::from_secs(6),
            over: Duration::ZERO,
        }
    }
}

/// All that [`Server::bind`](crate::Server::bind) needs.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where RTMP is listened for; port 0 picks one.
    pub rtmp: SocketAddr,
    /// The public HTTP listener: health status only.
    pub http: Option<SocketAddr>,
    /// The admin API.
    pub admin: Option<SocketAddr>,
    /// Where recordings go; `None` records nothing.
    pub record: Option<PathBuf>,
    /// What a drain does unless the request says otherwise.
    pub drain: DrainDefaults,
    /// Loops, one thread each; 0 means one per core.
    pub shards: usize,
    /// Extensions.
    pub switches: Switches,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            rtmp: SocketAddr::from(([0, 0, 0, 0], 1935)),
            http: Some(SocketAddr::from(([0, 0, 0, 0], 8080))),
            admin: Some(SocketAddr::from(([127, 0, 0, 1], 1985))),
            record: None,
            drain: DrainDefaults::default(),
            shards: 0,
            switches: Switches::default(),
        }
    }
}
