//! Other weights for an engine.

use std::fmt;
use std::marker::PhantomData;
use std::path::{self, Path};

use cxx::{UniquePtr, let_cxx_string};

use crate::bridge::ffi;
use crate::builder::path_text;
use crate::engine::EngineInner;
use crate::error::{Error, checked_text};
use crate::parser::ParserErrors;
use crate::types::DataType;

/// Replaces an engine's weights, or gives them to one that was written without. Nothing else can use the engine meanwhile, and the
/// weights `'w` are borrowed until it is done.
///
/// ```no_run
/// # fn f(mut engine: tmoe_tensorrt::Engine) -> Result<(), tmoe_tensorrt::Error> {
/// let mut refitter = engine.refitter()?;
/// println!("missing: {:?}", refitter.missing()?);
/// refitter.refit_from_file("model.onnx".as_ref())?; // all of the model's weights
/// refitter.refit()?;
/// # Ok(()) }
/// ```
pub struct Refitter<'e, 'w> {
    shim: UniquePtr<ffi::Refitter>,
    engine: &'e mut EngineInner,
    weights: PhantomData<&'w [u8]>,
}

// SAFETY: a refitter belongs to no thread; it is used through `&mut` only, and the weights can be read from any thread.
unsafe impl Send for Refitter<'_, '_> {}

impl fmt::Debug for Refitter<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refitter").finish_non_exhaustive()
    }
}

impl<'e, 'w> Refitter<'e, 'w> {
    pub(crate) fn new(shim: UniquePtr<ffi::Refitter>, engine: &'e mut EngineInner) -> Self {
        Self { shim, engine, weights: PhantomData }
    }

    /// The names of all weights that can be replaced.
    ///
    /// # Errors
    /// TensorRT does not tell.
    pub fn weights(&mut self) -> Result<Vec<String>, Error> {
        let library = self.engine.library();
        library.ask("to list the weights", || self.shim.pin_mut().weights(false))
    }

    /// The names of the weights that have to be given before [`Self::refit`], because others were.
    ///
    /// # Errors
    /// TensorRT does not tell.
    pub fn missing(&mut self) -> Result<Vec<String>, Error> {
        let library = self.engine.library();
        library.ask("to list the missing weights", || self.shim.pin_mut().weights(true))
    }

    /// Gives new weights: elements of this type, one after the other.
    ///
    /// # Errors
    /// The type is not known, or the bytes are no whole number of elements; the engine has no such weights; or they differ in
    /// number or type.
    pub fn set_weights(&mut self, name: &str, data_type: DataType, bytes: &'w [u8]) -> Result<(), Error> {
        let bits = data_type.bits().filter(|&bits| (8 * bytes.len()).is_multiple_of(bits));
        let Some(bits) = bits else {
            return Err(Error::Number {
                what: "the number of bytes of these weights",
                value: bytes.len() as u64,
            });
        };
        let_cxx_string!(name = checked_text(name)?);
        let count = (bytes.len() * 8 / bits) as i64;
        let shim = self.shim.pin_mut();
        self.engine.library().demand("the weights", || {
            // SAFETY: these are that many elements, and `'w` outlives the refitter.
            unsafe { shim.set_weights(&name, data_type.code(), bytes.as_ptr() as usize, count) }
        })
    }

    /// Gives all weights of an ONNX model, with its external data.
    ///
    /// # Errors
    /// The file cannot be read, or its weights do not fit the engine's.
    pub fn refit_from_file(&mut self, model: &Path) -> Result<(), Error> {
        let library = self.engine.library();
        library.parser_path()?;
        let absolute = std::fs::File::open(model).and_then(|_| path::absolute(model));
        let absolute = absolute.map_err(|source| Error::File { path: model.to_owned(), source })?;
        let_cxx_string!(text = path_text(&absolute)?);
        let refit = || self.shim.pin_mut().refit_from_file(&text);
        match library.ask("the model's weights", refit)? {
            errors if errors.is_empty() => Ok(()),
            errors => Err(Error::Parse { path: model.to_owned(), errors: ParserErrors::new(errors) }),
        }
    }

    /// Changes the engine.
    ///
    /// # Errors
    /// Weights are missing, or TensorRT refuses.
    pub fn refit(&mut self) -> Result<(), Error> {
        let missing = self.missing()?;
        if !missing.is_empty() {
            return Err(Error::NotSet { what: "the value", tensor: missing.join(", ") });
        }
        let library = self.engine.library();
        library.demand("to refit the engine", || self.shim.pin_mut().refit())
    }
}
