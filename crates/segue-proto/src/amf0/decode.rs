//! The AMF0 decoder. A peer that has not said who it is may send any bytes here, so depth, number of values and size
//! are bounded (by [`crate::amf`]), and nothing is allocated by a count or length before the bytes it speaks of are
//! there. Values deeper than [`MAX_DEPTH`](crate::amf::MAX_DEPTH) are never built, so dropping one recurses no deeper
//! than that either.

use super::{Value, marker};
use crate::amf::{self, Budget, MAX_COMMAND_BYTES, deeper};
use crate::amf3;
use crate::error::Error;

/// Takes one value from the front of `r`.
///
/// Text that is not UTF-8 is taken with U+FFFD in place of what is wrong in it, so two such texts can become equal.
///
/// # Errors
/// `PeerMisbehaved` if it is cut short or malformed, `PeerIncompatible` for the reserved types and for what
/// [`amf3::decode`] cannot read, `LimitExceeded` past [`MAX_DEPTH`](crate::amf::MAX_DEPTH),
/// [`MAX_VALUES`](crate::amf::MAX_VALUES) or, in AMF3, [`MAX_TEXT`](crate::amf::MAX_TEXT). `r` is then left somewhere
/// inside the value.
pub fn decode(r: &mut &[u8]) -> Result<Value, Error> {
    Decoder::new(r).value(0)
}

/// All values of a command's or data message's body. AMF3 values in it share their reference tables, as the tables
/// belong to a message (AMF3, 4.1).
///
/// # Errors
/// As [`decode`], with the bounds over the whole body, and `LimitExceeded` past [`MAX_COMMAND_BYTES`].
pub fn decode_all(payload: &[u8]) -> Result<Vec<Value>, Error> {
    if payload.len() > MAX_COMMAND_BYTES {
        return Err(Error::LimitExceeded("AMF0 body longer than 64 KiB"));
    }
    let mut input = payload;
    let mut decoder = Decoder::new(&mut input);
    let mut values = Vec::new();
    while !decoder.input.is_empty() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

struct Decoder<'r, 'a> {
    input: &'r mut &'a [u8],
    budget: Budget,
    amf3: amf3::Tables,
}

impl<'r, 'a> Decoder<'r, 'a> {
    fn new(input: &'r mut &'a [u8]) -> Self {
        Self { input, budget: Budget::new(), amf3: amf3::Tables::default() }
    }

    /// One value inside `depth` containers.
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        let [marker] = self.array()?;
        if marker == marker::AVMPLUS {
            // The marker and what follows it are one value, and AMF3's to count.
            let value = amf3::Decoder::new(self.input, &mut self.budget, &mut self.amf3).value(depth)?;
            return Ok(Value::AvmPlus(value));
        }
        self.budget.values(1)?;
        Ok(match marker {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.array()?)),
            marker::BOOLEAN => Value::Boolean(self.array::<1>()? != [0]),
            marker::STRING => Value::String(self.short_text()?),
            marker::OBJECT => Value::Object(self.properties(depth)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::REFERENCE => Value::Reference(u16::from_be_bytes(self.array()?)),
            marker::ECMA_ARRAY => {
                // The count is a hint (2.10), and wrong in the field: the end marker alone ends the array.
                let _count: [u8; 4] = self.array()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            marker::OBJECT_END => return Err(Error::PeerMisbehaved("AMF0 object end outside an object")),
            marker::STRICT_ARRAY => self.strict_array(depth)?,
            marker::DATE => {
                let ms = f64::from_be_bytes(self.array()?);
                Value::Date { ms, tz: i16::from_be_bytes(self.array()?) }
            }
            marker::LONG_STRING => Value::String(self.long_text()?),
            marker::UNSUPPORTED => Value::Unsupported,
            marker::XML_DOCUMENT => Value::XmlDocument(self.long_text()?),
            marker::TYPED_OBJECT => {
                let class = self.short_text()?;
                Value::TypedObject { class, properties: self.properties(depth)? }
            }
            _ => return Err(Error::PeerIncompatible("AMF0 type that is reserved")),
        })
    }

    /// Name and value pairs up to the object end: an empty name followed by its marker (2.5, 2.11).
    fn properties(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Error> {
        let depth = deeper(depth)?;
        let mut properties = Vec::new();
        loop {
            let name = self.short_text()?;
            if name.is_empty() && self.input.first() == Some(&marker::OBJECT_END) {
                let _end: [u8; 1] = self.array()?;
                return Ok(properties);
            }
            properties.push((name, self.value(depth)?));
        }
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Error> {
        let depth = deeper(depth)?;
        let count = u32::from_be_bytes(self.array()?);
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth)?);
        }
        Ok(Value::StrictArray(values))
    }

    fn short_text(&mut self) -> Result<String, Error> {
        let len = u16::from_be_bytes(self.array()?);
        self.text(len.into())
    }

    fn long_text(&mut self) -> Result<String, Error> {
        let len = u32::from_be_bytes(self.array()?);
        self.text(usize::try_from(len).unwrap_or(usize::MAX))
    }

    fn text(&mut self, len: usize) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(amf::take(self.input, len)?).into_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        amf::array(self.input)
    }
}
