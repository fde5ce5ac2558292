//! What a server does, without any protocol: models and their versions, batches, limits, metrics.
//!
//! | file | idea |
//! |---|---|
//! | `forecast` | from a request to its forecasts |
//! | `admission` | how much is taken on at once |
//! | `registry` | which versions serve, and how one takes another's place |
//! | `lane` | a loaded model with its queue and threads; tickets for results |
//! | `queue` | what runs next |
//! | `workers` | how many threads run models |
//! | `batch`, `job` | rows of several requests that run together, and their way back |
//! | `intervals` | quantiles |
//! | `metrics` | what is counted |
//! | `model` | the seam to what forecasts; `packages` is what stands there |

pub mod admission;
mod batch;
pub mod error;
pub mod forecast;
mod intervals;
mod job;
pub mod lane;
pub mod metrics;
pub mod model;
pub mod name;
pub mod packages;
pub mod queue;
pub mod registry;
#[cfg(test)]
#[path = "../../tests/protocols/stand_in.rs"]
mod stand_in;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod workers;

use std::sync::Arc;
use std::time::Duration;

use self::admission::{Admission, Capacity};
use self::lane::Speed;
use self::metrics::Metrics;
use self::model::Loader;
use self::registry::{LaneOptions, Registry};

pub use self::error::ForecastError;
pub use self::forecast::{Answer, Forecast, Input, Request, Usage};
pub use self::intervals::Quantile;

/// What a single request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series of one request.
    pub series: usize,
    /// Numbers of one answer: series times horizon, and that again for each quantile.
    pub values: usize,
    /// The longest time that a request may take, from when it is understood.
    pub timeout: Duration,
}

/// A server without protocols.
#[derive(Debug)]
pub struct Core {
    /// The models.
    pub registry: Registry,
    /// The door.
    pub admission: Arc<Admission>,
    /// The counts.
    pub metrics: Arc<Metrics>,
    limits: Limits,
}

impl Core {
    /// A server without models, with an open door.
    pub fn new(loader: Box<dyn Loader>, lanes: LaneOptions, capacity: Capacity, limits: Limits) -> Self {
        let (metrics, speed) = (Arc::new(Metrics::default()), Arc::new(Speed::default()));
        let registry = Registry::new(loader, lanes, Arc::clone(&metrics), Arc::clone(&speed));
        let admission = Arc::new(Admission::new(capacity, speed, Arc::clone(&metrics)));
        Self { registry, admission, metrics, limits }
    }

    /// Whether requests are taken: all models have a version that serves, and the door is open.
    pub fn is_ready(&self) -> bool {
        !self.admission.is_closed() && self.registry.is_ready()
    }

    /// Lets nobody in any more, and waits until everyone who is in has an answer.
    pub async fn drain(&self) {
        self.admission.close();
        self.admission.empty().await;
    }
}
