//! From an ONNX file to a network.

use std::fmt;
use std::fs::File;
use std::path::{self, Path};

use cxx::let_cxx_string;

use crate::bridge::ffi;
use crate::builder::path_text;
use crate::error::{Error, checked_text};
use crate::network::NetworkDefinition;

/// Fills a network with an ONNX model. External data is read from beside the model's file.
///
/// ```no_run
/// use tmoe_tensorrt::{Builder, Error, Flavour, Library, OnnxParser};
///
/// let builder = Builder::new(Library::find(Flavour::TensorRtRtx)?)?;
/// let mut network = builder.network(true)?;
/// let mut parser = OnnxParser::new(&mut network)?;
/// assert!(parser.supports_operator("MatMul"));
/// match parser.parse_file("model.onnx") {
///     Ok(()) => println!("{} layers", network.layers()?.len()),
///     Err(Error::Parse { errors, .. }) => {
///         for error in &errors.0 {
///             eprintln!("node {:?} ({}): {}", error.node_name, error.node_operator, error.description);
///         }
///     }
///     Err(other) => return Err(other),
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct OnnxParser<'n> {
    network: &'n mut NetworkDefinition,
    index: usize,
}

/// What the parser says of one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserError {
    /// Its code.
    pub code: ParserErrorCode,
    /// What is wrong.
    pub description: String,
    /// The node's place in the model; `None` if it is not about a node.
    pub node: Option<usize>,
    /// The node's name.
    pub node_name: String,
    /// The node's operator.
    pub node_operator: String,
    /// The local functions that the node is in, outermost first.
    pub local_functions: Vec<String>,
    /// The file of the parser's source.
    pub file: String,
    /// The line in it.
    pub line: i32,
    /// The function in it.
    pub function: String,
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParserErrorCode {
    /// A mistake in the parser.
    Internal,
    /// Out of memory.
    Allocation,
    /// The file is not a model.
    Deserialization,
    /// A value that is not allowed.
    InvalidValue,
    /// A graph that is not allowed.
    InvalidGraph,
    /// A node that is not allowed.
    InvalidNode,
    /// A graph that TensorRT cannot run.
    UnsupportedGraph,
    /// A node that TensorRT cannot run: its operator, attribute, input, data type, dynamic shape, or shape.
    UnsupportedNode,
    /// Weights that do not fit.
    Refit,
    /// Of a newer TensorRT.
    Other(i32),
}

impl ParserErrorCode {
    fn from_code(code: i32) -> Self {
        match code {
            1 => Self::Internal,
            2 => Self::Allocation,
            3 => Self::Deserialization,
            4 => Self::InvalidValue,
            5 => Self::InvalidGraph,
            6 => Self::InvalidNode,
            7 => Self::UnsupportedGraph,
            8..=13 => Self::UnsupportedNode,
            14 => Self::Refit,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for ParserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.node_name.is_empty() || !self.node_operator.is_empty() {
            write!(f, "node {:?} ({}): ", self.node_name, self.node_operator)?;
        }
        write!(f, "{} [{}:{}]", self.description.trim(), self.file, self.line)
    }
}

/// What the parser says, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParserErrors(pub Vec<ParserError>);

impl fmt::Display for ParserErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&errors.join("; "))
    }
}

impl ParserErrors {
    pub(crate) fn new(errors: Vec<ffi::ParserError>) -> Self {
        let error = |error: ffi::ParserError| ParserError {
            code: ParserErrorCode::from_code(error.code),
            description: error.description,
            node: usize::try_from(error.node).ok(),
            node_name: error.node_name,
            node_operator: error.node_operator,
            local_functions: error.local_functions,
            file: error.file,
            line: error.line,
            function: error.function,
        };
        Self(errors.into_iter().map(error).collect())
    }

    /// With what was logged, where the parser itself says nothing.
    pub(crate) fn or_logged(mut self, logged: String) -> Self {
        if self.0.is_empty() {
            self.0 = vec![ParserError {
                code: ParserErrorCode::Other(0),
                description: logged,
                node: None,
                node_name: String::new(),
                node_operator: String::new(),
                local_functions: Vec::new(),
                file: "log".to_owned(),
                line: 0,
                function: String::new(),
            }];
        }
        self
    }
}

impl<'n> OnnxParser<'n> {
    /// A parser into a network. The network keeps what it reads.
    ///
    /// # Errors
    /// The parser's library is not beside TensorRT's, or TensorRT refuses.
    pub fn new(network: &'n mut NetworkDefinition) -> Result<Self, Error> {
        let index = network.add_parser()?;
        Ok(Self { network, index })
    }

    /// Whether there is a chance that an operator can be parsed: of ai.onnx, or a plugin's.
    pub fn supports_operator(&self, operator: &str) -> bool {
        let Ok(operator) = checked_text(operator) else { return false };
        let_cxx_string!(operator = operator);
        self.network.parser(self.index).supports_operator(&operator)
    }

    /// Parses a file.
    ///
    /// # Errors
    /// It cannot be read, or holds what TensorRT cannot run: the errors name the nodes.
    pub fn parse_file(&mut self, model: impl AsRef<Path>) -> Result<(), Error> {
        let model = model.as_ref();
        let absolute = File::open(model).and_then(|_| path::absolute(model));
        let absolute = absolute.map_err(|source| Error::File { path: model.to_owned(), source })?;
        let_cxx_string!(text = path_text(&absolute)?);
        self.parse_with(model, |parser| parser.parse_file(&text, WARNINGS))
    }

    /// Parses a model in memory; `path` is where its file would be, beside which its external data is.
    ///
    /// # Errors
    /// As of [`Self::parse_file`].
    pub fn parse(&mut self, model: &[u8], path: &Path) -> Result<(), Error> {
        let absolute =
            path::absolute(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        let_cxx_string!(text = path_text(&absolute)?);
        self.parse_with(path, |parser| parser.parse(model, &text))
    }

    fn parse_with(
        &mut self,
        path: &Path,
        parse: impl FnOnce(std::pin::Pin<&mut ffi::Parser>) -> bool,
    ) -> Result<(), Error> {
        let library = self.network.library();
        let watch = library.watch();
        if parse(self.network.parser_mut(self.index)) {
            return Ok(());
        }
        let parser = self.network.parser(self.index);
        let errors = ParserErrors::new(library.ask("to tell the parser's errors", || parser.errors())?);
        let errors = errors.or_logged(watch.errors("it gave no reason"));
        Err(Error::Parse { path: path.to_owned(), errors })
    }
}

/// What the parser logs: as severities.
const WARNINGS: i32 = 2;
