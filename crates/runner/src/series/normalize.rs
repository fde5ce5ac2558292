//! Normalisation, which the model leaves to its caller.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How the values of a context are scaled before the model sees them, and the forecast scaled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// Each context by its own mean and standard deviation.
    #[default]
    Window,
    /// Not at all: the caller has done it.
    None,
}

impl Normalization {
    /// Every way, the default first.
    pub const ALL: [Self; 2] = [Self::Window, Self::None];

    /// The name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::None => "none",
        }
    }

    /// The scale of a context; missing points (NaN) take no part.
    pub fn scale(self, context: &[f64]) -> Scale {
        match self {
            Self::Window => Scale::of(context),
            Self::None => Scale::IDENTITY,
        }
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no [`Normalization`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("there is no normalisation `{found}`; choose window or none")]
pub struct UnknownNormalization {
    /// The text.
    pub found: String,
}

impl FromStr for Normalization {
    type Err = UnknownNormalization;

    fn from_str(text: &str) -> Result<Self, UnknownNormalization> {
        let named = Self::ALL.into_iter().find(|way| way.name() == text);
        named.ok_or_else(|| UnknownNormalization { found: text.to_owned() })
    }
}

/// What is subtracted from a series' values and what they are then divided by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scale {
    /// Mean of the observed points.
    pub mean: f64,
    /// Standard deviation of the observed points, with n and not n - 1; 1 for a constant context.
    pub standard_deviation: f64,
}

impl Scale {
    /// Leaves values as they are.
    pub const IDENTITY: Self = Self { mean: 0.0, standard_deviation: 1.0 };

    /// Mean and standard deviation of the points that are not NaN.
    fn of(context: &[f64]) -> Self {
        let observed = || context.iter().copied().filter(|value| !value.is_nan());
        let Some(first) = observed().next() else { return Self::IDENTITY };
        // Rounding gives a constant series a deviation that is tiny and not zero, so constancy is seen here.
        if observed().all(|value| value == first) {
            return Self { mean: first, standard_deviation: 1.0 };
        }
        let count = observed().count() as f64;
        // Around the first value: an offset that is large against the deviations costs no digits.
        let mean = first + observed().map(|value| value - first).sum::<f64>() / count;
        let variance = observed().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let standard_deviation = variance.sqrt();
        // Deviations whose squares vanish.
        let standard_deviation = if standard_deviation > 0.0 { standard_deviation } else { 1.0 };
        Self { mean, standard_deviation }
    }

    /// A value in the model's scale.
    pub fn normalize(self, value: f64) -> f32 {
        ((value - self.mean) / self.standard_deviation) as f32
    }

    /// A forecast in the series' scale.
    pub fn denormalize(self, value: f32) -> f32 {
        (f64::from(value) * self.standard_deviation + self.mean) as f32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_deviation_divides_by_n() {
        // By hand: mean 5, squared deviations 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32, 32 / 8 = 4.
        let scale = Normalization::Window.scale(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(scale, Scale { mean: 5.0, standard_deviation: 2.0 });
        assert_eq!(scale.normalize(9.0), 2.0);
        assert_eq!(scale.denormalize(2.0), 9.0);
    }

    #[test]
    fn missing_points_take_no_part() {
        let with = Normalization::Window.scale(&[f64::NAN, 1.0, f64::NAN, 3.0]);
        assert_eq!(with, Scale { mean: 2.0, standard_deviation: 1.0 });
        assert_eq!(Normalization::Window.scale(&[f64::NAN]), Scale::IDENTITY);
    }

    #[test]
    fn a_constant_context_divides_by_one() {
        for value in [0.0, 0.1, -3e-20, 1e30] {
            let scale = Normalization::Window.scale(&[value; 7]);
            assert_eq!(scale, Scale { mean: value, standard_deviation: 1.0 });
            assert_eq!(scale.normalize(value), 0.0);
        }
    }

    #[test]
    fn a_large_offset_costs_no_digits() {
        let scale = Normalization::Window.scale(&[1e9 + 1.0, 1e9 - 1.0, 1e9 + 1.0, 1e9 - 1.0]);
        assert_eq!(scale, Scale { mean: 1e9, standard_deviation: 1.0 });
        assert_eq!(scale.normalize(1e9 + 1.0), 1.0);
    }

    #[test]
    fn none_leaves_values_as_they_are() {
        let scale = Normalization::None.scale(&[1.0, 2.0, 300.0]);
        assert_eq!((scale.normalize(2.5), scale.denormalize(2.5)), (2.5, 2.5));
    }

    #[test]
    fn every_normalisation_is_read_back_from_its_own_name() {
        for way in Normalization::ALL {
            assert_eq!(way.to_string().parse(), Ok(way));
        }
        let message = "zscore".parse::<Normalization>().unwrap_err().to_string();
        assert_eq!(message, "there is no normalisation `zscore`; choose window or none");
    }

    proptest! {
        #[test]
        fn normalised_contexts_have_mean_zero_and_deviation_one(
            context in proptest::collection::vec(-1e6_f64..1e6, 2..200),
        ) {
            prop_assume!(context.iter().any(|value| (value - context[0]).abs() > 1.0));
            let scale = Normalization::Window.scale(&context);
            let normalised: Vec<f64> =
                context.iter().map(|&value| f64::from(scale.normalize(value))).collect();
            let count = normalised.len() as f64;
            let mean = normalised.iter().sum::<f64>() / count;
            let square = normalised.iter().map(|value| value * value).sum::<f64>() / count;
            prop_assert!(mean.abs() < 1e-4 && (square - 1.0).abs() < 1e-4, "{mean} {square}");
        }

        #[test]
        fn scaling_back_gives_the_value(value in -1e6_f64..1e6, mean in -1e3_f64..1e3, deviation in 0.1_f64..1e3) {
            let scale = Scale { mean, standard_deviation: deviation };
            let back = f64::from(scale.denormalize(scale.normalize(value)));
            prop_assert!((back - value).abs() <= 1e-6 * (value.abs() + mean.abs() + deviation));
        }
    }
}
