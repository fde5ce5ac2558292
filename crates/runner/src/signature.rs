//! What a graph takes and gives: names, element types and symbolic shapes, and the check of tensors against them.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use crate::tensor::{ElementType, NamedTensors, Tensor};

/// The size of one axis of a graph's input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this size.
    Fixed(usize),
    /// Any size, the same wherever the name appears: `batch`.
    Symbol(String),
    /// The sum of named sizes, in alphabetical order: `past + sequence`.
    Sum(Vec<String>),
    /// Any size.
    Any,
}

impl Dim {
    /// Reads a dimension as ONNX files name it: a number, a name, or names joined by `+`. Whatever else it is
    /// becomes [`Dim::Any`].
    pub fn parse(text: &str) -> Self {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c))
        };
        let text = text.trim();
        if let Ok(size) = text.parse() {
            return Self::Fixed(size);
        }
        let mut names: Vec<String> = text.split('+').map(|name| name.trim().to_owned()).collect();
        if !names.iter().all(|name| is_name(name)) {
            return Self::Any;
        }
        match names.len() {
            1 => names.pop().map_or(Self::Any, Self::Symbol),
            _ => {
                names.sort_unstable();
                Self::Sum(names)
            }
        }
    }

    /// The size for known sizes of the names; `None` if it does not follow from them.
    pub fn eval(&self, sizes: &Sizes) -> Option<usize> {
        match self {
            Self::Fixed(size) => Some(*size),
            Self::Symbol(name) => sizes.get(name),
            Self::Sum(names) => names.iter().try_fold(0_usize, |sum, name| sum.checked_add(sizes.get(name)?)),
            Self::Any => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
            Self::Sum(names) => f.write_str(&names.join(" + ")),
            Self::Any => f.write_str("any"),
        }
    }
}

/// One input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element_type: ElementType,
    /// Its sizes, outermost axis first.
    pub shape: Vec<Dim>,
}

impl Port {
    /// The shape as people write it: `[batch, past + sequence]`.
    pub fn shape_text(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(Dim::to_string).collect();
        format!("[{}]", sizes.join(", "))
    }
}

/// What a graph takes and gives, in the graph's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The inputs.
    pub inputs: Vec<Port>,
    /// The outputs.
    pub outputs: Vec<Port>,
}

/// The sizes that tensors give to the names in a signature, with the input that gave them.
#[derive(Clone, Debug, Default)]
pub struct Sizes(BTreeMap<String, (usize, String)>);

impl Sizes {
    /// The size of a name.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).map(|(size, _)| *size)
    }
}

/// Why tensors cannot be the inputs of a graph.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InputError {
    /// The graph has no input of that name.
    #[error("the graph has no input `{name}`; its inputs are {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The names of the graph's inputs.
        known: Vec<String>,
    },
    /// An input that has no default is not given.
    #[error("the input `{name}` is missing; it is {expected}")]
    Missing {
        /// The input.
        name: String,
        /// Its element type and shape.
        expected: String,
    },
    /// Elements of another type.
    #[error("the input `{name}` has {found} elements, expected {expected}")]
    ElementType {
        /// The input.
        name: String,
        /// The graph's type.
        expected: ElementType,
        /// The tensor's type.
        found: ElementType,
    },
    /// Another number of axes.
    #[error("the input `{name}` has the shape {found:?}, expected {expected}")]
    Rank {
        /// The input.
        name: String,
        /// The graph's shape.
        expected: String,
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// An axis of another size than the graph or the other inputs ask for.
    #[error("the input `{name}` has the shape {found:?}, expected {expected} with {reason}")]
    Size {
        /// The input.
        name: String,
        /// The graph's shape.
        expected: String,
        /// The tensor's shape.
        found: Vec<usize>,
        /// Which size is expected, and why.
        reason: String,
    },
    /// No series, or no points.
    #[error("the input `{name}` has the shape {found:?}; it needs at least one series and one point")]
    Empty {
        /// The input.
        name: String,
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// A mask value other than 0 and 1.
    #[error(
        "the input `{name}` has the value {found} at {index:?}; a mask is 1 for real points and 0 for others"
    )]
    Mask {
        /// The input.
        name: String,
        /// Where: row and column.
        index: Vec<usize>,
        /// The value.
        found: i64,
    },
}

