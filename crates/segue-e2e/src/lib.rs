//! What the end-to-end tests are made of: the `segue` binary as its users run it, real peers (ffmpeg, HAProxy, OBS), a
//! proxy that makes faults, and judges that share no code with the product.
//!
//! Nothing here links a Segue crate. FLV, chunk streams and the headers of tracks are read by a few lines of our own ([`flv`],
//! [`wire`], [`enhanced`]), so
//! that a mistake in the product's reader cannot hide the same mistake in its writer.
//!
//! A test makes a [`Bench`] (a directory of its own, and a turn: one end-to-end test at a time), starts processes on
//! it, and asserts. Processes end with the values that stand for them; when a test fails, the bench keeps its
//! directory and every process shows the end of its log.

pub mod bench;
pub mod books;
pub mod enhanced;
pub mod fault_proxy;
pub mod ffmpeg9;
pub mod flv;
pub mod haproxy;
pub mod hostile;
pub mod http;
pub mod lateness;
pub mod ledger;
pub mod mutate;
pub mod obs;
pub mod process;
pub mod segue;
pub mod source;
pub mod tracks;
pub mod wire;

pub use bench::Bench;
pub use fault_proxy::FaultProxy;
pub use process::Proc;
pub use segue::Server;
pub use source::{Clip, Publish};
