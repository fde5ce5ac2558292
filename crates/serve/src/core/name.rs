//! Names of models and of their versions, as they stand in addresses and below folders.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest name.
const MOST: usize = 128;

/// A name that no model or version can have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{found:?} is no name of a model or version: names have 1 to {MOST} letters, digits, `-`, `_` and `.`, and do not begin with a `.`"
)]
pub struct NameError {
    /// The text, cut to a length that can be shown.
    pub found: String,
}

/// Checks that a name means nothing to a file system or an address, so that it can be part of both.
fn checked(text: &str) -> Result<String, NameError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > MOST || text.starts_with('.') || !text.bytes().all(plain) {
        return Err(NameError { found: text.chars().take(MOST).collect() });
    }
    Ok(text.to_owned())
}

/// The name of a model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(String);

/// A version of a model. Whole numbers come in their order, and before other names: the last is the newest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// The version of a package that nobody gave one: `1`.
    pub fn first() -> Self {
        Self("1".to_owned())
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |version: &Self| version.0.parse::<u64>().ok();
        match (number(self), number(other)) {
            (Some(left), Some(right)) => left.cmp(&right).then_with(|| self.0.cmp(&other.0)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.0.cmp(&other.0),
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                checked(text).map(Self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}
name!(ModelName);
name!(Version);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_that_are_numbers_come_in_the_order_of_numbers() {
        let mut versions: Vec<Version> =
            ["b", "10", "9", "a", "09"].iter().map(|text| text.parse().unwrap()).collect();
        versions.sort();
        let texts: Vec<&str> = versions.iter().map(Version::as_str).collect();
        assert_eq!(texts, ["09", "9", "10", "a", "b"]);
    }

    #[test]
    fn names_that_mean_something_to_a_file_system_are_refused() {
        for text in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a\0b", "a b", "ä", &"x".repeat(129)] {
            assert!(text.parse::<ModelName>().is_err(), "{text:?}");
        }
        for text in ["timemoe-50m", "a.b_c", "1", &"x".repeat(128)] {
            assert_eq!(text.parse::<ModelName>().unwrap().as_str(), text);
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_plain_component_of_a_path(text in ".{0,20}") {
            if let Ok(name) = text.parse::<ModelName>() {
                let path = std::path::Path::new(name.as_str());
                let components: Vec<_> = path.components().collect();
                prop_assert!(matches!(components[..], [std::path::Component::Normal(part)] if part == name.as_str()));
            }
        }
    }
}
