//! Saved sessions: the bytes in which a connection's state goes to another process of the same machine, which goes on
//! with it as if nothing had been. Here are the format's pieces and its version; what is in a session's state stands
//! beside the types that it is made of, each of which says so by `plain!`.
//!
//! The format is no one's but the same build's: no names, no lengths that could be known, big-endian numbers. A change
//! to any type in it is a new [`VERSION`]. Saved state holds stream keys and media: it is as secret as they are.
//!
//! What is restored is trusted no more than what a peer sends: lengths are believed for as many bytes as are there,
//! and what could not have been saved is [`RestoreError::Malformed`]. Another session's state is not told from one's own.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thiserror::Error as ThisError;

use crate::time::Moment;
use crate::timestamp::Timestamp;

/// The version of everything saved.
pub const VERSION: u16 = 1;

/// Why saved state is not restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum RestoreError {
    /// Another build saved it.
    #[error("saved state has version {0}, this is version {VERSION}")]
    Version(u16),
    /// It is cut short, too long, or no state of this kind.
    #[error("saved state is malformed: {0}")]
    Malformed(&'static str),
    /// The server now cuts its frames to another chunk size than the connection was told.
    #[error("saved state is of another chunk size")]
    ChunkSize,
}

/// A value that can be saved.
pub(crate) trait State: Sized {
    /// Appends it.
    fn save(&self, to: &mut Vec<u8>);
    /// Takes it from the front.
    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError>;
}

/// Saves `state`, behind what says that it is of this `kind`.
pub(crate) fn save(kind: [u8; 4], state: &impl State) -> Vec<u8> {
    let mut bytes = kind.to_vec();
    VERSION.save(&mut bytes);
    state.save(&mut bytes);
    bytes
}

/// Restores what [`save`] saved, all of it.
pub(crate) fn restore<T: State>(kind: [u8; 4], mut bytes: &[u8]) -> Result<T, RestoreError> {
    if <[u8; 4]>::restore(&mut bytes)? != kind {
        return Err(RestoreError::Malformed("of another kind"));
    }
    let version = u16::restore(&mut bytes)?;
    if version != VERSION {
        return Err(RestoreError::Version(version));
    }
    let state = T::restore(&mut bytes)?;
    if bytes.is_empty() { Ok(state) } else { Err(RestoreError::Malformed("too long")) }
}

/// Implements [`State`] for a struct, field by field, or an enum, whose variants get a number each. A field that is
/// forgotten does not compile. `if` says what must hold of a restored one.
macro_rules! plain {
    (struct $name:ident { $($field:ident),* $(,)? } $(if $check:expr)?) => {
        impl $crate::state::State for $name {
            fn save(&self, to: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::state::State::save($field, to);)*
            }
            fn restore(from: &mut &[u8]) -> Result<Self, $crate::state::RestoreError> {
                $(let $field = $crate::state::State::restore(from)?;)*
                let restored = Self { $($field),* };
                $(
                    let check: fn(&Self) -> bool = $check;
                    if !check(&restored) {
                        return Err($crate::state::RestoreError::Malformed(stringify!($name)));
                    }
                )?
                Ok(restored)
            }
        }
    };
    (enum $name:ident { $($tag:literal => $variant:ident $(($item:ident))? $({ $($field:ident),* })?),* $(,)? }) => {
        impl $crate::state::State for $name {
            fn save(&self, to: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($item))? $({ $($field),* })? => {
                        to.push($tag);
                        $($crate::state::State::save($item, to);)?
                        $($($crate::state::State::save($field, to);)*)?
                    })*
                }
            }
            fn restore(from: &mut &[u8]) -> Result<Self, $crate::state::RestoreError> {
                Ok(match <u8 as $crate::state::State>::restore(from)? {
                    $($tag => {
                        $(let $item = $crate::state::State::restore(from)?;)?
                        $($(let $field = $crate::state::State::restore(from)?;)*)?
                        Self::$variant $(($item))? $({ $($field),* })?
                    })*
                    _ => return Err($crate::state::RestoreError::Malformed(stringify!($name))),
                })
            }
        }
    };
}
pub(crate) use plain;

