//! The seam between the server and what forecasts.

use std::path::Path;

use tmoe_runner::{CancelToken, Error, SeriesError};

use super::queue::Policy;

/// What a server tells others about a model, and needs to know to feed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Points that the model holds, context and horizon together.
    pub positions: usize,
    /// The most rows of one pass; `None`: as many as memory holds.
    pub max_rows: Option<usize>,
    /// What executes it, such as `cpu`.
    pub provider: String,
    /// Which of the package's graphs, such as `plugin`.
    pub graph: String,
    /// How its weights are stored, such as `bf16`.
    pub precision: String,
    /// Batches that it runs at the same time.
    pub parallel_batches: usize,
    /// Which batches pay off.
    pub policy: Policy,
}

/// A model that is loaded and has proved itself.
pub trait Model: Send + Sync + 'static {
    /// What it is.
    fn facts(&self) -> &Facts;

    /// Forecasts rows, oldest point first, NaN for a missing one: one result per row, in their order, with `horizon` values.
    ///
    /// Blocks; is called from several threads at once, which count from 0 as `worker`, [`Facts::parallel_batches`] in all. Ends
    /// early with [`Error::Cancelled`] once `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// What no row is to blame for.
    fn forecast(
        &self,
        worker: usize,
        rows: &[&[f64]],
        horizon: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Result<Vec<f32>, SeriesError>>, Error>;
}

/// Makes models of packages.
pub trait Loader: Send + Sync + 'static {
    /// Loads the package in a folder, and tests it: what is returned may serve at once.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the package or the machine, and what to do.
    fn load(&self, package: &Path) -> Result<Box<dyn Model>, Box<dyn std::error::Error + Send + Sync>>;
}
