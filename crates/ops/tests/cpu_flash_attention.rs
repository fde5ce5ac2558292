//! FlashAttention on the processor: agreement with float64 and what must hold to the bit.

#[path = "../src/cpu/flash_attention/reference.rs"]
mod reference;

use std::num::NonZeroUsize;

use half::{bf16, f16};
use proptest::prelude::*;
use tmoe_ops::cpu::{
    AttentionInputs, AttentionOutputs, AttentionSizes, CacheElement, FlashAttention, FlashAttentionShape,
    Parallel, RotaryRounding, ScopedThreads, Sequential, Strided,
};

use self::reference::{Case, Masking, Numbers, assert_close};

/// What a run wrote.
#[derive(Clone, Debug)]
struct Found {
    y: Vec<f32>,
    /// `[batch, kv_heads, past + sequence, head_dim]`, capacity cut off.
    present_key: Vec<f32>,
    present_value: Vec<f32>,
}

impl Found {
    fn bits(&self) -> Vec<u32> {
        let all = self.y.iter().chain(&self.present_key).chain(&self.present_value);
        // Which NaN came out of a rotated one is no matter of ours.
        all.map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
    }
}

/// How a case is run.
#[derive(Clone, Copy, Debug)]
struct Way {
    in_place: bool,
    /// Rows that buffers have beyond what is needed.
    spare: usize,
    threads: usize,
    packing: Packing,
}

const PLAIN: Way = Way { in_place: false, spare: 0, threads: 1, packing: Packing::Apart };

/// Where queries, keys and values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// Each in a tensor of its own.
    Apart,
    /// Keys and values side by side.
    KeyValue,
    /// All three side by side, where there are as many queries as keys.
    All,
}

/// Rows of tensors side by side.
fn side_by_side(rows: usize, parts: &[(&[f32], usize)]) -> Vec<f32> {
    let row = |row: usize| parts.iter().flat_map(move |&(part, width)| &part[row * width..][..width]);
    (0..rows).flat_map(row).copied().collect()
}

/// `[heads, rows, head_dim]` in buffers of `capacity` rows, the rest `garbage`.
fn with_capacity<E: Copy>(
    x: &[E],
    heads: usize,
    rows: usize,
    capacity: usize,
    head_dim: usize,
    garbage: E,
) -> Vec<E> {
    let mut out = vec![garbage; heads * capacity * head_dim];
    for head in 0..heads {
        out[head * capacity * head_dim..][..rows * head_dim]
            .copy_from_slice(&x[head * rows * head_dim..][..rows * head_dim]);
    }
    out
}

fn without_capacity<E: Copy>(x: &[E], heads: usize, rows: usize, capacity: usize, head_dim: usize) -> Vec<E> {
    (0..heads).flat_map(|head| &x[head * capacity * head_dim..][..rows * head_dim]).copied().collect()
}

/// With the cache that the case asks for.
fn run(case: &Case, way: Way) -> Found {
    match case.cache_dropped_bits {
        0 => run_with::<f32>(case, way, |x| x, |x| x),
        16 => run_with(case, way, bf16::from_f32, bf16::to_f32),
        _ => run_with(case, way, f16::from_f32, f16::to_f32),
    }
}

