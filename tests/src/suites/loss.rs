//! The model's training loss, with and without masks.

use ndarray::{ArrayD, IxDyn};

use super::{Case, points};
use crate::compare::Expected;
use crate::golden::Golden;
use crate::packages::Variant;

pub(super) fn cases(golden: &Golden) -> Vec<Case> {
    let case = |name: &str, masks: Option<&str>| {
        let variant = Variant::Full;
        // Without masks their length is 0, as `points` has them.
        let mut inputs = points(variant, &golden.matrix("series"));
        inputs.insert("labels".to_owned(), golden.float("loss.labels").into());
        if let Some(masks) = masks {
            inputs.insert("loss_masks".to_owned(), golden.float(masks).into());
        }
        // The golden has the shape [1], the graph's output is a scalar.
        let expected = ArrayD::from_elem(IxDyn(&[]), golden.float(name)[[0]]);
        Case::of_output(variant, name, inputs, "loss", Expected::float(expected))
    };
    vec![case("loss.unmasked", None), case("loss.masked", Some("loss.masks"))]
}
