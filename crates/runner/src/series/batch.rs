//! From series of any lengths to batches: cut to what the model holds, grouped, left-padded, masked.

use ndarray::{Array2, Array3};

use super::normalize::{Normalization, Scale};
use super::{Series, SeriesError, SeriesLabel};

/// The part of a series that the model sees: it begins and ends with an observed point.
#[derive(Clone, Debug, PartialEq)]
pub struct Window<'a> {
    /// Which series.
    pub label: SeriesLabel,
    /// Its points; NaN is a missing one.
    pub points: &'a [f64],
    /// Missing points after the last observed one, which are forecast and then dropped.
    pub trailing: usize,
}

/// What windows are cut to. A [`Forecaster`](crate::Forecaster) applies them itself; a caller who gathers series of many
/// requests applies them first, and knows what each will cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Points asked for after the series' last row.
    pub horizon: usize,
    /// Most points of context; `None`: as many as the model holds.
    pub context: Option<usize>,
    /// Points that the model holds, context and horizon together.
    pub positions: usize,
}

/// Checks a horizon against the points that a model holds, context and horizon together: worth doing before anything is made
/// that is as long as the horizon.
///
/// # Errors
///
/// [`SeriesError::HorizonZero`] and [`SeriesError::HorizonTooLong`].
pub fn check_horizon(horizon: usize, positions: usize) -> Result<(), SeriesError> {
    match horizon {
        0 => Err(SeriesError::HorizonZero),
        _ if horizon >= positions => Err(SeriesError::HorizonTooLong { horizon, positions }),
        _ => Ok(()),
    }
}

impl Limits {
    /// Checks what does not depend on any series.
    ///
    /// # Errors
    ///
    /// Those of [`check_horizon`], and [`SeriesError::ContextZero`].
    pub fn check(&self) -> Result<(), SeriesError> {
        check_horizon(self.horizon, self.positions)?;
        if self.context == Some(0) {
            return Err(SeriesError::ContextZero);
        }
        Ok(())
    }

    /// Checks a series, the one of this index, and cuts it to the newest points that the model holds.
    ///
    /// # Errors
    ///
    /// [`SeriesError`], which names the series.
    pub fn window<'a>(&self, index: usize, series: &'a Series<'_>) -> Result<Window<'a>, SeriesError> {
        let label = SeriesLabel::of(index, series);
        let values = series.values();
        if values.is_empty() {
            return Err(SeriesError::Empty { series: label });
        }
        let is_beyond_float32 = |value: f64| value.abs() > f64::from(f32::MAX);
        if let Some((position, &value)) =
            values.iter().enumerate().find(|(_, value)| is_beyond_float32(**value))
        {
            return Err(SeriesError::OutOfRange { series: label, position, value });
        }
        let Some(last) = values.iter().rposition(|value| !value.is_nan()) else {
            return Err(SeriesError::AllMissing { series: label, points: values.len() });
        };
        let observed = values.get(..=last).unwrap_or_default();
        let trailing = values.len() - observed.len();
        let room = self
            .horizon
            .checked_add(trailing)
            .and_then(|steps| self.positions.checked_sub(steps))
            .filter(|&room| room > 0);
        let Some(room) = room else {
            return Err(SeriesError::GapTooLong {
                series: label,
                missing: trailing,
                horizon: self.horizon,
                positions: self.positions,
            });
        };
        let keep = self.context.unwrap_or(room).min(room);
        let newest = observed.get(observed.len().saturating_sub(keep)..).unwrap_or_default();
        let first = newest.iter().position(|value| !value.is_nan()).unwrap_or_default();
        Ok(Window { label, points: newest.get(first..).unwrap_or_default(), trailing })
    }
}

