//! Every instruction set against float64: the public interface always takes the best one.

#[path = "reference.rs"]
mod reference;

use self::reference::{Case, Masking, assert_close};
use super::*;
use crate::cpu::Sequential;

fn check(level: Level, case: &Case) {
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
    let mut present_key = vec![f32::NAN; case.batch * case.kv_heads * total * case.head_dim];
    let mut present_value = present_key.clone();
    attention.run_at(
        level,
        AttentionInputs {
            sizes,
            q: Strided::new(&case.q, case.heads * case.head_dim),
            k: Strided::new(&case.k, case.kv_heads * case.head_dim),
            v: Strided::new(&case.v, case.kv_heads * case.head_dim),
            past: Some((&case.past_key, &case.past_value)),
            mask: &case.mask,
        },
        AttentionOutputs { y: &mut y, present_key: &mut present_key, present_value: &mut present_value },
        &mut vec![f32::NAN; attention.scratch_len(sizes)],
        &Sequential,
    );
    let expected = case.expected();
    let what = format!("{level:?} {}x{} of {} {:?} y", case.heads, case.kv_heads, case.head_dim, sizes);
    assert_close(&what, &y, &expected.y, |i| expected.tolerance[i]);
    assert_close(&what, &present_key, &expected.present_key, |_| 1e-6);
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
                        seed += 1;
                        let case =
                            Case { heads, kv_heads, head_dim, queries, sequence, past, ..Case::default() };
                        check(level, &Case { batch: 1, theta: 10_000.0, ..case }.fill(seed, masking));
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
            let case = Case { sequence: 45, past: 2500, theta: 10_000.0, ..case }.fill(7, masking);
            check(level, &case);
        }
    }
}