fn run_with<E: CacheElement>(case: &Case, way: Way, narrow: fn(f32) -> E, wide: fn(E) -> f32) -> Found {
    let attention = FlashAttention::new(FlashAttentionShape {
        heads: case.heads,
        kv_heads: case.kv_heads,
        head_dim: case.head_dim,
        rope_theta: case.theta,
        rounding: match case.dropped_bits {
            0 => RotaryRounding::Float32,
            13 => RotaryRounding::Float16,
            _ => RotaryRounding::BFloat16,
        },
        scale: case.scale(),
    });
    let (heads, d, total) = (case.batch * case.kv_heads, case.head_dim, case.past + case.sequence);
    let sizes = AttentionSizes {
        batch: case.batch,
        queries: case.queries,
        sequence: case.sequence,
        past: case.past,
        past_capacity: case.past + way.spare,
        present_capacity: total + way.spare / 2,
    };
    let past =
        [&case.past_key, &case.past_value].map(|past| past.iter().map(|&x| narrow(x)).collect::<Vec<E>>());
    let with_room = |capacity| {
        past.each_ref().map(|past| with_capacity(past, heads, case.past, capacity, d, narrow(f32::NAN)))
    };
    let [past_key, past_value] = with_room(sizes.past_capacity);
    let [mut present_key, mut present_value] = if way.in_place {
        with_room(sizes.present_capacity)
    } else {
        [(); 2].map(|()| vec![narrow(-7.0); heads * sizes.present_capacity * d])
    };
    let threads = ScopedThreads(NonZeroUsize::new(way.threads).expect("not zero"));
    let parallel: &dyn Parallel = if way.threads == 1 { &Sequential } else { &threads };
    let mut y = vec![f32::NAN; case.q.len()];
    let (points, row, kv_row) = (case.batch * case.sequence, case.heads * d, case.kv_heads * d);
    let strided = |values, stride| Strided::new(values, stride);
    let keys_values = [(&case.k[..], kv_row), (&case.v[..], kv_row)];
    let packed = match way.packing {
        Packing::All if case.queries == case.sequence => {
            let [keys, values] = keys_values;
            side_by_side(points, &[(&case.q, row), keys, values])
        }
        _ => side_by_side(points, &keys_values),
    };
    // Without points there is nothing behind the first columns.
    let from = |column: usize| packed.get(column..).unwrap_or_default();
    let [q, k, v] = match way.packing {
        Packing::All if case.queries == case.sequence => {
            [0, row, row + kv_row].map(|column| strided(from(column), row + 2 * kv_row))
        }
        Packing::Apart => [strided(&case.q, row), strided(&case.k, kv_row), strided(&case.v, kv_row)],
        _ => [strided(&case.q, row), strided(from(0), 2 * kv_row), strided(from(kv_row), 2 * kv_row)],
    };
    attention.run(
        AttentionInputs {
            sizes,
            q,
            k,
            v,
            past: (!way.in_place).then_some((&past_key, &past_value)),
            mask: &case.mask,
        },
        AttentionOutputs { y: &mut y, present_key: &mut present_key, present_value: &mut present_value },
        &mut vec![f32::NAN; attention.scratch_len(sizes)],
        parallel,
    );
    let [present_key, present_value] =
        [present_key, present_value].map(|present| present.into_iter().map(wide).collect::<Vec<f32>>());
    if !way.in_place {
        for head in present_key.chunks(sizes.present_capacity.max(1) * d) {
            assert!(head[total * d..].iter().all(|&x| x == -7.0), "rows beyond the sequence were written");
        }
    }
    Found {
        y,
        present_key: without_capacity(&present_key, heads, total, sizes.present_capacity, d),
        present_value: without_capacity(&present_value, heads, total, sizes.present_capacity, d),
    }
}

fn check(case: &Case, way: Way) -> Found {
    let (found, expected) = (run(case, way), case.expected());
    assert_close("y", &found.y, &expected.y, |i| expected.tolerance[i]);
    assert_close("present_key", &found.present_key, &expected.present_key, |i| {
        1e-6 * (2.0 + expected.present_key[i].abs()) + expected.key_doubt[i]
    });
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found.present_value), bits(&expected.present_value));
    found
}

fn masking() -> impl Strategy<Value = Masking> {
    prop_oneof![
        Just(Masking::Nothing),
        Just(Masking::LeftPadding),
        Just(Masking::Holes),
        Just(Masking::Everything)
    ]
}