/// Sorts windows into batches: indices into `windows`.
///
/// A batch holds windows of the same number of missing points at the end, because the order of heads, and with it
/// the forecast, depends on the number of points forecast: no series' forecast depends on its neighbours. Windows
/// of similar lengths come together. A batch, padding included, holds at most `token_budget` points of context, or
/// one window, and no more than `most` windows.
pub(crate) fn plan(windows: &[Window<'_>], token_budget: usize, most: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize, usize)> = windows
        .iter()
        .enumerate()
        .map(|(index, window)| (window.trailing, window.points.len(), index))
        .collect();
    order.sort_unstable();
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut batch_trailing = None;
    for (trailing, length, index) in order {
        match batches.last_mut() {
            // Lengths ascend, so that this window's is what the whole batch is padded to.
            Some(batch)
                if batch_trailing == Some(trailing)
                    && batch.len() < most
                    && length.saturating_mul(batch.len() + 1) <= token_budget =>
            {
                batch.push(index);
            }
            _ => batches.push(vec![index]),
        }
        batch_trailing = Some(trailing);
    }
    batches
}

/// Windows as the model's input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    /// [batch, sequence, 1]: normalised, left-padded; 0 where the mask is 0.
    pub(crate) input_ids: Array3<f32>,
    /// [batch, sequence]: 1 for observed points.
    pub(crate) attention_mask: Array2<i64>,
    /// How each row was scaled.
    pub(crate) scales: Vec<Scale>,
}

impl Batch {
    /// Normalises windows and pads them to the longest.
    pub(crate) fn new(windows: &[&Window<'_>], normalization: Normalization) -> Self {
        let sequence = windows.iter().map(|window| window.points.len()).max().unwrap_or_default();
        let mut input_ids = Array3::zeros((windows.len(), sequence, 1));
        let mut attention_mask = Array2::zeros((windows.len(), sequence));
        let scales: Vec<Scale> = windows.iter().map(|window| normalization.scale(window.points)).collect();
        for (row, (window, scale)) in windows.iter().zip(&scales).enumerate() {
            let padding = sequence - window.points.len();
            for (position, &value) in window.points.iter().enumerate() {
                if !value.is_nan() {
                    input_ids[[row, padding + position, 0]] = scale.normalize(value);
                    attention_mask[[row, padding + position]] = 1;
                }
            }
        }
        Self { input_ids, attention_mask, scales }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr2, arr3};
    use proptest::prelude::*;

    use super::*;

    const NAN: f64 = f64::NAN;

    fn limits(horizon: usize, context: Option<usize>, positions: usize) -> Limits {
        Limits { horizon, context, positions }
    }

    fn window(values: &[f64], limits: Limits) -> Result<(Vec<f64>, usize), SeriesError> {
        let series = Series::from(values);
        limits.window(0, &series).map(|window| (window.points.to_vec(), window.trailing))
    }

    #[test]
    fn the_newest_points_that_fit_are_kept() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(window(&values, limits(2, None, 100)).unwrap(), (values.to_vec(), 0));
        assert_eq!(window(&values, limits(2, Some(3), 100)).unwrap().0, [3.0, 4.0, 5.0]);
        assert_eq!(window(&values, limits(2, None, 4)).unwrap().0, [4.0, 5.0]);
        assert_eq!(window(&values, limits(2, Some(3), 4)).unwrap().0, [4.0, 5.0]);
    }

    #[test]
    fn missing_points_at_the_end_are_counted_and_not_seen() {
        let values = [1.0, 2.0, 3.0, NAN, NAN];
        assert_eq!(window(&values, limits(2, None, 100)).unwrap(), (vec![1.0, 2.0, 3.0], 2));
        // 2 + 2 points are forecast, so that 2 of 6 positions are left.
        assert_eq!(window(&values, limits(2, None, 6)).unwrap(), (vec![2.0, 3.0], 2));
    }

