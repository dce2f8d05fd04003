//! The AMF3 encoder: the shortest form of every number, and text and traits that repeat as references, which is what
//! the players of old wrote.

use std::collections::BTreeMap;

use super::{Array, Object, Traits, Value, VectorObject, Wrapper, marker, u29};
use crate::amf;

impl Value {
    /// Appends the value's encoding to `out`, with reference tables of its own for text and traits.
    ///
    /// Text longer than 2^28 - 1 bytes, which AMF3 cannot state, is cut there, and so are arrays of more items.
    pub fn encode(&self, out: &mut Vec<u8>) {
        Encoder { out, tables: Some(Tables::default()) }.value(self);
    }

    /// The same without references to text and traits: for a value inside an AMF0 message. Peers differ in whether such
    /// values have tables of their own or share the message's, and read this alike.
    pub fn encode_literally(&self, out: &mut Vec<u8>) {
        Encoder { out, tables: None }.value(self);
    }
}

/// What was written, and its index.
#[derive(Default)]
struct Tables<'v> {
    strings: BTreeMap<&'v str, u32>,
    traits: BTreeMap<Class<'v>, u32>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Class<'v> {
    Members(&'v Traits),
    Wrapper(&'v str),
}

struct Encoder<'v, 'o> {
    out: &'o mut Vec<u8>,
    tables: Option<Tables<'v>>,
}

impl<'v> Encoder<'v, '_> {
    fn value(&mut self, value: &'v Value) {
        match value {
            Value::Undefined => self.out.push(marker::UNDEFINED),
            Value::Null => self.out.push(marker::NULL),
            Value::Boolean(false) => self.out.push(marker::FALSE),
            Value::Boolean(true) => self.out.push(marker::TRUE),
            Value::Integer(number) if Value::INTEGERS.contains(number) => {
                self.out.push(marker::INTEGER);
                u29::encode(number.cast_unsigned(), self.out);
            }
            Value::Integer(number) => self.double(marker::DOUBLE, f64::from(*number)),
            Value::Double(number) => self.double(marker::DOUBLE, *number),
            Value::String(text) => {
                self.out.push(marker::STRING);
                self.text(text);
            }
            Value::XmlDocument(text) => {
                self.out.push(marker::XML_DOCUMENT);
                self.literal(text);
            }
            Value::Xml(text) => {
                self.out.push(marker::XML);
                self.literal(text);
            }
            Value::Date(ms) => {
                self.out.push(marker::DATE);
                self.head(0);
                self.out.extend_from_slice(&ms.to_be_bytes());
            }
            Value::Array(array) => self.array(array),
            Value::Object(object) => self.object(object),
            Value::Wrapper(wrapper) => self.wrapper(wrapper),
            Value::ByteArray(bytes) => {
                let bytes = counted(bytes);
                self.out.push(marker::BYTE_ARRAY);
                self.head(bytes.len());
                self.out.extend_from_slice(bytes);
            }
            Value::VectorInt { fixed, items } => {
                self.vector(marker::VECTOR_INT, *fixed, items, |item| item.to_be_bytes());
            }
            Value::VectorUint { fixed, items } => {
                self.vector(marker::VECTOR_UINT, *fixed, items, |item| item.to_be_bytes());
            }
            Value::VectorDouble { fixed, items } => {
                self.vector(marker::VECTOR_DOUBLE, *fixed, items, |item| item.to_be_bytes());
            }
            Value::VectorObject(vector) => self.vector_object(vector),
            Value::Dictionary { weak, entries } => {
                let entries = counted(entries);
                self.out.push(marker::DICTIONARY);
                self.head(entries.len());
                self.out.push(u8::from(*weak));
                for (key, value) in entries {
                    self.value(key);
                    self.value(value);
                }
            }
            Value::Reference { marker, index } => {
                self.out.push(marker.marker());
                u29::encode(index << 1, self.out);
            }
        }
    }

    fn array(&mut self, array: &'v Array) {
        let dense = counted(&array.dense);
        self.out.push(marker::ARRAY);
        self.head(dense.len());
        self.members(&array.associative);
        dense.iter().for_each(|value| self.value(value));
    }

    fn object(&mut self, object: &'v Object) {
        let traits = &*object.traits;
        let sealed = traits.sealed.get(..MAX_SEALED).unwrap_or(&traits.sealed);
        self.out.push(marker::OBJECT);
        if !self.known_class(Class::Members(traits)) {
            let flags = if traits.dynamic { 0b1011 } else { 0b0011 };
            u29::encode((sealed.len() as u32) << 4 | flags, self.out);
            self.text(&traits.class);
            sealed.iter().for_each(|name| self.text(name));
        }
        for index in 0..sealed.len() {
            self.value(object.sealed.get(index).unwrap_or(&Value::Undefined));
        }
        if traits.dynamic {
            self.members(&object.dynamic);
        }
    }

    fn wrapper(&mut self, wrapper: &'v Wrapper) {
        self.out.push(marker::OBJECT);
        if !self.known_class(Class::Wrapper(&wrapper.class)) {
            u29::encode(0b0111, self.out);
            self.text(&wrapper.class);
        }
        self.value(&wrapper.body);
    }

    fn vector<T, const N: usize>(&mut self, marker: u8, fixed: bool, items: &[T], bytes: fn(&T) -> [u8; N]) {
        let items = counted(items);
        self.out.push(marker);
        self.head(items.len());
        self.out.push(u8::from(fixed));
        items.iter().for_each(|item| self.out.extend_from_slice(&bytes(item)));
    }

    fn vector_object(&mut self, vector: &'v VectorObject) {
        let items = counted(&vector.items);
        self.out.push(marker::VECTOR_OBJECT);
        self.head(items.len());
        self.out.push(u8::from(vector.fixed));
        self.text(&vector.class);
        items.iter().for_each(|value| self.value(value));
    }

    fn members(&mut self, members: &'v [(std::sync::Arc<str>, Value)]) {
        for (name, value) in members.iter().filter(|(name, _)| !name.is_empty()) {
            self.text(name);
            self.value(value);
        }
        self.literal("");
    }

    /// Writes the class as a reference if it was written before; else notes that it will be now.
    fn known_class(&mut self, class: Class<'v>) -> bool {
        let Some(tables) = &mut self.tables else { return false };
        if let Some(index) = tables.traits.get(&class) {
            u29::encode(index << 2 | 0b01, self.out);
            return true;
        }
        let next = tables.traits.len() as u32;
        tables.traits.insert(class, next);
        false
    }

    /// UTF-8-vr (1.3.2).
    fn text(&mut self, text: &'v str) {
        if let Some(tables) = &mut self.tables
            && !text.is_empty()
        {
            if let Some(index) = tables.strings.get(text) {
                u29::encode(index << 1, self.out);
                return;
            }
            let next = tables.strings.len() as u32;
            tables.strings.insert(text, next);
        }
        self.literal(text);
    }

    fn literal(&mut self, text: &str) {
        let text = amf::cut(text, u29::MAX_COUNT);
        self.head(text.len());
        self.out.extend_from_slice(text.as_bytes());
    }

    fn double(&mut self, marker: u8, number: f64) {
        self.out.push(marker);
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    /// A length or count, with the bit that says that a value and no reference follows.
    fn head(&mut self, count: usize) {
        u29::encode((count as u32) << 1 | 1, self.out);
    }
}

/// The most sealed members that traits can state: four of the bits are flags.
const MAX_SEALED: usize = u29::MAX_COUNT >> 3;

/// As many of the items as can be counted.
fn counted<T>(items: &[T]) -> &[T] {
    items.get(..u29::MAX_COUNT).unwrap_or(items)
}
