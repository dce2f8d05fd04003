//! What a message says in AMF3, said in AMF0: for sessions, which know commands in AMF0, and for viewers and recordings
//! that cannot read AMF3.

use super::Value;
use crate::amf::{Budget, deeper};
use crate::amf3;

/// The same values without AMF3 in them. They must be all that one message has, in order, as references may point from
/// one to another. Those that AMF0 has no type for (byte arrays, dictionaries) stay as they are, each with all that it is
/// part of. A message stays as it is altogether if such a value has references in it, of AMF3, as what they count would be
/// gone, or if there are references of AMF0, as what they count would become more, or if the whole comes to more than a
/// command may hold.
///
/// Integers become numbers, XML an XML document, vectors strict arrays; an array with names becomes an ECMA array
/// whose indices are names too, as AMF0 knows it (2.10); a wrapper of [`amf3::WRAPPERS`] becomes what it wraps.
pub fn plain(values: Vec<Value>) -> Vec<Value> {
    if !values.iter().any(has_amf3) || values.iter().any(has_reference) {
        return values;
    }
    let mut objects = Vec::new();
    values.iter().for_each(|value| index0(value, &mut objects, &mut 0));
    let mut translator = Translator { objects, budget: Budget::new(), exhausted: false };
    let translated: Vec<_> = values.iter().map(|value| translator.amf0(value, 0)).collect();
    let refers = |value: &Value| {
        let (mut objects, mut references) = (Vec::new(), 0);
        index0(value, &mut objects, &mut references);
        references > 0
    };
    let stays = |(plain, value): (&Option<Value>, &Value)| plain.is_none() && refers(value);
    if translator.exhausted || translated.iter().zip(&values).any(stays) {
        return values;
    }
    translated.into_iter().zip(values).map(|(plain, original)| plain.unwrap_or(original)).collect()
}

/// Whether AMF3 is anywhere in `value`.
pub(crate) fn has_amf3(value: &Value) -> bool {
    match value {
        Value::AvmPlus(_) => true,
        Value::StrictArray(values) => values.iter().any(has_amf3),
        other => {
            other.as_object().is_some_and(|properties| properties.iter().any(|(_, value)| has_amf3(value)))
        }
    }
}

fn has_reference(value: &Value) -> bool {
    match value {
        Value::Reference(_) => true,
        Value::StrictArray(values) => values.iter().any(has_reference),
        other => other
            .as_object()
            .is_some_and(|properties| properties.iter().any(|(_, value)| has_reference(value))),
    }
}

/// Appends the AMF3 values of `value` that references can point to, in the order of their numbers; counts references.
fn index0<'v>(value: &'v Value, objects: &mut Vec<&'v amf3::Value>, references: &mut usize) {
    match value {
        Value::AvmPlus(value) => index3(value, objects, references),
        Value::StrictArray(values) => values.iter().for_each(|value| index0(value, objects, references)),
        other => {
            let properties = other.as_object().unwrap_or_default();
            properties.iter().for_each(|(_, value)| index0(value, objects, references));
        }
    }
}

fn index3<'v>(value: &'v amf3::Value, objects: &mut Vec<&'v amf3::Value>, references: &mut usize) {
    use amf3::Value as V;
    match value {
        V::Undefined | V::Null | V::Boolean(_) | V::Integer(_) | V::Double(_) | V::String(_) => return,
        V::Reference { .. } => {
            *references = references.saturating_add(1);
            return;
        }
        _ => objects.push(value),
    }
    match value {
        V::Array(array) => {
            array.associative.iter().for_each(|(_, value)| index3(value, objects, references));
            array.dense.iter().for_each(|value| index3(value, objects, references));
        }
        V::Object(object) => {
            object.sealed.iter().for_each(|value| index3(value, objects, references));
            object.dynamic.iter().for_each(|(_, value)| index3(value, objects, references));
        }
        V::Wrapper(wrapper) => index3(&wrapper.body, objects, references),
        V::VectorObject(vector) => vector.items.iter().for_each(|value| index3(value, objects, references)),
        V::Dictionary { entries, .. } => {
            for (key, value) in entries {
                index3(key, objects, references);
                index3(value, objects, references);
            }
        }
        _ => {}
    }
}

/// Follows references, so what it makes is counted: a value that many refer to is made many times.
struct Translator<'v> {
    objects: Vec<&'v amf3::Value>,
    budget: Budget,
    /// It comes to more than a command may hold.
    exhausted: bool,
}

impl<'v> Translator<'v> {
    fn count(&mut self, values: usize) -> Option<()> {
        self.exhausted |= self.budget.values(values).is_err();
        (!self.exhausted).then_some(())
    }

