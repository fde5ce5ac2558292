//! Graphs and providers agree on models whose shapes are drawn at random, over two passes with a cache.
//!
//! The draws are the same in every run. Where two routers' probabilities are equal to the last bit or two, providers may
//! choose different experts, and no tolerance would help; these draws have no such tie.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use ndarray::{Array2, Array3, ArrayD, Axis, s};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tempfile::TempDir;
use tmoe_export::ExportOptions;
use tmoe_model::{Activation, Checkpoint, Config, HfConfig, random};
use tmoe_package::{OpSet, Package, Positions};
use tmoe_runner::{NamedTensors, Session, Tensor};
use tmoe_tests::compare::{Expected, Tolerance};
use tmoe_tests::packages::export_package;
use tmoe_tests::subject::Subject;

/// Two float32 implementations, each of which may be off by 1e-5 in the same tensor.
const TOLERANCE: Tolerance = Tolerance::Relative(2e-5);

/// Models per subject.
const MODELS: u32 = 16;

/// A model, how it is exported, and what it is run on.
#[derive(Clone, Debug)]
struct Drawn {
    config: Config,
    seed: u64,
    positions: Positions,
    with_loss: bool,
    /// `[batch, points of both passes]`, 0 where the point is missing.
    series: Array2<f32>,
    /// As `series`, 1 = real point. The last point of each pass is.
    mask: Array2<i64>,
    /// Points of the first pass.
    prefill: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = Subject::all().filter(|&subject| subject != Subject::REFERENCE).map(|subject| {
        let name = format!("random models: {subject} agrees with {}", Subject::REFERENCE);
        match subject.is_slow_to_open().or_else(|| subject.missing()) {
            None => Trial::test(name, move || agrees_with_reference(subject).map_err(Into::into)),
            Some(reason) => {
                Trial::test(format!("{name} [{reason}]"), move || Err(reason.into())).with_ignored_flag(true)
            }
        }
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn agrees_with_reference(subject: Subject) -> Result<(), String> {
    let config = ProptestConfig {
        cases: MODELS,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&drawn(), |drawn| compare(&drawn, subject).map_err(TestCaseError::fail))
        .map_err(|failure| failure.to_string())
}

fn configs() -> impl Strategy<Value = Config> {
    let attention = (1..=3_usize, 1..=3_usize, select(vec![2_usize, 4, 6, 8, 16]));
    let experts = (1..=9_usize).prop_flat_map(|experts| (Just(experts), 1..=experts.min(4)));
    let feed_forward = (experts, 2..=12_usize, 0..4_usize, prop::bool::weighted(0.2));
    let horizons = subsequence(vec![1_usize, 2, 3, 8, 12, 32], 1..=3);
    let activation = select(vec![Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu]);
    (1..=3_usize, attention, feed_forward, horizons, activation).prop_map(
        |(layers, attention, feed_forward, horizons, activation)| {
            let (kv_heads, queries_per_key, head_dim) = attention;
            let ((experts, top_k), expert_ffn, remainder, use_dense) = feed_forward;
            let heads = kv_heads * queries_per_key;
            let config = HfConfig {
                hidden_size: heads * head_dim,
                // Not always a multiple of top_k: the width of an expert is rounded down.
                intermediate_size: top_k * expert_ffn + remainder % top_k,
                horizon_lengths: horizons.into(),
                num_hidden_layers: layers,
                num_attention_heads: heads,
                num_key_value_heads: Some(kv_heads),
                hidden_act: activation.name().to_owned(),
                num_experts_per_tok: top_k,
                num_experts: experts,
                max_position_embeddings: 128,
                use_dense,
                ..HfConfig::time_moe()
            };
            Config::try_from(config).unwrap_or_else(|error| panic!("{error}"))
        },
    )
}

impl Drawn {
    /// Whether a series begins with points that are not real.
    fn is_padded(&self) -> bool {
        self.mask.column(0).iter().any(|&real| real == 0)
    }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let export = (select(vec![Positions::All, Positions::Last]), any::<bool>(), any::<u64>());
    (configs(), export, series()).prop_map(
        |(config, (positions, with_loss, seed), (series, mask, prefill))| Drawn {
            config,
            seed,
            positions,
            with_loss,
            series,
            mask,
            prefill,
        },
    )
}

/// Series of two passes with their mask: padded on the left, and with single points missing.
fn series() -> impl Strategy<Value = (Array2<f32>, Array2<i64>, usize)> {
    (1..=3_usize, 1..=20_usize, 1..=9_usize).prop_flat_map(|(batch, prefill, decode)| {
        let points = prefill + decode;
        let values = prop::collection::vec(-3.0_f32..3.0, batch * points).no_shrink();
        let real = prop::collection::vec(prop::bool::weighted(0.9), batch * points);
        let padding = prop::collection::vec(0..prefill, batch);
        (values, real, padding).prop_map(move |(values, real, padding)| {
            let mask = Array2::from_shape_fn((batch, points), |(row, point)| {
                let ends_a_pass = point + 1 == prefill || point + 1 == points;
                let is_real = ends_a_pass || (point >= padding[row] && real[row * points + point]);
                i64::from(is_real)
            });
            let series = Array2::from_shape_fn((batch, points), |(row, point)| {
                values[row * points + point] * mask[[row, point]] as f32
            });
            (series, mask, prefill)
        })
    })
}

fn compare(drawn: &Drawn, subject: Subject) -> Result<(), String> {
    let folder = TempDir::with_prefix("tmoe-random-").map_err(|error| error.to_string())?;
    let package = package(drawn, &folder)?;
    let reference = two_passes(drawn, &Subject::REFERENCE.open(&package)?)?;
    let found = two_passes(drawn, &subject.open(&package)?)?;
    for (pass, (reference, found)) in ["prefill", "decode"].iter().zip(reference.into_iter().zip(found)) {
        // The cache covers both passes, predictions those of this one.
        let (seen, new) = match *pass {
            "prefill" => (0..drawn.prefill, 0..drawn.prefill),
            _ => (0..drawn.series.ncols(), drawn.prefill..drawn.series.ncols()),
        };
        let mask = |points: std::ops::Range<usize>| drawn.mask.slice(s![.., points]).to_owned();
        for (name, expected) in reference {
            if subject.graph == OpSet::Plugin && drawn.is_padded() && ["loss", "ar_loss"].contains(&&*name) {
                // The losses weigh predictions at padded positions too: there, no key is attended. FlashAttention gives zeros,
                // the other graphs an average over all keys, as the original does.
                continue;
            }
            let is_cache = name.starts_with("present.");
            let expected = positions_second(float(Some(expected), &name)?, is_cache);
            let expected = match expected.ndim() {
                4 => Expected::float(expected).where_real(mask(seen.clone())),
                3 => Expected::float(expected).where_real(mask(new.clone())),
                _ => Expected::float(expected),
            };
            let found = positions_second(float(found.get(&name).cloned(), &name)?, is_cache);
            let error = expected
                .error(found.view(), TOLERANCE)
                .map_err(|reason| format!("{pass}: {name}: {reason}"))?;
            if error > TOLERANCE.limit() {
                return Err(format!(
                    "{pass}: {name}: the error is {error:.2e}, expected at most {TOLERANCE}"
                ));
            }
        }
    }
    Ok(())
}

fn package(drawn: &Drawn, folder: &TempDir) -> Result<Package, String> {
    let checkpoint = folder.path().join("checkpoint");
    let options = random::Options { seed: drawn.seed, ..random::Options::default() };
    random::write(&drawn.config, &options, &checkpoint, &mut |_| std::ops::ControlFlow::Continue(()))
        .map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::open(checkpoint).map_err(|error| error.to_string())?;
    let options =
        ExportOptions { positions: drawn.positions, with_loss: drawn.with_loss, ..ExportOptions::default() };
    export_package(&checkpoint, &folder.path().join("package"), options)
}

/// The outputs of a pass on an empty cache and of one that continues from it.
fn two_passes(drawn: &Drawn, session: &Session) -> Result<[NamedTensors; 2], String> {
    let run = |inputs| session.run(inputs).map_err(|error| error.to_string());
    let first = run(inputs(drawn, 0..drawn.prefill))?;
    let mut second = inputs(drawn, drawn.prefill..drawn.series.ncols());
    for (name, tensor) in &first {
        if let Some(part) = name.strip_prefix("present.") {
            second.insert(format!("past_key_values.{part}"), tensor.clone());
        }
    }
    Ok([first, run(second)?])
}

fn inputs(drawn: &Drawn, points: std::ops::Range<usize>) -> NamedTensors {
    let series = drawn.series.slice(s![.., points.clone()]).to_owned();
    let input: Array3<f32> = series.clone().insert_axis(Axis(2));
    let mut inputs = NamedTensors::from([
        ("input_ids".to_owned(), input.into()),
        ("attention_mask".to_owned(), drawn.mask.slice(s![.., ..points.end]).to_owned().into()),
    ]);
    if drawn.with_loss {
        let weights = drawn.mask.slice(s![.., points]).mapv(|real| real as f32);
        inputs.insert("labels".to_owned(), (series * 0.5).into());
        inputs.insert("loss_masks".to_owned(), weights.into());
    }
    inputs
}

fn float(tensor: Option<Tensor>, name: &str) -> Result<ArrayD<f32>, String> {
    match tensor {
        Some(Tensor::F32(values)) => Ok(values),
        _ => Err(format!("there is no float32 output `{name}`")),
    }
}

/// A cache `[batch, kv_heads, positions, head_dim]` with its positions as second axis, as in everything else.
fn positions_second(mut values: ArrayD<f32>, is_cache: bool) -> ArrayD<f32> {
    if is_cache {
        values.swap_axes(1, 2);
    }
    values
}
