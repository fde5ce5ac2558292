//! What every format hands to the common part: series as they stand in the file.

use std::sync::Arc;

use crate::frequency::Frequency;
use crate::read::error::Problem;
use crate::read::{Columns, Layout};
use crate::regular::Plan;
use crate::rows::Rows;
use crate::time::TimeColumn;
use crate::time_series::SeriesError;

/// Reads series one after the other.
pub(super) trait Source: Send {
    /// The next series; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<Raw>, Problem>;

    /// The share of the file that was read, from 0 to 1, where the format knows it better than the
    /// count of bytes does.
    fn progress(&self) -> Option<f64> {
        None
    }

    /// How the series lie in the file.
    fn layout(&self) -> Layout {
        Layout::Long
    }

    /// The columns of a long table.
    fn columns(&self) -> Columns {
        Columns::default()
    }
}

/// A series as it stands in the file, in the file's order.
pub(super) struct Raw {
    pub(super) id: String,
    pub(super) axis: Axis,
    pub(super) values: Vec<f64>,
    pub(super) rows: Arc<Rows>,
}

/// The time stamps of a series.
pub(super) enum Axis {
    None,
    /// Stamps of its own, in any order.
    Own(TimeColumn),
    /// Those of the whole table, which are planned once for all series.
    Shared(Arc<Result<Shared, SeriesError>>),
    /// Only the first is known, and perhaps the step.
    Start(TimeColumn, Option<Frequency>),
}

/// The axis of a wide table.
pub(super) struct Shared {
    pub(super) plan: Plan,
    /// Where the planned points stand.
    pub(super) rows: Arc<Rows>,
}

impl Shared {
    pub(super) fn new(plan: Plan, rows: &Rows) -> Self {
        let rows = Arc::new(plan.rows(rows.clone()));
        Self { plan, rows }
    }
}
