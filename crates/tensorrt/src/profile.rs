//! The shapes that an engine is built for.

use std::collections::BTreeMap;

use crate::error::{Error, Shape};

/// What one input may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Least, most likely, most.
    pub(crate) values: [Vec<i64>; 3],
    /// Of the values of a tensor that holds a shape, and not of the shape of a tensor.
    pub(crate) of_values: bool,
}

/// The shapes of inputs that an engine accepts, and those that it is made fast for. Every input with a dimension that is not
/// known needs its own.
///
/// ```
/// use tmoe_tensorrt::OptimizationProfile;
///
/// // input, least, most likely, most
/// let prefill = OptimizationProfile::new()
///     .shapes("input_ids", &[1, 1, 1], &[8, 512, 1], &[32, 4096, 1])
///     .shapes("attention_mask", &[1, 1], &[8, 512], &[32, 4096]);
/// prefill.check()?;
/// let wrong = OptimizationProfile::new().shapes("input_ids", &[8, 1, 1], &[4, 1, 1], &[32, 1, 1]);
/// assert!(wrong.check().unwrap_err().to_string().contains("input_ids"));
/// # Ok::<(), tmoe_tensorrt::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptimizationProfile(BTreeMap<String, Range>);

impl OptimizationProfile {
    /// One without inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// With shapes that an input may have.
    #[must_use]
    pub fn shapes(self, input: impl Into<String>, min: &[i64], opt: &[i64], max: &[i64]) -> Self {
        self.with(input.into(), [min, opt, max], false)
    }

    /// With values that an input may have which is itself a shape.
    #[must_use]
    pub fn values(self, input: impl Into<String>, min: &[i64], opt: &[i64], max: &[i64]) -> Self {
        self.with(input.into(), [min, opt, max], true)
    }

    fn with(mut self, input: String, values: [&[i64]; 3], of_values: bool) -> Self {
        self.0.insert(input, Range { values: values.map(<[i64]>::to_vec), of_values });
        self
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, &Range)> {
        self.0.iter().map(|(input, range)| (input.as_str(), range))
    }

    /// That least, most likely and most are in this order, and of one rank.
    ///
    /// # Errors
    /// They are not: the error names the input.
    pub fn check(&self) -> Result<(), Error> {
        for (input, Range { values: [min, opt, max], of_values }) in self.inputs() {
            let same_rank = min.len() == opt.len() && opt.len() == max.len();
            let ordered = min.iter().zip(opt).zip(max).all(|((min, opt), max)| min <= opt && opt <= max);
            let possible = *of_values || (min.iter().all(|&dim| dim >= 0) && min.len() <= 8);
            if !(same_rank && ordered && possible) {
                let shapes = format!("{} to {} to {}", Shape(min), Shape(opt), Shape(max));
                let wanted = "least, most likely and most are of one rank, at most 8, and in this order";
                return Err(Error::Profile {
                    input: input.to_owned(),
                    reason: format!("{shapes} is no range: {wanted}"),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_that_contradict_themselves_are_refused_with_the_input() {
        let ok = |min: &[i64], opt: &[i64], max: &[i64]| {
            OptimizationProfile::new().shapes("mask", min, opt, max).check()
        };
        assert!(ok(&[0, 1], &[2, 1], &[2, 4]).is_ok());
        for (min, opt, max) in [
            (&[1][..], &[0][..], &[2][..]),
            (&[1], &[3], &[2]),
            (&[1], &[1, 1], &[2]),
            (&[-1], &[1], &[2]),
            (&[1; 9], &[1; 9], &[1; 9]),
        ] {
            let error = ok(min, opt, max).unwrap_err();
            assert!(matches!(&error, Error::Profile { input, .. } if input == "mask"), "{error}");
        }
        assert!(OptimizationProfile::new().values("shape", &[-1], &[4], &[9]).check().is_ok());
    }
}
