//! JSON objects read the way the reference reads them: keys match in any letter case, `null` means absent, the last
//! of equal keys wins, integers are plain integers, invalid UTF-8 becomes U+FFFD, nothing may follow the document.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The document is not JSON, not an object, or a known key has a value of the wrong type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Calls `field(lower-case key, value)` for every entry with a value other than `null`, in document order.
/// A top-level `null` has no entries.
pub(crate) fn read_object(
    json: &[u8],
    field: &mut dyn FnMut(&str, &Value) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let text = String::from_utf8_lossy(json);
    let mut reader = serde_json::Deserializer::from_str(&text);
    Object { field }.deserialize(&mut reader).map_err(|_| Malformed)?;
    reader.end().map_err(|_| Malformed)
}

struct Object<'f> {
    field: &'f mut dyn FnMut(&str, &Value) -> Result<(), Malformed>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<Value>()?;
            if !value.is_null() {
                (self.field)(&key.to_lowercase(), &value)
                    .map_err(|_| serde::de::Error::custom(format!("wrong type for {key}")))?;
            }
        }
        Ok(())
    }
}

pub(crate) fn string(value: &Value) -> Result<String, Malformed> {
    value.as_str().map(str::to_owned).ok_or(Malformed)
}

pub(crate) fn boolean(value: &Value) -> Result<bool, Malformed> {
    value.as_bool().ok_or(Malformed)
}

pub(crate) fn integer(value: &Value) -> Result<i64, Malformed> {
    value.as_i64().ok_or(Malformed)
}

/// Whether the bytes are one JSON document and nothing else.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    IgnoredAny::deserialize(&mut reader)
        .and_then(|_| reader.end())
        .is_ok()
}