prop_compose! {
    /// Cases with sequences and pasts up to the given lengths.
    fn case(sequences: usize, pasts: usize)(
        (kv_heads, group) in prop_oneof![
            (1..=8_usize).prop_map(|heads| (heads, 1)),
            (1..=4_usize, 1..=2_usize),
            (1..=2_usize, 3..=4_usize),
            Just((1, 8)),
        ],
        head_dim in prop_oneof![
            (4..=64_usize).prop_map(|half| 2 * half),
            (0..8_usize).prop_map(|half| 8 + 16 * half),
            Just(32),
            Just(64),
        ],
        batch in 0..=3_usize,
        (sequence, queries) in (0..=sequences).prop_flat_map(|sequence| {
            (Just(sequence), prop_oneof![Just(sequence), Just(sequence.min(1)), sequence.min(1)..=sequence])
        }),
        past in prop_oneof![Just(0), 0..=pasts],
        dropped_bits in prop_oneof![Just(0_u32), Just(13), Just(16)],
        cache_dropped_bits in prop_oneof![Just(0_u32), Just(13), Just(16)],
        theta in prop_oneof![Just(10_000.0), 2.0..1e6],
        masking in masking(),
        seed in any::<u64>(),
    ) -> Case {
        let case = Case { heads: kv_heads * group, kv_heads, head_dim, theta, dropped_bits, ..Case::default() };
        Case { batch, queries, sequence, past, cache_dropped_bits, ..case }.fill(seed, masking)
    }
}

