//! FLV files, and the ledger that compares them.
//!
//! [`reader`] and [`writer`] know the file format (Video File Format Specification 10.1, annex E) and nothing of what
//! the tags hold: that is `segue_proto::media`. [`ledger`] says what "nothing was lost" means, for messages from
//! anywhere; [`verify`] applies it to files.

pub mod ledger;
pub mod reader;
pub mod verify;
pub mod writer;

pub use ledger::{Ledger, Options, Report};
pub use reader::{Messages, Reader};
pub use writer::{Frame, Writer};

/// Why a file could not be read or written. One line each, without the file's name, which the caller knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not an FLV header.
    #[error("not an FLV file")]
    NotFlv,
    /// The input ended before its header was complete: an empty file, or one whose writer died at once.
    #[error("not an FLV file: it ends inside its header")]
    NoHeader,
    /// A payload does not fit the 24 bits of a tag's size.
    #[error("a message of {0} bytes does not fit an FLV tag")]
    TooLarge(usize),
    /// The operating system failed to read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
