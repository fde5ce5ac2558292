//! Makes a series out of what stands in a file: on a regular axis, missing points seen to.

use std::sync::Arc;

use crate::read::ReadOptions;
use crate::read::source::{Axis, Raw};
use crate::regular::Plan;
use crate::time_series::{Repairs, SeriesError, TimeSeries};

/// The fewest points that make a series.
const MIN_POINTS: usize = 2;

pub(super) fn prepare(raw: Raw, options: &ReadOptions) -> Result<TimeSeries, SeriesError> {
    let Raw { id, axis, values, rows } = raw;
    check_points(&values)?;
    let mut series =
        TimeSeries { id, time: None, frequency: None, values, missing: 0, rows, repairs: Repairs::default() };
    match axis {
        Axis::None => {}
        Axis::Own(time) => {
            let plan = Plan::new(time, &series.rows, options.frequency, options.gaps)?;
            series.values = plan.values(series.values, &series.rows)?;
            series.rows = Arc::new(plan.rows(Arc::unwrap_or_clone(series.rows)));
            (series.time, series.frequency) = (Some(plan.time), plan.frequency);
            series.repairs = plan.repairs;
        }
        Axis::Shared(shared) => {
            let shared = shared.as_ref().as_ref().map_err(Clone::clone)?;
            series.values = shared.plan.values(series.values, &series.rows)?;
            series.rows = Arc::clone(&shared.rows);
            (series.time, series.frequency) = (Some(Arc::clone(&shared.plan.time)), shared.plan.frequency);
            series.repairs = shared.plan.repairs;
        }
        Axis::Start(mut time, frequency) => {
            // A start alone, without a step, says nothing about the other points.
            if let Some(frequency) = options.frequency.or(frequency) {
                time.append(time.continue_by(frequency, series.values.len().saturating_sub(1))?);
                (series.time, series.frequency) = (Some(Arc::new(time)), Some(frequency));
            }
        }
    }
    check_points(&series.values)?;
    options.missing.apply(&mut series.values, &series.rows, &mut series.repairs)?;
    series.missing = series.values.iter().filter(|value| value.is_nan()).count();
    Ok(series)
}

fn check_points(values: &[f64]) -> Result<(), SeriesError> {
    let points = values.len();
    if points < MIN_POINTS {
        return Err(SeriesError::TooShort { points });
    }
    if values.iter().all(|value| value.is_nan()) {
        return Err(SeriesError::AllMissing { points });
    }
    Ok(())
}
