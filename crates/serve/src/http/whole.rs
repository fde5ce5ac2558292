//! Whole numbers in JSON, which does not tell 24 from 24.0: languages that know one type of number write either.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Up to here every whole number is a float.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// A whole number that is not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole(u64);

impl Whole {
    /// As a count of things in memory; the largest such count stands for what is larger still.
    pub(crate) fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

/// A float that is a whole number and that is not rounded.
pub(crate) fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() <= LARGEST).then_some(value as i64)
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number that is not negative")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
                Ok(Whole(value))
            }

            /// Only what is negative.
            fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
                Err(E::invalid_value(Unexpected::Signed(value), &self))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
                let number = whole(value).and_then(|value| u64::try_from(value).ok());
                number.map(Whole).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_u64(Digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        for (text, expected) in
            [("0", 0), ("24", 24), ("24.0", 24), ("2.4e1", 24), ("18446744073709551615", u64::MAX)]
        {
            assert_eq!(serde_json::from_str::<Whole>(text).unwrap(), Whole(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        for text in ["-1", "-1.0", "0.5", "1e300", "\"1\"", "null", "[1]", "true", "{}"] {
            let error = serde_json::from_str::<Whole>(text).unwrap_err().to_string();
            assert!(error.contains("expected a whole number that is not negative"), "{text}: {error}");
        }
    }
}
