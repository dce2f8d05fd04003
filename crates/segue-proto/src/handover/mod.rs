//! The hand-over: when to move to another server, and what goes where. Knows media messages, indexes and moments; knows
//! no bytes, no sessions and no sockets ([`crate::client`] joins those to it).
//!
//! [`publisher`] decides when a publisher dials, switches and gives up; [`replay`] keeps what it may have to send again;
//! [`viewer`] joins the legs that a viewer receives; [`record`] is what every hand-over leaves behind; [`backoff`]
//! spaces attempts.

pub mod backoff;
pub mod publisher;
pub mod record;
pub mod replay;
pub mod viewer;
