//! AMF0 values: what commands and data messages are written in (Action Message Format AMF 0, 2007, section 2). The
//! tree, its accessors and its encoder are here; the bounded decoder is in `amf0/decode.rs`, and `amf0/plain.rs` says
//! in AMF0 what a message says in AMF3. What a command means is [`crate::message`]'s, AMF3 itself is
//! [`crate::amf3`]'s.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod decode;
mod plain;

pub use decode::{decode, decode_all};
pub(crate) use plain::has_amf3;
pub use plain::plain;

pub use crate::amf::{MAX_COMMAND_BYTES, MAX_DEPTH, MAX_VALUES};
use crate::{amf, amf3};

/// Type markers (AMF0, 2.1).
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const XML_DOCUMENT: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVMPLUS: u8 = 0x11;
}

/// One AMF0 value. Property order, and names that repeat, are kept as they stand on the wire.
///
/// The decoder builds none that is deeper than [`MAX_DEPTH`]. Whoever builds one by hand keeps to that too: encoding,
/// comparing and dropping recurse as deep as the value is.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// 0x00: a double.
    Number(f64),
    /// 0x01.
    Boolean(bool),
    /// 0x02, or 0x0C (long string) if longer than 65,535 bytes.
    String(String),
    /// 0x03: an anonymous object.
    Object(Vec<(String, Value)>),
    /// 0x05.
    Null,
    /// 0x06.
    Undefined,
    /// 0x07: an index into the objects before it; kept, not followed.
    Reference(u16),
    /// 0x08: an associative array. Its count on the wire is a hint, and written as the number of properties.
    EcmaArray(Vec<(String, Value)>),
    /// 0x0A.
    StrictArray(Vec<Value>),
    /// 0x0B.
    Date {
        /// Milliseconds since 1970-01-01 UTC.
        ms: f64,
        /// Time zone in minutes; reserved, 0 by the spec.
        tz: i16,
    },
    /// 0x0D: the sender could not express it.
    Unsupported,
    /// 0x0F: XML, as text.
    XmlDocument(String),
    /// 0x10: an object of a named class; data only, no class is looked up.
    TypedObject {
        /// The class alias.
        class: String,
        /// Its properties.
        properties: Vec<(String, Value)>,
    },
    /// 0x11: a value in AMF3 (3.1). The accessors here don't look into it; [`plain`] gives the same in AMF0.
    AvmPlus(amf3::Value),
}

impl Value {
    /// An anonymous object of these properties.
    pub fn object<K: Into<String>, V: Into<Self>>(properties: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Object(properties.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub const fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            _ => None,
        }
    }

    /// The truth value, if it is a boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(b) => Some(*b),
            _ => None,
        }
    }

    /// The properties, if it is an object, a typed object or an ECMA array.
    pub fn as_object(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(p) | Self::EcmaArray(p) | Self::TypedObject { properties: p, .. } => Some(p),
            _ => None,
        }
    }

    /// The first property called `name` (exactly), if this has properties.
    pub fn property(&self, name: &str) -> Option<&Self> {
        self.as_object()?.iter().find_map(|(k, v)| (k == name).then_some(v))
    }

    /// Appends the value's encoding to `out`.
    ///
    /// A property name or class longer than 65,535 bytes, which AMF0 cannot state, is cut there.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(n) => {
                out.push(marker::NUMBER);
                out.extend_from_slice(&n.to_be_bytes());
            }
            Self::Boolean(b) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*b)]),
            Self::String(s) => match u16::try_from(s.len()) {
                Ok(_) => {
                    out.push(marker::STRING);
                    encode_short(s, out);
                }
                Err(_) => {
                    out.push(marker::LONG_STRING);
                    encode_long(s, out);
                }
            },
            Self::Object(properties) => {
                out.push(marker::OBJECT);
                encode_properties(properties, out);
            }
            Self::Null => out.push(marker::NULL),
            Self::Undefined => out.push(marker::UNDEFINED),
            Self::Reference(index) => {
                out.push(marker::REFERENCE);
                out.extend_from_slice(&index.to_be_bytes());
            }
            Self::EcmaArray(properties) => {
                out.push(marker::ECMA_ARRAY);
                out.extend_from_slice(&(properties.len() as u32).to_be_bytes());
                encode_properties(properties, out);
            }
            Self::StrictArray(values) => {
                out.push(marker::STRICT_ARRAY);
                out.extend_from_slice(&(values.len() as u32).to_be_bytes());
                values.iter().for_each(|v| v.encode(out));
            }
            Self::Date { ms, tz } => {
                out.push(marker::DATE);
                out.extend_from_slice(&ms.to_be_bytes());
                out.extend_from_slice(&tz.to_be_bytes());
            }
            Self::Unsupported => out.push(marker::UNSUPPORTED),
            Self::XmlDocument(text) => {
                out.push(marker::XML_DOCUMENT);
                encode_long(text, out);
            }
            Self::TypedObject { class, properties } => {
                out.push(marker::TYPED_OBJECT);
                encode_short(class, out);
                encode_properties(properties, out);
            }
            Self::AvmPlus(value) => {
                out.push(marker::AVMPLUS);
                value.encode_literally(out);
            }
        }
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Self::Number(n)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Boolean(b)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::String(s.to_owned())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::String(s)
    }
}

/// UTF-8 (AMF0, 1.3.1): a 16-bit length and the text.
fn encode_short(s: &str, out: &mut Vec<u8>) {
    let s = amf::cut(s, u16::MAX.into());
    out.extend_from_slice(&(s.len() as u16).to_be_bytes());
    out.extend_from_slice(s.as_bytes());
}

/// UTF-8-long: a 32-bit length and the text.
fn encode_long(s: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(s.len() as u32).to_be_bytes());
    out.extend_from_slice(s.as_bytes());
}

fn encode_properties(properties: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in properties {
        encode_short(name, out);
        value.encode(out);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

#[cfg(test)]
mod tests;
