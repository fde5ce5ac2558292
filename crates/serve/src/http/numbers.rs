//! Numbers in JSON: `null` is a missing point, nested arrays are flattened.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

/// Numbers in arrays of at most `DEPTH` levels, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Numbers<const DEPTH: usize> {
    pub(crate) values: Vec<f64>,
    /// Levels of arrays that there were: 1 of numbers in one array.
    pub(crate) levels: usize,
}

impl<'de, const DEPTH: usize> serde::Deserialize<'de> for Numbers<DEPTH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut values, mut levels) = (Vec::new(), 0);
        deserializer.deserialize_seq(Level {
            values: &mut values,
            levels: &mut levels,
            above: 0,
            most: DEPTH,
        })?;
        Ok(Self { values, levels })
    }
}

/// An array, or a number within one, whose numbers are appended.
struct Level<'a> {
    values: &'a mut Vec<f64>,
    /// The most levels so far.
    levels: &'a mut usize,
    /// Arrays around this one.
    above: usize,
    /// Levels that there may be.
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.most.saturating_sub(self.above) {
            0 => "a number, or null for a missing point",
            _ => "an array of numbers, with null for missing points",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { values, levels, above, most } = self;
        if above >= most {
            return Err(A::Error::custom("expected a number, found an array"));
        }
        let above = above + 1;
        *levels = above.max(*levels);
        while elements
            .next_element_seed(Level { values: &mut *values, levels: &mut *levels, above, most })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.values.push(value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit_f64(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const DEPTH: usize>(text: &str) -> Result<Vec<f64>, String> {
        let numbers = serde_json::from_str::<Numbers<DEPTH>>(text);
        numbers.map(|numbers| numbers.values).map_err(|error| error.to_string())
    }

    #[test]
    fn null_is_a_missing_point_and_nesting_is_flattened() {
        let numbers = read::<1>("[1, -2.5, null, 1e3]").unwrap();
        assert!(numbers[2].is_nan());
        assert_eq!([numbers[0], numbers[1], numbers[3]], [1.0, -2.5, 1000.0]);
        assert_eq!(read::<2>("[[1, 2], [3], 4]").unwrap(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn how_deep_arrays_are_nested_is_known() {
        for (text, expected) in
            [("[]", 1), ("[1, null]", 1), ("[[]]", 2), ("[1, [2], 3]", 2), ("[[[1]], 2]", 3)]
        {
            assert_eq!(serde_json::from_str::<Numbers<3>>(text).unwrap().levels, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["[[1]]", "[\"1\"]", "[true]", "[{}]", "1", "null", "[NaN]", "[1e999]", "[1"] {
            assert!(read::<1>(text).is_err(), "{text}");
        }
        assert!(read::<8>(&("[".repeat(100_000) + &"]".repeat(100_000))).is_err());
    }
}
