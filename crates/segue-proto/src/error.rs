//! Errors of the protocol layers. Each says whose fault it is, because that decides what to do: a peer that
//! misbehaves is closed, one that is incompatible is told so, misuse is the caller's bug, a limit is a setting.

use thiserror::Error as ThisError;

/// Why a session or parser gave up.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol: close the connection.
    #[error("peer misbehaved: {0}")]
    PeerMisbehaved(&'static str),
    /// The peer speaks something we don't: close the connection.
    #[error("peer incompatible: {0}")]
    PeerIncompatible(&'static str),
    /// The caller used the API out of order.
    #[error("misuse: {0}")]
    Misuse(&'static str),
    /// A bound was exceeded; the text names it.
    #[error("limit exceeded: {0}")]
    LimitExceeded(&'static str),
    /// A deadline passed; the text names what was waited for.
    #[error("timed out waiting for {0}")]
    TimedOut(&'static str),
}
