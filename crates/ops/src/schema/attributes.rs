//! Attributes of a node.

use std::collections::BTreeMap;
use std::fmt;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// A whole number; also truth values, as 0 and 1.
    Int(i64),
    /// A number.
    Float(f32),
    /// A word.
    Text(String),
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f32> for AttributeValue {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for AttributeValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "`{value}`"),
        }
    }
}

/// An attribute that an operator has.
#[derive(Debug)]
pub struct AttributeSpec {
    /// Its name.
    pub name: &'static str,
    /// What it is when it is not given; also says which type it has.
    pub default: AttributeDefault,
}

/// The type of an attribute, and its value when it is not given.
#[derive(Debug)]
pub enum AttributeDefault {
    /// An integer that must be given.
    RequiredInt,
    /// An integer.
    Int(i64),
    /// A number.
    Float(f32),
    /// A word.
    Text(&'static str),
}

impl AttributeSpec {
    pub(super) const fn new(name: &'static str, default: AttributeDefault) -> Self {
        Self { name, default }
    }
}

/// The attributes that a node gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(BTreeMap<String, AttributeValue>);

impl Attributes {
    /// Adds an attribute.
    pub fn insert(&mut self, name: &str, value: AttributeValue) {
        self.0.insert(name.to_owned(), value);
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0.get(name)
    }

    /// All that are given, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl<'a> FromIterator<(&'a str, AttributeValue)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (&'a str, AttributeValue)>>(attributes: I) -> Self {
        Self(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
