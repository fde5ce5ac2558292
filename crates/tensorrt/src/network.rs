//! A network: what an engine is built of.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use cxx::{UniquePtr, let_cxx_string};

use crate::bridge::ffi;
use crate::builder::BuilderInner;
use crate::error::{Error, checked_text};
use crate::library::Library;
use crate::types::{DataType, LayerKind};

/// A network, which a parser fills.
///
/// ```no_run
/// use tmoe_tensorrt::{Builder, Flavour, Library, OnnxParser};
///
/// let builder = Builder::new(Library::find(Flavour::TensorRt)?)?;
/// let mut network = builder.network(true)?;
/// OnnxParser::new(&mut network)?.parse_file("model.plugin.onnx")?;
/// for input in network.inputs()? {
///     println!("{} {:?} {:?}", input.name, input.data_type, input.shape);
/// }
/// let plugins = network.layers()?.into_iter().filter(|layer| layer.kind.name() == Some("PLUGIN_V3"));
/// println!("{} plugins", plugins.count());
/// # Ok::<(), tmoe_tensorrt::Error>(())
/// ```
pub struct NetworkDefinition {
    // Before the network, which they fill; and kept, because they own weights of it.
    parsers: Vec<UniquePtr<ffi::Parser>>,
    shim: UniquePtr<ffi::Network>,
    // After the network, which it made.
    builder: Arc<BuilderInner>,
}

// SAFETY: a network and its parsers belong to no thread; they are changed through `&mut` only.
unsafe impl Send for NetworkDefinition {}

impl fmt::Debug for NetworkDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkDefinition").field("name", &self.shim.name()).finish_non_exhaustive()
    }
}

/// An input or output of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkTensor {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub data_type: DataType,
    /// Its shape; -1 for dimensions that are not known before run time.
    pub shape: Vec<i64>,
}

/// A layer of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkLayer {
    /// Its name, which the parser makes of the node's.
    pub name: String,
    /// What it does.
    pub kind: LayerKind,
    /// What the parser noted of its origin.
    pub metadata: String,
    /// The tensors that it reads; empty where an optional one is not given.
    pub inputs: Vec<String>,
    /// The tensors that it makes.
    pub outputs: Vec<String>,
}

impl NetworkDefinition {
    pub(crate) fn new(shim: UniquePtr<ffi::Network>, builder: Arc<BuilderInner>) -> Self {
        Self { parsers: Vec::new(), shim, builder }
    }

    pub(crate) fn builder(&self) -> &Arc<BuilderInner> {
        &self.builder
    }

    pub(crate) fn shim(&mut self) -> Pin<&mut ffi::Network> {
        self.shim.pin_mut()
    }

    pub(crate) fn library(&self) -> Library {
        self.builder.library
    }

    /// Adds a parser, which stays; returns its index.
    pub(crate) fn add_parser(&mut self) -> Result<usize, Error> {
        let library = self.library();
        library.parser_path()?;
        let parser = library.ask("to make a parser", || self.shim.pin_mut().parser())?;
        self.parsers.push(parser);
        Ok(self.parsers.len() - 1)
    }

    pub(crate) fn parser(&self, index: usize) -> &ffi::Parser {
        &self.parsers[index]
    }

    pub(crate) fn parser_mut(&mut self, index: usize) -> Pin<&mut ffi::Parser> {
        self.parsers[index].pin_mut()
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.shim.name()
    }

    /// Its name, which the engine takes over.
    ///
    /// # Errors
    /// The name holds a zero byte or is too long.
    pub fn set_name(&mut self, name: &str) -> Result<(), Error> {
        let_cxx_string!(name = checked_text(name)?);
        self.shim.pin_mut().set_name(&name);
        Ok(())
    }

    /// Whether types are those of the model.
    pub fn is_strongly_typed(&self) -> bool {
        self.shim.is_strongly_typed()
    }

    /// Its inputs, in order.
    ///
    /// # Errors
    /// TensorRT does not tell.
    pub fn inputs(&self) -> Result<Vec<NetworkTensor>, Error> {
        Ok(tensors(self.library().ask("to list the network's inputs", || self.shim.inputs())?))
    }

    /// Its outputs, in order.
    ///
    /// # Errors
    /// TensorRT does not tell.
    pub fn outputs(&self) -> Result<Vec<NetworkTensor>, Error> {
        Ok(tensors(self.library().ask("to list the network's outputs", || self.shim.outputs())?))
    }

    /// Its layers, in an order in which they can run.
    ///
    /// # Errors
    /// TensorRT does not tell.
    pub fn layers(&self) -> Result<Vec<NetworkLayer>, Error> {
        let layers = self.library().ask("to list the network's layers", || self.shim.layers())?;
        let layer = |ffi::NetworkLayer { name, kind, metadata, inputs, outputs }| NetworkLayer {
            name,
            kind: LayerKind(kind),
            metadata,
            inputs,
            outputs,
        };
        Ok(layers.into_iter().map(layer).collect())
    }

    /// Lets weights be replaced in the engine, with [`BuilderFlag::RefitIndividual`](crate::BuilderFlag::RefitIndividual).
    ///
    /// # Errors
    /// The network has no such weights.
    pub fn mark_weights_refittable(&mut self, name: &str) -> Result<(), Error> {
        let_cxx_string!(name = checked_text(name)?);
        let (library, shim) = (self.library(), self.shim.pin_mut());
        library.demand("to mark the weights", || shim.mark_weights_refittable(&name))
    }
}

fn tensors(tensors: Vec<ffi::NetworkTensor>) -> Vec<NetworkTensor> {
    let tensor = |ffi::NetworkTensor { name, data_type, shape }| NetworkTensor {
        name,
        data_type: DataType::from_code(data_type),
        shape,
    };
    tensors.into_iter().map(tensor).collect()
}