    #[test]
    fn missing_points_at_the_start_are_not_seen_either() {
        let (points, trailing) = window(&[NAN, NAN, 1.0, NAN, 2.0], limits(1, None, 100)).unwrap();
        assert_eq!((points.len(), points[0], points[2], trailing), (3, 1.0, 2.0, 0));
        let (points, _) = window(&[7.0, NAN, NAN, 2.0], limits(1, Some(3), 100)).unwrap();
        assert_eq!(points, [2.0]);
    }

    #[test]
    fn what_cannot_be_forecast_is_named() {
        let named = |values: &[f64], limits: Limits| {
            let series = Series::from(values).named("load");
            limits.window(3, &series).unwrap_err().to_string()
        };
        let plenty = limits(2, None, 100);
        assert_eq!(named(&[], plenty), "the series `load` is empty; it needs at least one point");
        assert_eq!(
            named(&[NAN, NAN], plenty),
            "the series `load` has no values: all of its 2 points are missing"
        );
        assert_eq!(
            named(&[1.0, f64::NEG_INFINITY], plenty),
            "the series `load` has the value -inf at position 1 (counted from 0); values must be finite float32 \
             numbers, missing ones NaN"
        );
        assert!(named(&[1e39], plenty).contains("1e39 at position 0"));
        assert!(named(&[1.0, NAN, NAN, NAN], limits(2, None, 5)).contains("ends in 3 missing points"));
        let unnamed = plenty.window(3, &Series::default()).unwrap_err().to_string();
        assert!(unnamed.starts_with("series 3 (counted from 0) is empty"), "{unnamed}");
    }

    #[test]
    fn limits_that_no_series_can_keep_are_errors() {
        assert_eq!(limits(0, None, 10).check(), Err(SeriesError::HorizonZero));
        assert_eq!(limits(1, Some(0), 10).check(), Err(SeriesError::ContextZero));
        assert!(limits(9, Some(1), 10).check().is_ok());
        let error = limits(10, None, 10).check().unwrap_err();
        assert_eq!(error, SeriesError::HorizonTooLong { horizon: 10, positions: 10 });
        assert!(error.to_string().ends_with("ask for at most 9"), "{error}");
    }

    #[test]
    fn rows_are_left_padded_and_missing_points_are_zero_under_mask_zero() {
        let limits = limits(1, None, 100);
        let (long, short) = (Series::from(&[1.0, NAN, 5.0]), Series::from(&[7.0]));
        let windows = [limits.window(0, &long).unwrap(), limits.window(1, &short).unwrap()];
        let batch = Batch::new(&[&windows[0], &windows[1]], Normalization::Window);
        assert_eq!(batch.input_ids, arr3(&[[[-1.0], [0.0], [1.0]], [[0.0], [0.0], [0.0]]]));
        assert_eq!(batch.attention_mask, arr2(&[[1, 0, 1], [0, 0, 1]]));
        assert_eq!(
            batch.scales,
            [Scale { mean: 3.0, standard_deviation: 2.0 }, Scale { mean: 7.0, standard_deviation: 1.0 }]
        );
    }

    proptest! {
        #[test]
        fn every_window_is_in_one_batch_within_the_budget(
            shapes in proptest::collection::vec((1_usize..50, 0_usize..3), 0..60),
            budget in 1_usize..200,
            most in 1_usize..8,
        ) {
            let points = [0.0; 50];
            let windows: Vec<Window<'_>> = shapes
                .iter()
                .enumerate()
                .map(|(index, &(length, trailing))| Window {
                    label: SeriesLabel { index, name: None },
                    points: &points[..length],
                    trailing,
                })
                .collect();
            let batches = plan(&windows, budget, most);
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..windows.len()).collect::<Vec<_>>());
            for batch in &batches {
                let longest = batch.iter().map(|&index| windows[index].points.len()).max().unwrap();
                prop_assert!(batch.len() == 1 || batch.len() * longest <= budget);
                prop_assert!(batch.len() <= most);
                prop_assert!(batch.iter().all(|&i| windows[i].trailing == windows[batch[0]].trailing));
            }
        }
    }
}
