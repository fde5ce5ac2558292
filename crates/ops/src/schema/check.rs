//! What the rules of all operators need: reading a node's inputs and attributes, and saying what is wrong.

use super::argument::{Argument, Dimension, ElementType, shape_text};
use super::attributes::{AttributeDefault, AttributeValue, Attributes};
use super::{Operator, SchemaError};

/// A node whose inputs are there and of types that the operator takes.
pub(super) struct Node<'a> {
    operator: &'static Operator,
    attributes: &'a Attributes,
    inputs: &'a [Option<Argument>],
}

impl<'a> Node<'a> {
    pub(super) fn new(
        operator: &'static Operator,
        attributes: &'a Attributes,
        inputs: &'a [Option<Argument>],
    ) -> Result<Self, SchemaError> {
        if inputs.len() > operator.inputs.len() {
            return Err(SchemaError::TooManyInputs {
                operator: operator.name,
                expected: operator.inputs.len(),
                found: inputs.len(),
            });
        }
        for (index, spec) in operator.inputs.iter().enumerate() {
            match inputs.get(index).and_then(Option::as_ref) {
                None if spec.optional => {}
                None => {
                    return Err(SchemaError::MissingInput { operator: operator.name, input: spec.name });
                }
                Some(argument) if spec.types.contains(&argument.element_type) => {}
                Some(argument) => {
                    return Err(SchemaError::ElementType {
                        operator: operator.name,
                        input: spec.name,
                        expected: spec.types.to_vec(),
                        found: argument.element_type,
                    });
                }
            }
        }
        Self::attributes_of(operator, attributes)?;
        let node = Self { operator, attributes, inputs };
        node.check_shared_type()?;
        Ok(node)
    }

    /// Inputs that have one type together have that of the first.
    fn check_shared_type(&self) -> Result<(), SchemaError> {
        let Some(shared) = &self.operator.shared_type else { return Ok(()) };
        let mut given = shared.inputs.iter().filter_map(|&name| Some((name, self.input(name)?.element_type)));
        let Some((_, first)) = given.next() else { return Ok(()) };
        match given.find(|(_, element_type)| *element_type != first) {
            None => Ok(()),
            Some((input, found)) => Err(SchemaError::ElementType {
                operator: self.operator.name,
                input,
                expected: vec![first],
                found,
            }),
        }
    }

    /// The node's attributes alone, each of its right type.
    pub(super) fn attributes_of(
        operator: &'static Operator,
        attributes: &'a Attributes,
    ) -> Result<Self, SchemaError> {
        for (name, value) in attributes.iter() {
            let Some(spec) = operator.attributes.iter().find(|spec| spec.name == name) else {
                return Err(SchemaError::UnknownAttribute {
                    operator: operator.name,
                    attribute: name.to_owned(),
                });
            };
            let expected = match (&spec.default, value) {
                (AttributeDefault::RequiredInt | AttributeDefault::Int(_), AttributeValue::Int(_))
                | (AttributeDefault::Float(_), AttributeValue::Float(_))
                | (AttributeDefault::Text(_), AttributeValue::Text(_)) => continue,
                (AttributeDefault::RequiredInt | AttributeDefault::Int(_), _) => "an integer",
                (AttributeDefault::Float(_), _) => "a float",
                (AttributeDefault::Text(_), _) => "a string",
            };
            return Err(SchemaError::Attribute {
                operator: operator.name,
                attribute: spec.name,
                expected: expected.to_owned(),
                found: value.to_string(),
            });
        }
        Ok(Self { operator, attributes, inputs: &[] })
    }

    fn index(&self, input: &str) -> usize {
        let index = self.operator.inputs.iter().position(|spec| spec.name == input);
        index.unwrap_or_else(|| unreachable!("{} has no input {input}", self.operator.name))
    }