impl Signature {
    /// The input of a name.
    pub fn input(&self, name: &str) -> Option<&Port> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output of a name.
    pub fn output(&self, name: &str) -> Option<&Port> {
        self.outputs.iter().find(|port| port.name == name)
    }

    /// Checks that the tensors are all inputs of the graph, and fit it and each other.
    ///
    /// # Errors
    ///
    /// See [`InputError`].
    pub fn check(&self, tensors: &NamedTensors) -> Result<Sizes, InputError> {
        let sizes = self.check_given(tensors)?;
        match self.inputs.iter().find(|port| !tensors.contains_key(&port.name)) {
            None => Ok(sizes),
            Some(port) => Err(InputError::Missing {
                name: port.name.clone(),
                expected: format!("{} {}", port.element_type, port.shape_text()),
            }),
        }
    }

    /// [`Signature::check`] for some of the inputs: that others are missing is no error.
    pub fn check_given(&self, tensors: &NamedTensors) -> Result<Sizes, InputError> {
        if let Some(name) = tensors.keys().find(|name| self.input(name).is_none()) {
            return Err(InputError::Unknown {
                name: name.clone(),
                known: self.inputs.iter().map(|port| port.name.clone()).collect(),
            });
        }
        let given = || self.inputs.iter().filter_map(|port| Some((port, tensors.get(&port.name)?)));
        let mut sizes = Sizes::default();
        for (port, tensor) in given() {
            port.check_type(tensor)?;
            port.bind(tensor.shape(), &mut sizes)?;
        }
        // Sums can only be checked when every name has its size.
        for (port, tensor) in given() {
            port.check_sums(tensor.shape(), &sizes)?;
        }
        Ok(sizes)
    }
}

impl Port {
    fn check_type(&self, tensor: &Tensor) -> Result<(), InputError> {
        if tensor.element_type() != self.element_type {
            return Err(InputError::ElementType {
                name: self.name.clone(),
                expected: self.element_type.clone(),
                found: tensor.element_type(),
            });
        }
        if tensor.shape().len() != self.shape.len() {
            return Err(InputError::Rank {
                name: self.name.clone(),
                expected: self.shape_text(),
                found: tensor.shape().to_vec(),
            });
        }
        Ok(())
    }

    fn bind(&self, shape: &[usize], sizes: &mut Sizes) -> Result<(), InputError> {
        for (dim, &found) in self.shape.iter().zip(shape) {
            match dim {
                Dim::Fixed(size) if *size != found => {
                    return Err(self.size_error(shape, format!("{size} where it has {found}")));
                }
                Dim::Symbol(name) => {
                    let (size, by) =
                        sizes.0.entry(name.clone()).or_insert_with(|| (found, self.name.clone()));
                    if *size != found {
                        let reason = format!("{name} = {size} as in `{by}`");
                        return Err(self.size_error(shape, reason));
                    }
                }
                Dim::Fixed(_) | Dim::Sum(_) | Dim::Any => {}
            }
        }
        Ok(())
    }

    fn check_sums(&self, shape: &[usize], sizes: &Sizes) -> Result<(), InputError> {
        for (dim, &found) in self.shape.iter().zip(shape) {
            if matches!(dim, Dim::Sum(_))
                && let Some(size) = dim.eval(sizes)
                && size != found
            {
                return Err(self.size_error(shape, format!("{dim} = {size}")));
            }
        }
        Ok(())
    }

