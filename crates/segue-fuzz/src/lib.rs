//! The fuzz targets as plain functions: each takes any bytes and asserts what must hold for them. `fuzz/` gives them to
//! libFuzzer, `tests/corpus.rs` replays its corpus on them, so that what was once found stays found without a fuzzer.
//!
//! A target asserts more than that nothing panics: any split reads the same, what is read is written back the same,
//! memory is bounded by what came, a saved session goes on as if nothing had been, epochs only rise.
//!
//! The bytes are no format of their own: a parser's target takes the parser's input behind a byte or two of settings,
//! a state machine's reads operations off them, with zeros where they end, so that every input means something.

mod aggregate;
mod amf;
mod check;
mod chunk;
mod codec;
mod command;
mod flv;
mod handover;
mod handshake;
mod input;
mod replay;
mod script;
mod session;
mod stream_log;
mod tag;
mod url;
mod viewer;

pub use aggregate::aggregate;
pub use amf::{amf0, amf3};
pub use chunk::chunk_reader;
pub use codec::codec;
pub use command::command;
pub use flv::flv;
pub use handover::handover;
pub use handshake::handshake;
pub use replay::replay;
pub use session::client::client_session;
pub use session::server::server_session;
pub use stream_log::stream_log;
pub use tag::media_tag;
pub use url::url;
pub use viewer::viewer;

/// One target: its name, which is that of its corpus folder and of its file in `fuzz/fuzz_targets`, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("aggregate", aggregate),
    ("amf0", amf0),
    ("amf3", amf3),
    ("chunk_reader", chunk_reader),
    ("client_session", client_session),
    ("codec", codec),
    ("command", command),
    ("flv", flv),
    ("handover", handover),
    ("handshake", handshake),
    ("media_tag", media_tag),
    ("replay", replay),
    ("server_session", server_session),
    ("stream_log", stream_log),
    ("url", url),
    ("viewer", viewer),
];
