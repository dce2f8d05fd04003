//! AMF3 values (Action Message Format AMF 3, January 2013): what an AMF0 message switches to by its marker 0x11. The
//! tree is here; the bounded decoder is in `amf3/decode.rs`, the encoder in `amf3/encode.rs`, the 29-bit integers that
//! both are made of in `amf3/u29.rs`. How messages carry it is [`crate::amf0`]'s and [`crate::message`]'s.
//!
//! Everything is data: a class name is text and nothing is looked up, made or called by it.
//!
//! References never multiply what they refer to. Text and traits are shared by counting; a reference to an object stays
//! a handle ([`Value::Reference`]), not followed. What text would come to if it were repeated is bounded too, by
//! [`MAX_TEXT`](crate::amf::MAX_TEXT).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::sync::Arc;

mod decode;
mod encode;
mod u29;

pub use decode::decode;
pub(crate) use decode::{Decoder, Tables};

/// Type markers (3.1).
mod marker {
    pub(super) const UNDEFINED: u8 = 0x00;
    pub(super) const NULL: u8 = 0x01;
    pub(super) const FALSE: u8 = 0x02;
    pub(super) const TRUE: u8 = 0x03;
    pub(super) const INTEGER: u8 = 0x04;
    pub(super) const DOUBLE: u8 = 0x05;
    pub(super) const STRING: u8 = 0x06;
    pub(super) const XML_DOCUMENT: u8 = 0x07;
    pub(super) const DATE: u8 = 0x08;
    pub(super) const ARRAY: u8 = 0x09;
    pub(super) const OBJECT: u8 = 0x0A;
    pub(super) const XML: u8 = 0x0B;
    pub(super) const BYTE_ARRAY: u8 = 0x0C;
    pub(super) const VECTOR_INT: u8 = 0x0D;
    pub(super) const VECTOR_UINT: u8 = 0x0E;
    pub(super) const VECTOR_DOUBLE: u8 = 0x0F;
    pub(super) const VECTOR_OBJECT: u8 = 0x10;
    pub(super) const DICTIONARY: u8 = 0x11;
}

/// The externalizable classes whose body is known to be exactly one value: Flex's wrappers around an array or object.
/// What follows the class name of any other is known to its makers alone, and not even its length can be told (3.12).
pub const WRAPPERS: [&str; 3] =
    ["flex.messaging.io.ArrayCollection", "flex.messaging.io.ArrayList", "flex.messaging.io.ObjectProxy"];

/// One AMF3 value. The order of members, and names that repeat, are kept as they stand on the wire.
///
/// The decoder builds none that is deeper than [`MAX_DEPTH`](crate::amf::MAX_DEPTH). Whoever builds one by hand keeps to
/// that too: encoding, comparing and dropping recurse as deep as the value is.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// 0x00.
    Undefined,
    /// 0x01.
    Null,
    /// 0x02 or 0x03.
    Boolean(bool),
    /// 0x04, of [`INTEGERS`](Self::INTEGERS); any other is written as a double (3.6).
    Integer(i32),
    /// 0x05.
    Double(f64),
    /// 0x06.
    String(Arc<str>),
    /// 0x07: an XMLDocument of ActionScript before 3.0, as text.
    XmlDocument(Arc<str>),
    /// 0x08: milliseconds since 1970-01-01 UTC.
    Date(f64),
    /// 0x09.
    Array(Box<Array>),
    /// 0x0A, but for externalizable classes.
    Object(Box<Object>),
    /// 0x0A of a class of [`WRAPPERS`].
    Wrapper(Box<Wrapper>),
    /// 0x0B, as text.
    Xml(Arc<str>),
    /// 0x0C.
    ByteArray(Vec<u8>),
    /// 0x0D.
    VectorInt {
        /// Whether its length is fixed.
        fixed: bool,
        /// Its items.
        items: Vec<i32>,
    },
    /// 0x0E.
    VectorUint {
        /// Whether its length is fixed.
        fixed: bool,
        /// Its items.
        items: Vec<u32>,
    },
    /// 0x0F.
    VectorDouble {
        /// Whether its length is fixed.
        fixed: bool,
        /// Its items.
        items: Vec<f64>,
    },
    /// 0x10.
    VectorObject(Box<VectorObject>),
    /// 0x11.
    Dictionary {
        /// Whether its keys are weakly referenced.
        weak: bool,
        /// Its entries, key and value.
        entries: Vec<(Value, Value)>,
    },
    /// Any of 0x07 to 0x11 that stands for an earlier one: an index into all of those in the message, in the order in
    /// which they begin (2.2). Kept, not followed.
    Reference {
        /// The marker that it came with.
        marker: Referable,
        /// The index, from 0.
        index: u32,
    },
}

