//! What becomes of missing points.

use crate::rows::Rows;
use crate::time_series::{Repairs, SeriesError};

/// What to do with missing points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// Leave them as NaN, for the model to be told that they are missing.
    #[default]
    Mask,
    /// Draw a straight line between the neighbours; at the ends, repeat the nearest.
    Interpolate,
    /// Refuse the series.
    Error,
}

impl Missing {
    /// Applies the policy to a series of at least one present point.
    pub(crate) fn apply(
        self,
        values: &mut [f64],
        rows: &Rows,
        repairs: &mut Repairs,
    ) -> Result<(), SeriesError> {
        let Some(first) = values.iter().position(|value| value.is_nan()) else { return Ok(()) };
        match self {
            Self::Mask => Ok(()),
            Self::Error => {
                // A point that was filled in has no row; the row before it is the next best.
                let row = (0..=first).rev().find_map(|point| rows.get(point)).unwrap_or_default();
                Err(SeriesError::Missing { row })
            }
            Self::Interpolate => {
                repairs.at(rows.get(first));
                repairs.interpolated += interpolate(values);
                Ok(())
            }
        }
    }
}

/// Fills every missing point of a series that has at least one that is not; how many were filled.
fn interpolate(values: &mut [f64]) -> usize {
    let mut filled = 0;
    let mut last: Option<(usize, f64)> = None;
    let mut point = 0;
    while let Some(&value) = values.get(point) {
        if !value.is_nan() {
            last = Some((point, value));
            point += 1;
            continue;
        }
        let length = values.iter().skip(point).take_while(|value| value.is_nan()).count();
        let next = values.get(point + length).copied();
        for offset in 0..length {
            let estimate = match (last, next) {
                (Some((_, from)), Some(to)) => {
                    let weight = (offset + 1) as f64 / (length + 1) as f64;
                    // Weighted this way rather than by the difference, which may overflow.
                    from * (1.0 - weight) + to * weight
                }
                (Some((_, from)), None) => from,
                (None, Some(to)) => to,
                (None, None) => return filled,
            };
            if let Some(value) = values.get_mut(point + offset) {
                *value = estimate;
                filled += 1;
            }
        }
        point += length;
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_bridged_by_straight_lines_and_ends_by_the_nearest_value() {
        let nan = f64::NAN;
        let mut values = [nan, 1.0, nan, nan, 4.0, nan];
        assert_eq!(interpolate(&mut values), 4);
        let close = values.iter().zip([1.0, 1.0, 2.0, 3.0, 4.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close, "{values:?}");
        let mut extreme = [f64::MAX, nan, -f64::MAX];
        interpolate(&mut extreme);
        assert_eq!(extreme, [f64::MAX, 0.0, -f64::MAX]);
    }

    #[test]
    fn a_missing_point_is_refused_with_its_row() {
        let rows = Rows::consecutive(5, 3);
        let error = Missing::Error.apply(&mut [1.0, f64::NAN, 2.0], &rows, &mut Repairs::default());
        assert_eq!(error, Err(SeriesError::Missing { row: 6 }));
    }
}
