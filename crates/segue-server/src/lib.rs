//! The RTMP server: accept, publish, play, record, drain.
//!
//! Decisions are made without I/O, in [`shard`] (connections), [`hub`] (streams), [`drain`] and segue-proto's log;
//! the reactor, the recorder's thread and the [`admin`] API carry them out. A simulation drives a [`shard::Shard`] with
//! virtual time and no sockets.
//!
//! ```no_run
//! use segue_server::{Server, ServerConfig};
//!
//! let server = Server::bind(ServerConfig::default())?;
//! println!("listening rtmp://{}", server.addresses().rtmp);
//! let handle = server.handle();
//! let running = server.spawn()?;
//! handle.drain(handle.default_drain())?;
//! let report = handle.wait_drained(std::time::Duration::from_secs(30));
//! handle.stop_now();
//! running.join()?;
//! std::process::exit(if report.has_loss() { 3 } else { 0 });
//! # #[allow(unreachable_code)] Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod admin;
pub mod config;
pub mod drain;
mod handle;
pub mod hub;
mod reactor;
pub mod record;
mod server;
pub mod shard;

pub use config::{DrainDefaults, ServerConfig, Switches};
pub use handle::Handle;
pub use reactor::Clock;
pub use server::{Addresses, BindError, Running, Server};
