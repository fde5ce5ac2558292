//! Objects in JSON. What serde derives for a struct also takes an array with its fields in their order; no description of the
//! interface says so, and a client that sends one means something else.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// A struct that is written as an object, and as nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Point {
        x: u8,
        y: u8,
    }

    #[test]
    fn an_object_is_taken_and_an_array_of_its_fields_is_not() {
        let read =
            |text: &str| serde_json::from_str::<Object<Point>>(text).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"y": 2, "x": 1}"#), Ok(Object(Point { x: 1, y: 2 })));
        for text in ["[1, 2]", "[]", "1", "null", "\"x\""] {
            assert!(read(text).unwrap_err().contains("expected an object"), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_within_is_said_with_its_place() {
        let error = |text: &str| serde_json::from_str::<Object<Point>>(text).unwrap_err().to_string();
        assert_eq!(
            error("{\"x\": 1,\n\"z\": 2}"),
            "unknown field `z`, expected `x` or `y` at line 2 column 3"
        );
        assert_eq!(error(r#"{"x": 1}"#), "missing field `y` at line 1 column 8");
    }
}