    fn size_error(&self, found: &[usize], reason: String) -> InputError {
        InputError::Size {
            name: self.name.clone(),
            expected: self.shape_text(),
            found: found.to_vec(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;

    fn signature() -> Signature {
        let port = |name: &str, element_type, dims: &[&str]| Port {
            name: name.to_owned(),
            element_type,
            shape: dims.iter().map(|dim| Dim::parse(dim)).collect(),
        };
        Signature {
            inputs: vec![
                port("x", ElementType::F32, &["batch", "sequence", "1"]),
                port("mask", ElementType::I64, &["batch", "past + sequence"]),
                port("cache", ElementType::F32, &["batch", "past"]),
            ],
            outputs: vec![],
        }
    }

    fn tensors(x: [usize; 3], mask: [usize; 2], cache: [usize; 2]) -> NamedTensors {
        NamedTensors::from([
            ("x".to_owned(), Array3::<f32>::zeros(x).into()),
            ("mask".to_owned(), Array2::<i64>::zeros(mask).into()),
            ("cache".to_owned(), Array2::<f32>::zeros(cache).into()),
        ])
    }

    #[test]
    fn dimensions_are_read_as_onnx_files_write_them() {
        assert_eq!(Dim::parse("1"), Dim::Fixed(1));
        assert_eq!(Dim::parse("batch"), Dim::Symbol("batch".to_owned()));
        let sum = Dim::Sum(vec!["past".to_owned(), "sequence".to_owned()]);
        assert_eq!(Dim::parse("past + sequence"), sum);
        assert_eq!(Dim::parse("sequence+past"), sum);
        for other in ["", "2*past", "floor(x/2)", "a + ", "-1"] {
            assert_eq!(Dim::parse(other), Dim::Any, "{other:?}");
        }
    }

    #[test]
    fn fitting_tensors_give_the_names_their_sizes() {
        let sizes = signature().check(&tensors([2, 3, 1], [2, 8], [2, 5])).unwrap();
        assert_eq!(sizes.get("batch"), Some(2));
        assert_eq!(sizes.get("past"), Some(5));
        assert_eq!(Dim::parse("past + sequence").eval(&sizes), Some(8));
        assert_eq!(Dim::parse("elsewhere").eval(&sizes), None);
    }

    #[test]
    fn errors_name_the_input_what_was_expected_and_what_was_found() {
        let cases = [
            (
                tensors([2, 3, 2], [2, 3], [2, 0]),
                "the input `x` has the shape [2, 3, 2], expected [batch, sequence, 1] with 1 where it has 2",
            ),
            (
                tensors([2, 3, 1], [3, 3], [2, 0]),
                "the input `mask` has the shape [3, 3], expected [batch, past + sequence] with batch = 2 as in `x`",
            ),
            (
                tensors([2, 3, 1], [2, 4], [2, 0]),
                "the input `mask` has the shape [2, 4], expected [batch, past + sequence] with past + sequence = 3",
            ),
        ];
        for (tensors, expected) in cases {
            assert_eq!(signature().check(&tensors).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn unknown_missing_and_mistyped_inputs_are_named() {
        let mut unknown = tensors([1, 1, 1], [1, 1], [1, 0]);
        unknown.insert("y".to_owned(), Array2::<f32>::zeros((1, 1)).into());
        let message = signature().check(&unknown).unwrap_err().to_string();
        assert_eq!(message, "the graph has no input `y`; its inputs are x, mask, cache");

        let mut missing = tensors([1, 1, 1], [1, 1], [1, 0]);
        missing.remove("cache");
        assert!(signature().check_given(&missing).is_ok());
        let message = signature().check(&missing).unwrap_err().to_string();
        assert_eq!(message, "the input `cache` is missing; it is float32 [batch, past]");

        let mut mistyped = tensors([1, 1, 1], [1, 1], [1, 0]);
        mistyped.insert("mask".to_owned(), Array2::<f32>::zeros((1, 1)).into());
        let message = signature().check(&mistyped).unwrap_err().to_string();
        assert_eq!(message, "the input `mask` has float32 elements, expected int64");

        let mut flat = tensors([1, 1, 1], [1, 1], [1, 0]);
        flat.insert("x".to_owned(), Array2::<f32>::zeros((1, 1)).into());
        let message = signature().check(&flat).unwrap_err().to_string();
        assert_eq!(message, "the input `x` has the shape [1, 1], expected [batch, sequence, 1]");
    }

    #[test]
    fn sizes_that_overflow_are_an_error_and_not_a_panic() {
        let huge = [usize::MAX >> 1, 0];
        let sizes = Sizes(BTreeMap::from([
            ("past".to_owned(), (usize::MAX, "cache".to_owned())),
            ("sequence".to_owned(), (1, "x".to_owned())),
        ]));
        assert_eq!(Dim::parse("past + sequence").eval(&sizes), None);
        assert!(signature().check(&tensors([1, 1, 1], [1, 1], [huge[1], huge[0]])).is_err());
    }
}