    fn deeper(&mut self, depth: usize) -> Option<usize> {
        let deeper = deeper(depth).ok();
        self.exhausted |= deeper.is_none();
        deeper
    }

    fn amf0(&mut self, value: &Value, depth: usize) -> Option<Value> {
        match value {
            Value::AvmPlus(value) => return self.amf3(value, depth),
            _ => self.count(1)?,
        }
        // Their depth was bounded when they were read.
        Some(match value {
            Value::StrictArray(values) => {
                let depth = self.deeper(depth)?;
                Value::StrictArray(values.iter().map(|value| self.amf0(value, depth)).collect::<Option<_>>()?)
            }
            Value::Object(properties) => Value::Object(self.properties(properties, depth)?),
            Value::EcmaArray(properties) => Value::EcmaArray(self.properties(properties, depth)?),
            Value::TypedObject { class, properties } => {
                Value::TypedObject { class: class.clone(), properties: self.properties(properties, depth)? }
            }
            leaf => leaf.clone(),
        })
    }

    fn properties(&mut self, properties: &[(String, Value)], depth: usize) -> Option<Vec<(String, Value)>> {
        let depth = self.deeper(depth)?;
        properties.iter().map(|(name, value)| Some((name.clone(), self.amf0(value, depth)?))).collect()
    }

    fn amf3(&mut self, value: &amf3::Value, depth: usize) -> Option<Value> {
        use amf3::Value as V;
        self.count(1)?;
        Some(match value {
            V::Undefined => Value::Undefined,
            V::Null => Value::Null,
            V::Boolean(truth) => Value::Boolean(*truth),
            V::Integer(number) => Value::Number(f64::from(*number)),
            V::Double(number) => Value::Number(*number),
            V::String(text) => Value::String(self.text(text)?),
            V::XmlDocument(text) | V::Xml(text) => Value::XmlDocument(self.text(text)?),
            V::Date(ms) => Value::Date { ms: *ms, tz: 0 },
            V::Array(array) if array.associative.is_empty() => self.strict_array(&array.dense, depth)?,
            V::Array(array) => {
                let named = array.associative.iter().map(|(name, value)| (&**name, value));
                let mut properties = self.members(named, depth)?;
                let Value::StrictArray(dense) = self.strict_array(&array.dense, depth)? else { return None };
                properties
                    .extend(dense.into_iter().enumerate().map(|(index, value)| (index.to_string(), value)));
                Value::EcmaArray(properties)
            }
            V::Object(object) => {
                let properties = self.members(object.members(), depth)?;
                match &*object.traits.class {
                    "" => Value::Object(properties),
                    class => Value::TypedObject { class: self.text(class)?, properties },
                }
            }
            V::Wrapper(wrapper) => {
                let depth = self.deeper(depth)?;
                self.amf3(&wrapper.body, depth)?
            }
            V::VectorInt { items, .. } => self.numbers(items.iter().map(|item| f64::from(*item)))?,
            V::VectorUint { items, .. } => self.numbers(items.iter().map(|item| f64::from(*item)))?,
            V::VectorDouble { items, .. } => self.numbers(items.iter().copied())?,
            V::VectorObject(vector) => self.strict_array(&vector.items, depth)?,
            V::ByteArray(_) | V::Dictionary { .. } => return None,
            V::Reference { index, .. } => {
                let to: &'v amf3::Value = self.objects.get(usize::try_from(*index).ok()?)?;
                // Deeper than it stands: what refers to itself comes to an end at the bound.
                let depth = self.deeper(depth)?;
                self.amf3(to, depth)?
            }
        })
    }

    fn members<'m>(
        &mut self,
        members: impl Iterator<Item = (&'m str, &'m amf3::Value)>,
        depth: usize,
    ) -> Option<Vec<(String, Value)>> {
        let depth = self.deeper(depth)?;
        members.map(|(name, value)| Some((self.text(name)?, self.amf3(value, depth)?))).collect()
    }

    fn strict_array(&mut self, values: &[amf3::Value], depth: usize) -> Option<Value> {
        let depth = self.deeper(depth)?;
        Some(Value::StrictArray(values.iter().map(|value| self.amf3(value, depth)).collect::<Option<_>>()?))
    }

    fn numbers(&mut self, numbers: impl ExactSizeIterator<Item = f64>) -> Option<Value> {
        self.count(numbers.len())?;
        Some(Value::StrictArray(numbers.map(Value::Number).collect()))
    }

    fn text(&mut self, text: &str) -> Option<String> {
        self.exhausted |= self.budget.text(text.len()).is_err();
        (!self.exhausted).then(|| text.to_owned())
    }
}
