//! Rotary position embedding (Su et al. 2021), half-rotation form: tables of cos and sin that all layers share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use super::simd::Simd;

/// To what the tables of cos and sin are rounded: the original keeps them in the checkpoint's stored type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RotaryRounding {
    /// Not at all.
    Float32,
    /// To bfloat16, ties to even.
    BFloat16,
    /// To IEEE half precision, ties to even.
    Float16,
}

impl RotaryRounding {
    fn round(self, x: f32) -> f32 {
        match self {
            Self::Float32 => x,
            Self::BFloat16 => half::bf16::from_f32(x).to_f32(),
            Self::Float16 => half::f16::from_f32(x).to_f32(),
        }
    }
}

/// What tables depend on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    theta_bits: u64,
    head_dim: usize,
    rounding: RotaryRounding,
}

/// Tables of one kind, which grow when a longer sequence comes.
pub(crate) struct Rotary {
    key: Key,
    tables: RwLock<Arc<RotaryTables>>,
}

impl Rotary {
    /// The tables of this kind, shared by everything in the process that asks for the same. They are freed with the
    /// last one who holds them.
    pub(crate) fn shared(theta: f64, head_dim: usize, rounding: RotaryRounding) -> Arc<Self> {
        static ALL: OnceLock<Mutex<HashMap<Key, Weak<Rotary>>>> = OnceLock::new();
        let key = Key { theta_bits: theta.to_bits(), head_dim, rounding };
        let mut all = ALL.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rotary) = all.get(&key).and_then(Weak::upgrade) {
            return rotary;
        }
        all.retain(|_, rotary| rotary.strong_count() > 0);
        let rotary = Arc::new(Self { key, tables: RwLock::new(Arc::new(RotaryTables::empty(head_dim))) });
        all.insert(key, Arc::downgrade(&rotary));
        rotary
    }

    /// Tables for positions below `positions`, at least. Whoever holds shorter ones keeps them.
    pub(crate) fn tables(&self, positions: usize) -> Arc<RotaryTables> {
        {
            let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
            if tables.positions() >= positions {
                return Arc::clone(&tables);
            }
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        if tables.positions() < positions {
            // By half as much again, so that a sequence that grows point by point seldom comes here.
            let target = positions.max(tables.positions() + tables.positions() / 2).next_multiple_of(512);
            *tables = Arc::new(tables.grown(self.key, target));
        }
        Arc::clone(&tables)
    }
}

/// `cos` and `sin` of `position x theta^(-2j / head_dim)`: `[positions, 2, head_dim / 2]`.
pub(crate) struct RotaryTables {
    half: usize,
    rows: Vec<f32>,
}

impl RotaryTables {
    fn empty(head_dim: usize) -> Self {
        Self { half: head_dim / 2, rows: Vec::new() }
    }

    fn positions(&self) -> usize {
        self.rows.len() / (2 * self.half)
    }

    fn grown(&self, key: Key, positions: usize) -> Self {
        let theta = f64::from_bits(key.theta_bits);
        // Each step in float32, as the original does: at large positions the last bit shows.
        let inverse: Vec<f32> = (0..self.half)
            .map(|j| {
                let exponent = (2 * j) as f32 / key.head_dim as f32;
                1.0 / theta.powf(f64::from(exponent)) as f32
            })
            .collect();
        let mut rows = Vec::with_capacity(positions * 2 * self.half);
        rows.extend_from_slice(&self.rows);
        for position in self.positions()..positions {
            let angle = |inverse: &f32| f64::from(position as f32 * inverse);
            rows.extend(inverse.iter().map(|inverse| key.rounding.round(angle(inverse).cos() as f32)));
            rows.extend(inverse.iter().map(|inverse| key.rounding.round(angle(inverse).sin() as f32)));
        }
        Self { half: self.half, rows }
    }

    /// `to = factor x rotated(from)`, both `[head_dim]`: element `j` is paired with `j + head_dim / 2`.
    ///
    /// # Panics
    ///
    /// If a length is not `head_dim`, or the position is beyond the tables.
    #[inline(always)]
    pub(crate) fn rotate<S: Simd>(
        &self,
        simd: S,
        position: usize,
        factor: f32,
        from: &[f32],
        to: &mut [f32],
    ) {
        let half = self.half;
        assert!(from.len() == 2 * half && to.len() == 2 * half);
        let row = &self.rows[position * 2 * half..][..2 * half];
        let whole = half / S::LANES * S::LANES;
        let scale = simd.splat(factor);
        for j in (0..whole).step_by(S::LANES) {
            // SAFETY: `j + LANES <= half`, and all three slices have `2 x half` elements.
            unsafe {
                let (cos, sin) = (simd.load(row.as_ptr().add(j)), simd.load(row.as_ptr().add(j + half)));
                let (a, b) = (simd.load(from.as_ptr().add(j)), simd.load(from.as_ptr().add(j + half)));
                let first = simd.sub(simd.mul(a, cos), simd.mul(b, sin));
                let second = simd.add(simd.mul(b, cos), simd.mul(a, sin));
                simd.store(to.as_mut_ptr().add(j), simd.mul(scale, first));
                simd.store(to.as_mut_ptr().add(j + half), simd.mul(scale, second));
            }
        }
        for j in whole..half {
            let (cos, sin, a, b) = (row[j], row[j + half], from[j], from[j + half]);
            to[j] = factor * (a * cos - b * sin);
            to[j + half] = factor * (b * cos + a * sin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::Portable;

    #[test]
    fn layers_of_one_model_share_their_tables_and_other_models_have_their_own() {
        let a = Rotary::shared(10_000.5, 32, RotaryRounding::BFloat16);
        let b = Rotary::shared(10_000.5, 32, RotaryRounding::BFloat16);
        let c = Rotary::shared(10_000.5, 32, RotaryRounding::Float32);
        assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c));
        assert!(Arc::ptr_eq(&a.tables(5), &b.tables(7)));
    }

    #[test]
    fn growing_keeps_the_rows_there_are_and_the_tables_others_hold() {
        let rotary = Rotary::shared(100.25, 10, RotaryRounding::Float16);
        let short = rotary.tables(3);
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let rotary = Arc::clone(&rotary);
                std::thread::spawn(move || rotary.tables(600 * thread + 1))
            })
            .collect();
        let long = threads.into_iter().map(|t| t.join().expect("no panic")).next_back().expect("eight");
        assert!(long.positions() > 4200 && short.positions() < 600);
        assert_eq!(short.rows[..], long.rows[..short.rows.len()]);
    }

    #[test]
    fn tables_are_rounded_to_the_stored_type() {
        for (rounding, cos_1) in [
            (RotaryRounding::Float32, 0.540_302_3),
            (RotaryRounding::BFloat16, 0.539_062_5),
            (RotaryRounding::Float16, 0.540_527_34),
        ] {
            let tables = Rotary::shared(10_000.0, 8, rounding).tables(2);
            let mut turned = [0.0; 8];
            tables.rotate(Portable, 1, 1.0, &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &mut turned);
            assert_eq!(turned[0], cos_1, "{rounding:?}");
        }
    }
}
