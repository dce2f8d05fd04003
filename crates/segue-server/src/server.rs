//! The whole server: listeners, loops, recorder and API in threads. What steers it is `handle`'s. Signals, flags and exit codes are the binary's.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use mio::net::TcpListener;
use thiserror::Error;

use crate::admin;
use crate::config::{ServerConfig, WallClock};
use crate::drain::{Control, Target};
use crate::handle::Handle;
use crate::hub::{Hub, HubConfig};
use crate::reactor::{Clock, Inbox, Reactor};
use crate::record::{self, Recorder};
use crate::shard::Shard;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum BindError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Recordings cannot be written.
    #[error("cannot write recordings to {}: {source}", path.display())]
    Record {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The drain's default target is none.
    #[error("the drain target is not of the form rtmp://host[:port][/app]")]
    DrainTarget,
    /// The system refuses something else.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// The addresses that a server listens on; port 0 is replaced by the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// RTMP.
    pub rtmp: SocketAddr,
    /// Public HTTP.
    pub http: Option<SocketAddr>,
    /// Admin API.
    pub admin: Option<SocketAddr>,
}

/// A server whose listeners are bound. It accepts once it [runs](Self::spawn).
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    handle: Handle,
    reactors: Vec<Reactor>,
    recorder: Option<Recorder>,
    http: Option<std::net::TcpListener>,
    admin: Option<std::net::TcpListener>,
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reactor")
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

fn listen(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let bind = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    bind().map_err(|source| BindError::Listen { address, source })
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

impl Server {
    /// Binds the listeners, and checks what can be checked.
    ///
    /// # Errors
    ///
    /// [`BindError`], one clear line each.
    pub fn bind(config: ServerConfig) -> Result<Self, BindError> {
        if let Some(to) = &config.drain.to {
            Target::parse(to).map_err(|_| BindError::DrainTarget)?;
        }
        let rtmp = listen(config.rtmp)?;
        let http = config.http.map(listen).transpose()?;
        let admin = config.admin.map(listen).transpose()?;
        let addresses = Addresses {
            rtmp: rtmp.local_addr()?,
            http: http.as_ref().map(std::net::TcpListener::local_addr).transpose()?,
            admin: admin.as_ref().map(std::net::TcpListener::local_addr).transpose()?,
        };
        let wall: WallClock = Arc::new(|| Some(jiff::Timestamp::now()));
        let recorder = match &config.record {
            Some(dir) => {
                record::prepare(dir).map_err(|source| BindError::Record { path: dir.clone(), source })?;
                Some(Recorder::new(dir.clone(), wall.clone()))
            }
            None => None,
        };
        let shards = match config.shards {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            shards => shards,
        };
        let server_id = random::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let seed = u64::from_be_bytes(random()?);
        let hub = Hub::new(HubConfig {
            shards,
            log: segue_proto::log::Config::default(),
            recorded: recorder.is_some(),
            address: addresses.rtmp.to_string(),
            server_id,
            wall,
        });
        let drain = Control::new(seed);
        let clock = Clock::start();
        let inboxes: Arc<[Inbox]> = (0..shards).map(|_| Inbox::default()).collect();
        let mut listener = Some(TcpListener::from_std(rtmp));
        let mut reactors = Vec::with_capacity(shards);
        for index in 0..shards {
            let shard = Shard::new(
                hub.clone(),
                drain.clone(),
                index,
                config.switches,
                seed.wrapping_add(index as u64),
            );
            reactors.push(Reactor::new(shard, hub.clone(), index, clock, inboxes.clone(), listener.take())?);
        }
        let handle = Handle::new(hub, drain, clock, config.drain);
        Ok(Self { addresses, handle, reactors, recorder, http, admin })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Steers it, from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Starts its threads. From now on it accepts.
    ///
    /// # Errors
    ///
    /// What the system says of threads.
    pub fn spawn(self) -> io::Result<Running> {
        let hub = self.handle.hub().clone();
        let mut loops = Vec::new();
        for (index, reactor) in self.reactors.into_iter().enumerate() {
            let name = format!("shard-{index}");
            loops.push(std::thread::Builder::new().name(name).spawn(move || reactor.run())?);
        }
        let recorder = match self.recorder {
            Some(recorder) => {
                let hub = hub.clone();
                Some(std::thread::Builder::new().name("record".into()).spawn(move || recorder.run(&hub))?)
            }
            None => None,
        };
        let api = admin::spawn(self.handle.clone(), self.admin, self.http)?;
        Ok(Running { hub, loops, recorder, api })
    }

    /// Runs until it is [stopped](Handle::stop_now).
    ///
    /// # Errors
    ///
    /// What the system says, of threads or of polling.
    pub fn run(self) -> io::Result<()> {
        self.spawn()?.join()
    }
}

/// A server at work.
#[derive(Debug)]
pub struct Running {
    hub: Arc<Hub>,
    loops: Vec<JoinHandle<io::Result<()>>>,
    recorder: Option<JoinHandle<()>>,
    api: admin::Api,
}

impl Running {
    /// Waits until the server is [stopped](Handle::stop_now) and everything received is handed on.
    ///
    /// # Errors
    ///
    /// The first loop's that failed.
    pub fn join(self) -> io::Result<()> {
        let mut result = Ok(());
        for handle in self.loops {
            let ended = handle.join().unwrap_or_else(|_| Err(io::Error::other("a shard panicked")));
            if ended.is_err() {
                self.hub.stop();
            }
            result = result.and(ended);
        }
        self.hub.bell().stop();
        if let Some(recorder) = self.recorder {
            let ended = recorder.join().map_err(|_| io::Error::other("the recorder panicked"));
            result = result.and(ended);
        }
        self.api.stop();
        result
    }
}
