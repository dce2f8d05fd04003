//! The AMF3 decoder. It reads what a peer may send before it has said who it is, within the bounds of [`crate::amf`];
//! nothing is allocated by a count or length before the bytes it speaks of are there.

use std::sync::Arc;

use super::{Array, Object, Referable, Traits, Value, VectorObject, WRAPPERS, Wrapper, marker, u29};
use crate::amf::{self, Budget, deeper};
use crate::error::Error;

/// Takes one value from the front of `r`, with reference tables of its own.
///
/// Text that is not UTF-8 is taken with U+FFFD in place of what is wrong in it, so two such texts can become equal.
///
/// # Errors
/// `PeerMisbehaved` if it is cut short or malformed or refers to what was not there, `PeerIncompatible` for an
/// externalizable class other than [`WRAPPERS`] and for unknown types, `LimitExceeded` past
/// [`MAX_DEPTH`](amf::MAX_DEPTH), [`MAX_VALUES`](amf::MAX_VALUES) or [`MAX_TEXT`](amf::MAX_TEXT). `r` is then left
/// somewhere inside the value.
pub fn decode(r: &mut &[u8]) -> Result<Value, Error> {
    Decoder::new(r, &mut Budget::new(), &mut Tables::default()).value(0)
}

/// The reference tables of one message (2.2).
#[derive(Default)]
pub(crate) struct Tables {
    strings: Vec<Arc<str>>,
    traits: Vec<Class>,
    /// Objects are not kept: a reference stays an index, and must be below this.
    objects: u32,
}

/// An entry of the table of traits.
#[derive(Clone)]
enum Class {
    /// With the bytes of its text, which each object that refers to it counts again.
    Members {
        traits: Arc<Traits>,
        text: usize,
    },
    Wrapper(Arc<str>),
}

/// Reads values of one message.
pub(crate) struct Decoder<'r, 'a> {
    input: &'r mut &'a [u8],
    budget: &'r mut Budget,
    tables: &'r mut Tables,
}

impl<'r, 'a> Decoder<'r, 'a> {
    pub(crate) fn new(input: &'r mut &'a [u8], budget: &'r mut Budget, tables: &'r mut Tables) -> Self {
        Self { input, budget, tables }
    }

    /// One value inside `depth` containers.
    pub(crate) fn value(&mut self, depth: usize) -> Result<Value, Error> {
        self.budget.values(1)?;
        let [marker] = amf::array(self.input)?;
        Ok(match marker {
            marker::UNDEFINED => Value::Undefined,
            marker::NULL => Value::Null,
            marker::FALSE => Value::Boolean(false),
            marker::TRUE => Value::Boolean(true),
            marker::INTEGER => Value::Integer(signed(u29::decode(self.input)?)),
            marker::DOUBLE => Value::Double(self.double()?),
            marker::STRING => Value::String(self.text()?),
            marker => {
                let referable = Referable::from_marker(marker)
                    .ok_or(Error::PeerIncompatible("AMF3 type that is unknown"))?;
                match self.header()? {
                    Header::Reference(index) if index < self.tables.objects => {
                        Value::Reference { marker: referable, index }
                    }
                    Header::Reference(_) => {
                        return Err(Error::PeerMisbehaved("AMF3 reference to an object that was not there"));
                    }
                    Header::Value(head) => {
                        // It has its number before its members have theirs.
                        self.tables.objects = self.tables.objects.saturating_add(1);
                        self.referable(referable, head, depth)?
                    }
                }
            }
        })
    }

    fn referable(&mut self, referable: Referable, head: u32, depth: usize) -> Result<Value, Error> {
        let count = usize::try_from(head).unwrap_or(usize::MAX);
        Ok(match referable {
            Referable::XmlDocument => Value::XmlDocument(self.literal(count)?),
            Referable::Xml => Value::Xml(self.literal(count)?),
            // What the head holds is not used (3.10).
            Referable::Date => Value::Date(self.double()?),
            Referable::Array => self.array(count, depth)?,
            Referable::Object => self.object(head, depth)?,
            Referable::ByteArray => Value::ByteArray(amf::take(self.input, count)?.to_vec()),
            Referable::VectorInt => {
                let (fixed, items) = self.vector(count)?;
                Value::VectorInt {
                    fixed,
                    items: items.iter().map(|item| i32::from_be_bytes(*item)).collect(),
                }
            }
            Referable::VectorUint => {
                let (fixed, items) = self.vector(count)?;
                Value::VectorUint {
                    fixed,
                    items: items.iter().map(|item| u32::from_be_bytes(*item)).collect(),
                }
            }
            Referable::VectorDouble => {
                let (fixed, items) = self.vector(count)?;
                Value::VectorDouble {
                    fixed,
                    items: items.iter().map(|item| f64::from_be_bytes(*item)).collect(),
                }
            }
            Referable::VectorObject => {
                let fixed = self.boolean()?;
                let class = self.text()?;
                let items = self.values(count, deeper(depth)?)?;
                Value::VectorObject(Box::new(VectorObject { fixed, class, items }))
            }
            Referable::Dictionary => {
                let weak = self.boolean()?;
                let depth = deeper(depth)?;
                let mut entries = Vec::new();
                for _ in 0..count {
                    entries.push((self.value(depth)?, self.value(depth)?));
                }
                Value::Dictionary { weak, entries }
            }
        })
    }

