//! The inputs of the self-test, and the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use tmoe_model::Config;
use tmoe_package::Positions;
use tract_onnx::prelude::{DatumType, Tensor, tract_ndarray as ndarray};

use super::Values;
use super::engine::self_test_error;
use crate::error::ExportError;
use crate::lower::{GraphOptions, output_name};

/// Series in each case.
const BATCH: usize = 2;
/// Points in the first pass.
const PREFILL: usize = 24;
/// Points appended to its cache.
const DECODE: usize = 7;
/// Points of the case with padding.
const PADDED: usize = 16;

/// One run of the model.
pub(super) struct Case {
    name: &'static str,
    /// The case whose cache this one continues.
    continues: Option<&'static str>,
    /// Whether the mask has zeros: outputs at such positions mean nothing.
    masked: bool,
    pub(super) values: Values,
}

impl Case {
    /// What the file calls it.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether this case continues from the cache of the one before.
    pub(super) fn continues(&self) -> bool {
        self.continues.is_some()
    }

    /// The cache of a layer before this case's pass.
    pub(super) fn past(&self, layer: usize, cases: &[Case]) -> Values {
        let mut past = BTreeMap::new();
        for part in ["key", "value"] {
            let name = format!("past_key_values.{layer}.{part}");
            let before = self.continues.and_then(|name| cases.iter().find(|case| case.name == name));
            let tensor = match before {
                Some(case) => case.values.get(&format!("present.{layer}.{part}")),
                None => self.values.get(&name),
            };
            if let Some(tensor) = tensor {
                past.insert(format!("past.{part}"), tensor.clone());
                past.insert(name, tensor.clone());
            }
        }
        past
    }
}

/// All cases with their inputs.
pub(super) fn all(config: &Config, options: GraphOptions) -> Vec<Case> {
    let ones = |points: usize| ndarray::Array2::<i64>::ones((BATCH, points));
    let mut padded = ones(PADDED);
    // The first series begins later than the second, in which a point is missing.
    padded.slice_mut(ndarray::s![0, ..5]).fill(0);
    padded[[1, 9]] = 0;
    vec![
        case(config, options, "prefill", None, 0, PREFILL, ones(PREFILL)),
        case(config, options, "decode", Some("prefill"), PREFILL, DECODE, ones(PREFILL + DECODE)),
        case(config, options, "padded", None, 100, PADDED, padded),
    ]
}

fn case(
    config: &Config,
    options: GraphOptions,
    name: &'static str,
    continues: Option<&'static str>,
    first: usize,
    points: usize,
    mask: ndarray::Array2<i64>,
) -> Case {
    let mut values = Values::new();
    let total = mask.shape()[1];
    let masked = mask.iter().any(|&real| real == 0);
    let real = |row: usize, point: usize| mask[[row, total - points + point]] as f32;
    let series = ndarray::Array3::from_shape_fn((BATCH, points, 1), |(row, point, _)| {
        real(row, point) * series(row, first + point)
    });
    values.insert("input_ids".into(), shared(series.into_dyn()));
    if continues.is_none() {
        for layer in 0..config.layers() {
            for part in ["key", "value"] {
                let empty = ndarray::Array4::<f32>::zeros((BATCH, config.kv_heads(), 0, config.head_dim()));
                values.insert(format!("past_key_values.{layer}.{part}"), shared(empty.into_dyn()));
            }
        }
    }
    if options.with_loss {
        let labels = ndarray::Array2::from_shape_fn((BATCH, points), |(row, point)| {
            self::series(row, first + point + 1)
        });
        let weights = ndarray::Array2::from_shape_fn((BATCH, points), |(row, point)| {
            if point % 5 == 4 { 0.0 } else { real(row, point) }
        });
        values.insert("labels".into(), shared(labels.into_dyn()));
        values.insert("loss_masks".into(), shared(weights.into_dyn()));
    }
    values.insert("attention_mask".into(), shared(mask.into_dyn()));
    Case { name, continues, masked, values }
}

fn shared(array: impl Into<Tensor>) -> Arc<Tensor> {
    Arc::new(array.into())
}

/// A point of a test series: two periods, a trend, and a little that no period explains.
fn series(row: usize, point: usize) -> f32 {
    let t = point as f64;
    let phase = 1.0 + row as f64;
    // The fractional part of a multiple of the golden ratio: scattered, and the same everywhere.
    let scatter = (t * phase * 0.618_033_988_749_895).fract() - 0.5;
    ((t / 3.5 + phase).sin() + 0.6 * (t * 0.9 * phase).cos() + 0.01 * t + 0.3 * scatter) as f32
}

/// Writes the cases as `<case>.input.<name>` and `<case>.expected.<name>`.
pub(super) fn write(
    cases: Vec<Case>,
    config: &Config,
    options: GraphOptions,
    path: &Path,
) -> Result<(), ExportError> {
    let mut tensors: BTreeMap<String, Arc<Tensor>> = BTreeMap::new();
    for mut case in cases {
        for name in inputs(config, options) {
            if let Some(tensor) = case.values.remove(&name) {
                tensors.insert(format!("{}.input.{name}", case.name), tensor);
            }
        }
        for name in outputs(config, options, case.masked) {
            let Some(tensor) = case.values.remove(&name) else {
                return Err(self_test_error(case.name, format!("nothing computed {name}")));
            };
            let finite = tensor
                .to_plain_array_view::<f32>()
                .map_err(|error| self_test_error(case.name, format!("{error:#}")))?
                .iter()
                .all(|value| value.is_finite());
            if !finite {
                return Err(self_test_error(
                    case.name,
                    format!("{name} is not finite: the weights overflow float32"),
                ));
            }
            tensors.insert(format!("{}.expected.{name}", case.name), tensor);
        }
    }
    let views = tensors
        .iter()
        .map(|(name, tensor)| {
            let dtype = if tensor.datum_type() == DatumType::I64 { Dtype::I64 } else { Dtype::F32 };
            let view = TensorView::new(dtype, tensor.shape().to_vec(), tensor.as_bytes())
                .map_err(|error| self_test_error(name, error))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>, ExportError>>()?;
    serialize_to_file(views, None, path).map_err(|error| match error {
        safetensors::SafeTensorError::IoError(source) => {
            ExportError::Io { action: "write", path: path.to_owned(), source }
        }
        other => self_test_error("file", other),
    })
}

fn inputs(config: &Config, options: GraphOptions) -> Vec<String> {
    let mut names = vec!["input_ids".to_owned(), "attention_mask".to_owned()];
    names.extend(cache_names(config, "past_key_values"));
    if options.with_loss {
        names.extend(["labels".to_owned(), "loss_masks".to_owned()]);
    }
    names
}

/// What is compared. Where the mask has zeros, only what does not depend on masked positions.
fn outputs(config: &Config, options: GraphOptions, masked: bool) -> Vec<String> {
    let mut names = Vec::new();
    if !masked || options.positions == Positions::Last {
        names.extend(config.horizon_lengths().iter().map(|&horizon| output_name(horizon)));
    }
    if !masked {
        names.extend(cache_names(config, "present"));
    }
    if options.with_loss {
        names.push("aux_loss".to_owned());
        // These weigh predictions at padded positions too, which attend to nothing.
        if !masked {
            names.extend(["loss", "ar_loss"].map(String::from));
        }
    }
    names
}

fn cache_names(config: &Config, group: &str) -> Vec<String> {
    (0..config.layers())
        .flat_map(|layer| ["key", "value"].map(|part| format!("{group}.{layer}.{part}")))
        .collect()
}
