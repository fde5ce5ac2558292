//! Every instruction set against float64: the public interface always takes the best one.

#[path = "reference.rs"]
mod reference;

use half::{bf16, f16};

use self::reference::{Case, Masking, assert_close};
use super::*;
use crate::cpu::Sequential;

/// With the cache that the case asks for.
fn check(level: Level, case: &Case) {
    match case.cache_dropped_bits {
        0 => check_with::<f32>(level, case, |x| x, |x| x),
        16 => check_with(level, case, bf16::from_f32, bf16::to_f32),
        _ => check_with(level, case, f16::from_f32, f16::to_f32),
    }
}

fn check_with<E: CacheElement>(level: Level, case: &Case, narrow: fn(f32) -> E, wide: fn(E) -> f32) {
    let attention = FlashAttention::new(FlashAttentionShape {
        heads: case.heads,
        kv_heads: case.kv_heads,
        head_dim: case.head_dim,
        rope_theta: case.theta,
        rounding: RotaryRounding::Float32,
        scale: case.scale(),
    });
    let total = case.past + case.sequence;
    let sizes = AttentionSizes {
        batch: case.batch,
        queries: case.queries,
        sequence: case.sequence,
        past: case.past,
        past_capacity: case.past,
        present_capacity: total,
    };
    let mut y = vec![f32::NAN; case.q.len()];
    let elements = case.batch * case.kv_heads * total * case.head_dim;
    let [mut present_key, mut present_value] = [(); 2].map(|()| vec![narrow(f32::NAN); elements]);
    let [past_key, past_value] =
        [&case.past_key, &case.past_value].map(|past| past.iter().map(|&x| narrow(x)).collect::<Vec<E>>());
    attention.run_at(
        level,
        AttentionInputs {
            sizes,
            q: Strided::new(&case.q, case.heads * case.head_dim),
            k: Strided::new(&case.k, case.kv_heads * case.head_dim),
            v: Strided::new(&case.v, case.kv_heads * case.head_dim),
            past: Some((&past_key, &past_value)),
            mask: &case.mask,
        },
        AttentionOutputs { y: &mut y, present_key: &mut present_key, present_value: &mut present_value },
        &mut vec![f32::NAN; attention.scratch_len(sizes)],
        &Sequential,
    );
    let expected = case.expected();
    let what = format!("{level:?} {}x{} of {} {:?} y", case.heads, case.kv_heads, case.head_dim, sizes);
    assert_close(&what, &y, &expected.y, |i| expected.tolerance[i]);
    let [present_key, present_value] =
        [present_key, present_value].map(|present| present.into_iter().map(wide).collect::<Vec<f32>>());
    assert_close(&what, &present_key, &expected.present_key, |i| 1e-6 + expected.key_doubt[i]);
    let value: Vec<f64> = expected.present_value.iter().map(|&value| f64::from(value)).collect();
    assert_close(&what, &present_value, &value, |_| 0.0);
}

#[test]
fn every_instruction_set_agrees_with_float64() {
    let mut seed = 0;
    for level in Level::all() {
        for (heads, kv_heads) in [(2, 2), (4, 2), (6, 1)] {
            for head_dim in [2, 10, 16, 32, 48, 128] {
                for (queries, sequence, past) in [(1, 1, 0), (1, 9, 70), (2, 2, 131), (7, 20, 5), (70, 70, 3)]
                {
                    for masking in [Masking::Nothing, Masking::LeftPadding, Masking::Holes] {
                        for cache_dropped_bits in [0, 13, 16] {
                            seed += 1;
                            let case = Case {
                                heads,
                                kv_heads,
                                head_dim,
                                queries,
                                sequence,
                                past,
                                ..Case::default()
                            };
                            let case = Case { batch: 1, theta: 10_000.0, cache_dropped_bits, ..case };
                            check(level, &case.fill(seed, masking));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn keys_divided_over_tasks_agree_with_float64_on_every_instruction_set() {
    for level in Level::all() {
        for (queries, masking) in
            [(1, Masking::Nothing), (3, Masking::Holes), (40, Masking::LeftPadding), (5, Masking::Everything)]
        {
            let case = Case { heads: 2, kv_heads: 1, head_dim: 16, batch: 2, queries, ..Case::default() };
            for cache_dropped_bits in [0, 13, 16] {
                let case =
                    Case { sequence: 45, past: 2500, theta: 10_000.0, cache_dropped_bits, ..case.clone() };
                check(level, &case.fill(7, masking));
            }
        }
    }
}