impl Value {
    /// What [`Integer`](Self::Integer) can hold on the wire: 29 bits with a sign (3.6).
    pub const INTEGERS: std::ops::RangeInclusive<i32> = -0x1000_0000..=0x0FFF_FFFF;

    /// A string.
    pub fn string(text: &str) -> Self {
        Self::String(text.into())
    }

    /// A dense array.
    pub fn array(dense: Vec<Self>) -> Self {
        Self::Array(Box::new(Array { associative: Vec::new(), dense }))
    }

    /// An anonymous object whose members are all dynamic.
    pub fn object<'k>(members: impl IntoIterator<Item = (&'k str, Self)>) -> Self {
        let traits = Arc::new(Traits { class: "".into(), dynamic: true, sealed: Vec::new() });
        let dynamic = members.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self::Object(Box::new(Object { traits, sealed: Vec::new(), dynamic }))
    }
}

/// The types that go into the table of objects, and can be sent as a reference to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Referable {
    /// 0x07.
    XmlDocument,
    /// 0x08.
    Date,
    /// 0x09.
    Array,
    /// 0x0A.
    Object,
    /// 0x0B.
    Xml,
    /// 0x0C.
    ByteArray,
    /// 0x0D.
    VectorInt,
    /// 0x0E.
    VectorUint,
    /// 0x0F.
    VectorDouble,
    /// 0x10.
    VectorObject,
    /// 0x11.
    Dictionary,
}

impl Referable {
    const fn marker(self) -> u8 {
        match self {
            Self::XmlDocument => marker::XML_DOCUMENT,
            Self::Date => marker::DATE,
            Self::Array => marker::ARRAY,
            Self::Object => marker::OBJECT,
            Self::Xml => marker::XML,
            Self::ByteArray => marker::BYTE_ARRAY,
            Self::VectorInt => marker::VECTOR_INT,
            Self::VectorUint => marker::VECTOR_UINT,
            Self::VectorDouble => marker::VECTOR_DOUBLE,
            Self::VectorObject => marker::VECTOR_OBJECT,
            Self::Dictionary => marker::DICTIONARY,
        }
    }

    const fn from_marker(marker: u8) -> Option<Self> {
        Some(match marker {
            marker::XML_DOCUMENT => Self::XmlDocument,
            marker::DATE => Self::Date,
            marker::ARRAY => Self::Array,
            marker::OBJECT => Self::Object,
            marker::XML => Self::Xml,
            marker::BYTE_ARRAY => Self::ByteArray,
            marker::VECTOR_INT => Self::VectorInt,
            marker::VECTOR_UINT => Self::VectorUint,
            marker::VECTOR_DOUBLE => Self::VectorDouble,
            marker::VECTOR_OBJECT => Self::VectorObject,
            marker::DICTIONARY => Self::Dictionary,
            _ => return None,
        })
    }
}

/// An array: what has names, and what has indices from 0 (3.11).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Array {
    /// Names and values. An empty name cannot be written, and its value is left out.
    pub associative: Vec<(Arc<str>, Value)>,
    /// The values at 0, 1, 2, ...
    pub dense: Vec<Value>,
}

/// What the objects of a class have in common (3.12). Ordered, so that an encoder finds the same again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Traits {
    /// The class alias; empty for an anonymous object.
    pub class: Arc<str>,
    /// Whether members may follow that the class does not name.
    pub dynamic: bool,
    /// The names of the members that the class does name.
    pub sealed: Vec<Arc<str>>,
}

/// An object, typed or anonymous. Its class is not looked up.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    /// Class, and names of the sealed members.
    pub traits: Arc<Traits>,
    /// The values of [`Traits::sealed`], in that order. On the wire there are as many as names: what lacks is written
    /// as undefined, what is over is left out.
    pub sealed: Vec<Value>,
    /// Further members, if [`Traits::dynamic`]; else they cannot be written, and are left out, as is an empty name.
    pub dynamic: Vec<(Arc<str>, Value)>,
}

impl Object {
    /// All members, first the sealed ones.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        let sealed = self.traits.sealed.iter().zip(&self.sealed);
        sealed
            .chain(self.dynamic.iter().map(|(name, value)| (name, value)))
            .map(|(name, value)| (&**name, value))
    }
}

/// An object of an externalizable class that is one value under a name.
#[derive(Clone, PartialEq, Debug)]
pub struct Wrapper {
    /// The class alias: one of [`WRAPPERS`], or the peer cannot know where it ends.
    pub class: Arc<str>,
    /// The value.
    pub body: Value,
}

/// A vector of anything but numbers (3.15).
#[derive(Clone, PartialEq, Debug)]
pub struct VectorObject {
    /// Whether its length is fixed.
    pub fixed: bool,
    /// The type of its items, `*` for any.
    pub class: Arc<str>,
    /// Its items.
    pub items: Vec<Value>,
}

#[cfg(test)]
mod tests;
