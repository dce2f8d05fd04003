//! x
pub mod clock;
mod dial;
mod driver;
