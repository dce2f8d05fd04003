//! client
pub mod redirect;
