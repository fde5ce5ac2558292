//! Prediction intervals, as a figure shows them.

/// The prediction interval of one level, at every point of a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// How much of the truth the interval should hold, in percent, such as 95.
    pub level: f64,
    /// The lower bounds, one per point of the forecast; NaN leaves a gap.
    pub lower: Vec<f64>,
    /// The upper bounds, one per point of the forecast; NaN leaves a gap.
    pub upper: Vec<f64>,
}

impl Band {
    /// What a legend calls it, such as `95 %` or `99.5 %`.
    #[must_use]
    pub fn label(&self) -> String {
        // A level that was computed, such as 0.7 x 100, is off by a rounding error.
        format!("{} %", (self.level * 1e6).round() / 1e6)
    }

    /// The bounds of every point, the lower one first.
    pub(super) fn bounds(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.lower.iter().copied().zip(self.upper.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_named_without_its_rounding_error() {
        let label = |level| Band { level, lower: Vec::new(), upper: Vec::new() }.label();
        assert_eq!(label(95.0), "95 %");
        assert_eq!(label(0.7 * 100.0), "70 %");
        assert_eq!(label(0.07 * 100.0), "7 %");
        assert_eq!(label(99.5), "99.5 %");
    }
}