    /// An input, if it is given.
    pub(super) fn input(&self, input: &'static str) -> Option<&'a Argument> {
        self.inputs.get(self.index(input)).and_then(Option::as_ref)
    }

    /// The element type of an input that must be given.
    pub(super) fn element_type(&self, input: &'static str) -> ElementType {
        self.input(input).map_or(ElementType::Float32, |argument| argument.element_type)
    }

    /// The sizes of an input with `N` axes; all unknown where nothing is known. `expected` is said where their number differs.
    pub(super) fn shape<const N: usize>(
        &self,
        input: &'static str,
        expected: &str,
    ) -> Result<[Dimension; N], SchemaError> {
        match self.input(input).and_then(|argument| argument.shape.as_deref()) {
            None => Ok(std::array::from_fn(|_| Dimension::Unknown)),
            Some(shape) => shape.to_vec().try_into().map_err(|_| self.shape_error(input, expected)),
        }
    }

    /// Fails unless the input may have the given size on the axis.
    pub(super) fn require(
        &self,
        fits: bool,
        input: &'static str,
        expected: impl FnOnce() -> String,
    ) -> Result<(), SchemaError> {
        if fits { Ok(()) } else { Err(self.shape_error(input, &expected())) }
    }

    /// Fails unless both inputs, where they are given, may have the same shape.
    pub(super) fn same_shape(&self, input: &'static str, other: &'static str) -> Result<(), SchemaError> {
        let shape = |input| self.input(input).and_then(|argument| argument.shape.as_deref());
        let (Some(found), Some(expected)) = (shape(input), shape(other)) else { return Ok(()) };
        let fits = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| a.may_equal(b));
        self.require(fits, input, || format!("{} as `{other}`", shape_text(Some(expected))))
    }

    /// An input whose shape does not fit.
    pub(super) fn shape_error(&self, input: &'static str, expected: &str) -> SchemaError {
        let shape = self.input(input).and_then(|argument| argument.shape.as_deref());
        SchemaError::Shape {
            operator: self.operator.name,
            input,
            expected: expected.to_owned(),
            found: shape_text(shape),
        }
    }

    fn default(&self, attribute: &str) -> &'static AttributeDefault {
        let spec = self.operator.attributes.iter().find(|spec| spec.name == attribute);
        spec.map_or_else(
            || unreachable!("{} has no attribute {attribute}", self.operator.name),
            |spec| &spec.default,
        )
    }

    /// An integer attribute that is within a range.
    pub(super) fn int(
        &self,
        attribute: &'static str,
        range: impl std::ops::RangeBounds<i64> + std::fmt::Debug,
    ) -> Result<i64, SchemaError> {
        let expected = || format!("an integer in {range:?}");
        let value = match (self.attributes.get(attribute), self.default(attribute)) {
            (Some(AttributeValue::Int(value)), _) => *value,
            (None, AttributeDefault::Int(value)) => *value,
            _ => return Err(self.attribute_error(attribute, expected(), "missing".to_owned())),
        };
        if range.contains(&value) {
            Ok(value)
        } else {
            Err(self.attribute_error(attribute, expected(), value.to_string()))
        }
    }

    /// A number.
    pub(super) fn float(&self, attribute: &'static str) -> f32 {
        match (self.attributes.get(attribute), self.default(attribute)) {
            (Some(AttributeValue::Float(value)), _) => *value,
            (_, AttributeDefault::Float(value)) => *value,
            _ => unreachable!("{} has no number {attribute}", self.operator.name),
        }
    }

    /// One of the given words.
    pub(super) fn choice<T: Copy>(
        &self,
        attribute: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, SchemaError> {
        let word = match (self.attributes.get(attribute), self.default(attribute)) {
            (Some(AttributeValue::Text(value)), _) => value.as_str(),
            (_, AttributeDefault::Text(value)) => value,
            _ => unreachable!("{} has no word {attribute}", self.operator.name),
        };
        choices.iter().find(|(name, _)| *name == word).map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.attribute_error(attribute, format!("one of {}", names.join(", ")), format!("`{word}`"))
        })
    }

    /// An attribute whose value does not fit.
    pub(super) fn attribute_error(
        &self,
        attribute: &'static str,
        expected: String,
        found: String,
    ) -> SchemaError {
        SchemaError::Attribute { operator: self.operator.name, attribute, expected, found }
    }

    /// Checks that int8 weights, and only they, come with scales of the given shape.
    pub(super) fn scales(
        &self,
        weight: &'static str,
        scale: &'static str,
        shape: &[Dimension],
    ) -> Result<(), SchemaError> {
        let is_int8 = self.element_type(weight) == ElementType::Int8;
        let expected = || format!("{} with the int8 weights `{weight}`", shape_text(Some(shape)));
        match self.input(scale) {
            None if is_int8 => Err(SchemaError::MissingInput { operator: self.operator.name, input: scale }),
            None => Ok(()),
            Some(_) if !is_int8 => Err(self.shape_error(scale, "left out: only int8 weights have scales")),
            Some(Argument { shape: None, .. }) => Ok(()),
            Some(Argument { shape: Some(found), .. }) => {
                let fits = found.len() == shape.len() && found.iter().zip(shape).all(|(a, b)| a.may_equal(b));
                self.require(fits, scale, expected)
            }
        }
    }
}