prop_compose! {
    fn way()(
        in_place in any::<bool>(),
        spare in 0..9_usize,
        threads in 1..=8_usize,
        packing in prop_oneof![Just(Packing::Apart), Just(Packing::KeyValue), Just(Packing::All)],
    ) -> Way {
        Way { in_place, spare, threads, packing }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn attention_agrees_with_float64(case in case(40, 60), way in way()) {
        check(&case, way);
    }

    #[test]
    fn threads_places_and_capacities_change_no_bit(case in case(40, 60), way in way()) {
        prop_assert_eq!(run(&case, way).bits(), run(&case, PLAIN).bits());
    }

    #[test]
    fn what_the_mask_hides_changes_no_bit_of_the_result(mut case in case(20, 60), seed in any::<u64>()) {
        let before = run(&case, PLAIN).y;
        let (total, d) = (case.past + case.sequence, case.head_dim);
        let mut numbers = Numbers(seed);
        for series in 0..case.batch {
            for point in (0..case.past).filter(|point| case.mask[series * total + point] == 0) {
                for head in 0..case.kv_heads {
                    let at = ((series * case.kv_heads + head) * case.past + point) * d;
                    case.past_key[at..at + d].fill_with(|| numbers.unit());
                    case.past_value[at..at + d].fill_with(|| numbers.unit());
                }
            }
            for point in (0..case.sequence).filter(|point| case.mask[series * total + case.past + point] == 0) {
                let row = case.kv_heads * d;
                let at = (series * case.sequence + point) * row;
                case.k[at..at + row].fill(f32::NAN);
                case.v[at..at + row].fill(f32::NEG_INFINITY);
            }
        }
        prop_assert_eq!(run(&case, PLAIN).y, before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_a_number_in_the_future_changes_no_bit_of_what_was_before(
        mut case in case(60, 130), chosen in any::<prop::sample::Index>(), seed in any::<u64>(), way in way()
    ) {
        prop_assume!(case.sequence > 0 && case.batch > 0);
        let (total, first) = (case.past + case.sequence, chosen.index(case.sequence));
        let before = run(&case, way).y;
        let mut numbers = Numbers(seed);
        let row = case.kv_heads * case.head_dim;
        for series in 0..case.batch {
            for point in first..case.sequence {
                case.mask[series * total + case.past + point] = 1;
                for at in (series * case.sequence + point) * row..(series * case.sequence + point + 1) * row {
                    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0];
                    case.k[at] = odd[(numbers.unit().abs() * 4.0) as usize % 4];
                    case.v[at] = odd[(numbers.unit().abs() * 4.0) as usize % 4];
                }
            }
        }
        let after = run(&case, way).y;
        let row = case.heads * case.head_dim;
        let skipped = case.sequence - case.queries;
        for series in 0..case.batch {
            let unchanged = first.saturating_sub(skipped) * row;
            let rows = series * case.queries * row..series * case.queries * row + unchanged;
            let bits = |y: &[f32]| y[rows.clone()].iter().map(|y| y.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&before), bits(&after));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn attention_over_long_sequences_agrees_with_float64(case in case(300, 500), way in way()) {
        let found = check(&case, way);
        prop_assert_eq!(found.bits(), run(&case, PLAIN).bits());
    }
}

/// A case whose values the test sets.
fn small(queries: usize, sequence: usize, past: usize) -> Case {
    let case = Case { heads: 2, kv_heads: 2, head_dim: 16, theta: 10_000.0, batch: 1, ..Case::default() };
    Case { queries, sequence, past, ..case }.fill(3, Masking::Nothing)
}

#[test]
fn divided_keys_give_the_same_bits_on_any_number_of_threads() {
    for queries in [1, 7, 30] {
        for masking in [Masking::Nothing, Masking::LeftPadding, Masking::Holes] {
            let mut case = small(queries, 30, 3000);
            case.batch = 2;
            let case = case.fill(11, masking);
            let first = check(&case, PLAIN).bits();
            for threads in 2..=8 {
                let way = Way { in_place: threads % 2 == 0, spare: threads, threads, ..PLAIN };
                assert_eq!(run(&case, way).bits(), first, "{threads} threads");
            }
        }
    }
}

#[test]
fn equal_scores_average_the_values() {
    for (queries, sequence) in [(90, 90), (1, 90)] {
        let mut case = small(queries, sequence, 0);
        case.q.fill(0.0);
        case.v.fill(0.75);
        assert!(run(&case, PLAIN).y.iter().all(|y| (y - 0.75).abs() < 1e-6));
    }
}

#[test]
fn a_query_with_nothing_to_attend_gives_zeros() {
    let mut case = small(40, 40, 30);
    case.mask[..60].fill(0);
    let y = check(&case, PLAIN).y;
    let (nothing, something) = y.split_at(30 * 32);
    assert!(nothing.iter().all(|y| y.to_bits() == 0) && something.iter().all(|&y| y != 0.0));
}

#[test]
fn huge_scores_choose_the_largest_without_overflow() {
    for (queries, sequence) in [(30, 30), (1, 30)] {
        let mut case = small(queries, sequence, 0);
        case.q.fill(1e15);
        case.k.fill(0.0);
        // Rotation mixes pairs; equal halves in q and a key at position 0 leave the sign alone.
        case.k[..32].fill(1e15);
        case.v[..32].fill(0.5);
        let expected = case.expected().y;
        let y = run(&case, PLAIN).y;
        assert!(y.iter().all(|y| y.is_finite()));
        assert_close("y", &y, &expected, |_| 1e-5);
    }
}

#[test]
fn very_small_numbers_are_not_lost() {
    for (queries, sequence) in [(30, 30), (1, 30)] {
        let mut case = small(queries, sequence, 0);
        for x in case.q.iter_mut().chain(&mut case.k).chain(&mut case.v) {
            *x *= 1e-41;
        }
        let expected = case.expected().y;
        assert_close("y", &run(&case, PLAIN).y, &expected, |_| 1e-44);
    }
}

#[test]
fn new_keys_and_values_are_attended_to_as_the_cache_holds_them() {
    // Halfway between two numbers of the type, so that rounding to nearest even drops it.
    for (bits, step) in [(16, 1.0 / 256.0), (13, 1.0 / 2048.0)] {
        for queries in [1, 30] {
            let mut case = Case { cache_dropped_bits: bits, ..small(queries, 30, 0) };
            case.v.fill(1.0 + step);
            let found = run(&case, PLAIN);
            assert!(found.present_value.iter().all(|&value| value == 1.0));
            assert!(found.y.iter().all(|y| (y - 1.0).abs() < 1e-6));
        }
    }
}

#[test]
fn a_value_that_is_not_a_number_reaches_those_that_attend_to_it() {
    let mut case = small(1, 30, 0);
    case.v[32 * 3] = f32::NAN;
    assert!(run(&case, PLAIN).y[0].is_nan());
}

#[test]
fn nothing_in_gives_nothing_out() {
    let mut case = small(0, 0, 0);
    assert!(run(&case, PLAIN).y.is_empty());
    case = small(0, 0, 12);
    let found = check(&case, Way { threads: 3, ..PLAIN });
    assert_eq!(found.present_key, case.past_key);
}