    fn array(&mut self, count: usize, depth: usize) -> Result<Value, Error> {
        let depth = deeper(depth)?;
        let associative = self.members(depth)?;
        let dense = self.values(count, depth)?;
        Ok(Value::Array(Box::new(Array { associative, dense })))
    }

    fn object(&mut self, head: u32, depth: usize) -> Result<Value, Error> {
        let depth = deeper(depth)?;
        let traits = match self.class(head)? {
            Class::Members { traits, .. } => traits,
            Class::Wrapper(class) => {
                return Ok(Value::Wrapper(Box::new(Wrapper { class, body: self.value(depth)? })));
            }
        };
        let sealed = self.values(traits.sealed.len(), depth)?;
        let dynamic = if traits.dynamic { self.members(depth)? } else { Vec::new() };
        Ok(Value::Object(Box::new(Object { traits, sealed, dynamic })))
    }

    /// The class of an object, from the table or from here, by the flags of its head (3.12): bit 0 says that it is
    /// here, bit 1 that it is externalizable, bit 2 that it is dynamic; the rest is its number of sealed members, or
    /// the index.
    fn class(&mut self, head: u32) -> Result<Class, Error> {
        if head & 1 == 0 {
            let class = usize::try_from(head >> 1).ok().and_then(|index| self.tables.traits.get(index));
            let class = class.ok_or(Error::PeerMisbehaved("AMF3 reference to traits that were not there"))?;
            self.budget.text(match class {
                Class::Members { text, .. } => *text,
                Class::Wrapper(name) => name.len(),
            })?;
            return Ok(class.clone());
        }
        let name = self.text()?;
        let class = if head & 2 != 0 {
            if !WRAPPERS.contains(&&*name) {
                return Err(Error::PeerIncompatible("AMF3 externalizable class whose form is unknown"));
            }
            Class::Wrapper(name)
        } else {
            let mut text = name.len();
            let mut sealed = Vec::new();
            for _ in 0..head >> 3 {
                let member = self.text()?;
                text = text.saturating_add(member.len());
                sealed.push(member);
            }
            let traits = Arc::new(Traits { class: name, dynamic: head & 4 != 0, sealed });
            Class::Members { traits, text }
        };
        self.tables.traits.push(class.clone());
        Ok(class)
    }

    /// Names and values, up to the empty name.
    fn members(&mut self, depth: usize) -> Result<Vec<(Arc<str>, Value)>, Error> {
        let mut members = Vec::new();
        loop {
            let name = self.text()?;
            if name.is_empty() {
                return Ok(members);
            }
            members.push((name, self.value(depth)?));
        }
    }

    fn values(&mut self, count: usize, depth: usize) -> Result<Vec<Value>, Error> {
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth)?);
        }
        Ok(values)
    }

    /// The rest of a vector of numbers, each of which counts as a value.
    fn vector<const N: usize>(&mut self, count: usize) -> Result<(bool, &'a [[u8; N]]), Error> {
        let fixed = self.boolean()?;
        let items = amf::take(self.input, count.saturating_mul(N))?.as_chunks::<N>().0;
        self.budget.values(count)?;
        Ok((fixed, items))
    }

    /// UTF-8-vr (1.3.2): text, or a reference to one.
    fn text(&mut self) -> Result<Arc<str>, Error> {
        match self.header()? {
            Header::Reference(index) => {
                let text = usize::try_from(index).ok().and_then(|index| self.tables.strings.get(index));
                let text =
                    text.ok_or(Error::PeerMisbehaved("AMF3 reference to a string that was not there"))?;
                self.budget.text(text.len())?;
                Ok(Arc::clone(text))
            }
            Header::Value(len) => {
                let text = self.literal(usize::try_from(len).unwrap_or(usize::MAX))?;
                // The empty one is never sent by reference.
                if len != 0 {
                    self.tables.strings.push(Arc::clone(&text));
                }
                Ok(text)
            }
        }
    }

    fn literal(&mut self, len: usize) -> Result<Arc<str>, Error> {
        let text = String::from_utf8_lossy(amf::take(self.input, len)?);
        self.budget.text(text.len())?;
        Ok(text.into())
    }

    fn double(&mut self) -> Result<f64, Error> {
        Ok(f64::from_be_bytes(amf::array(self.input)?))
    }

    fn boolean(&mut self) -> Result<bool, Error> {
        Ok(amf::array(self.input)? != [0])
    }

    fn header(&mut self) -> Result<Header, Error> {
        let head = u29::decode(self.input)?;
        Ok(if head & 1 == 0 { Header::Reference(head >> 1) } else { Header::Value(head >> 1) })
    }
}

/// What the lowest bit of a U29 says of the others.
enum Header {
    Reference(u32),
    Value(u32),
}

/// 29 bits as a signed number (3.6).
const fn signed(value: u32) -> i32 {
    ((value << 3) as i32) >> 3
}