const SHORT: RestoreError = RestoreError::Malformed("too short");

/// Takes the first `n` bytes.
fn take<'a>(from: &mut &'a [u8], n: usize) -> Result<&'a [u8], RestoreError> {
    let (bytes, rest) = from.split_at_checked(n).ok_or(SHORT)?;
    *from = rest;
    Ok(bytes)
}

macro_rules! number {
    ($($type:ty),*) => {
        $(impl State for $type {
            fn save(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_be_bytes());
            }
            fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
                State::restore(from).map(Self::from_be_bytes)
            }
        })*
    };
}
number!(u8, u16, u32, u64, i32, f64);

impl<const N: usize> State for [u8; N] {
    fn save(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let (bytes, rest) = from.split_first_chunk().ok_or(SHORT)?;
        *from = rest;
        Ok(*bytes)
    }
}

impl State for usize {
    fn save(&self, to: &mut Vec<u8>) {
        (*self as u64).save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        u64::restore(from)?.try_into().map_err(|_| RestoreError::Malformed("a size"))
    }
}

impl State for bool {
    fn save(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        match u8::restore(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RestoreError::Malformed("a bool")),
        }
    }
}

impl State for Vec<u8> {
    fn save(&self, to: &mut Vec<u8>) {
        self.len().save(to);
        to.extend_from_slice(self);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let len = usize::restore(from)?;
        take(from, len).map(<[u8]>::to_vec)
    }
}

impl State for Bytes {
    fn save(&self, to: &mut Vec<u8>) {
        self.len().save(to);
        to.extend_from_slice(self);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        Vec::restore(from).map(Self::from)
    }
}

impl State for BytesMut {
    fn save(&self, to: &mut Vec<u8>) {
        self.len().save(to);
        to.extend_from_slice(self);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let len = usize::restore(from)?;
        take(from, len).map(Self::from)
    }
}

impl State for String {
    fn save(&self, to: &mut Vec<u8>) {
        self.len().save(to);
        to.extend_from_slice(self.as_bytes());
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        Self::from_utf8(Vec::restore(from)?).map_err(|_| RestoreError::Malformed("a text"))
    }
}

impl<T: State> State for Option<T> {
    fn save(&self, to: &mut Vec<u8>) {
        self.is_some().save(to);
        if let Some(value) = self {
            value.save(to);
        }
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        bool::restore(from)?.then(|| T::restore(from)).transpose()
    }
}

impl<A: State, B: State> State for (A, B) {
    fn save(&self, to: &mut Vec<u8>) {
        self.0.save(to);
        self.1.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        Ok((A::restore(from)?, B::restore(from)?))
    }
}

/// Saves a list; bytes have a form of their own.
pub(crate) fn save_list<T: State>(list: &[T], to: &mut Vec<u8>) {
    list.len().save(to);
    list.iter().for_each(|item| item.save(to));
}

/// Restores a list of at most `max`.
pub(crate) fn restore_list<T: State>(from: &mut &[u8], max: usize) -> Result<Vec<T>, RestoreError> {
    match usize::restore(from)? {
        len if len <= max => (0..len).map(|_| T::restore(from)).collect(),
        _ => Err(RestoreError::Malformed("a list")),
    }
}

impl<K: State + Ord, V: State> State for BTreeMap<K, V> {
    fn save(&self, to: &mut Vec<u8>) {
        self.len().save(to);
        for (key, value) in self {
            key.save(to);
            value.save(to);
        }
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let mut map = Self::new();
        for _ in 0..usize::restore(from)? {
            map.insert(K::restore(from)?, V::restore(from)?);
        }
        Ok(map)
    }
}

impl State for Moment {
    fn save(&self, to: &mut Vec<u8>) {
        self.as_micros().save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        u64::restore(from).map(Self::from_micros)
    }
}

impl State for Duration {
    fn save(&self, to: &mut Vec<u8>) {
        u64::try_from(self.as_micros()).unwrap_or(u64::MAX).save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        u64::restore(from).map(Self::from_micros)
    }
}

impl State for Timestamp {
    fn save(&self, to: &mut Vec<u8>) {
        self.as_millis().save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        u32::restore(from).map(Self::from_millis)
    }
}
