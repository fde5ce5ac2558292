//! Attention in float64, straight from the definition, and cases to compare with: for tests only. It knows nothing of
//! the kernel, and is compiled into the crate's tests and the integration tests alike.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses some of it")]

/// Sizes and values of one run.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub theta: f64,
    /// Bits that cos and sin lose: 0, 16 (bfloat16), 13 (half).
    pub dropped_bits: u32,
    /// The same of what lies in the cache.
    pub cache_dropped_bits: u32,
    pub batch: usize,
    pub queries: usize,
    pub sequence: usize,
    pub past: usize,
    pub mask: Vec<i64>,
    pub q: Vec<f32>,
    pub k: Vec<f32>,
    pub v: Vec<f32>,
    /// `[batch, kv_heads, past, head_dim]`.
    pub past_key: Vec<f32>,
    pub past_value: Vec<f32>,
}

/// How masks are made.
#[derive(Clone, Copy, Debug)]
pub enum Masking {
    Nothing,
    LeftPadding,
    Holes,
    Everything,
}

/// What a run should give.
pub struct Expected {
    pub y: Vec<f64>,
    /// How far float32 may be from each of `y`.
    pub tolerance: Vec<f64>,
    /// `[batch, kv_heads, past + sequence, head_dim]`.
    pub present_key: Vec<f64>,
    /// How far each of `present_key` may be besides the error of float32: a narrow cache may hold the number next to it, where
    /// that error decides which one is nearest.
    pub key_doubt: Vec<f64>,
    pub present_value: Vec<f32>,
}

/// A stream of numbers (Steele et al. 2014, SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn many(&mut self, count: usize, size: f32) -> Vec<f32> {
        (0..count).map(|_| size * self.unit()).collect()
    }
}

impl Case {
    /// Fills in values; masked rows of the cache hold garbage.
    pub fn fill(mut self, seed: u64, masking: Masking) -> Self {
        let mut numbers = Numbers(seed);
        let (total, row) = (self.past + self.sequence, self.kv_heads * self.head_dim);
        self.mask = vec![1; self.batch * total];
        for mask in self.mask.chunks_mut(total.max(1)) {
            match masking {
                Masking::Nothing => {}
                Masking::LeftPadding => {
                    let padding = numbers.next() as usize % (total + 1);
                    mask[..padding].fill(0);
                }
                Masking::Holes => {
                    mask.iter_mut().for_each(|m| *m = i64::from(!numbers.next().is_multiple_of(3)))
                }
                Masking::Everything => mask.fill(0),
            }
        }
        self.q = numbers.many(self.batch * self.queries * self.heads * self.head_dim, 2.0);
        self.k = numbers.many(self.batch * self.sequence * row, 2.0);
        self.v = numbers.many(self.batch * self.sequence * row, 2.0);
        self.past_key = numbers.many(self.batch * self.past * row, 2.0);
        self.past_value = numbers.many(self.batch * self.past * row, 2.0);
        let garbage = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, f32::MAX];
        for series in 0..self.batch {
            for point in (0..self.past).filter(|point| self.mask[series * total + point] == 0) {
                for head in 0..self.kv_heads {
                    let at = ((series * self.kv_heads + head) * self.past + point) * self.head_dim;
                    for i in at..at + self.head_dim {
                        self.past_key[i] = garbage[numbers.next() as usize % garbage.len()];
                        self.past_value[i] = garbage[numbers.next() as usize % garbage.len()];
                    }
                }
            }
        }
        for value in self.past_key.iter_mut().chain(&mut self.past_value) {
            *value = rounded(self.cache_dropped_bits, *value) as f32;
        }
        self
    }

    pub fn scale(&self) -> f32 {
        (self.head_dim as f32).powf(-0.5)
    }

    fn rotated(&self, x: &[f32], position: usize) -> Vec<f64> {
        let half = self.head_dim / 2;
        let mut rotated = vec![0.0; self.head_dim];
        for j in 0..half {
            let exponent = (2 * j) as f32 / self.head_dim as f32;
            let frequency = 1.0 / (self.theta.powf(f64::from(exponent)) as f32);
            let angle = f64::from(position as f32 * frequency);
            let (cos, sin) = {
                let round = |x: f64| rounded(self.dropped_bits, x as f32);
                (round(angle.cos()), round(angle.sin()))
            };
            let (a, b) = (f64::from(x[j]), f64::from(x[j + half]));
            rotated[j] = a * cos - b * sin;
            rotated[j + half] = b * cos + a * sin;
        }
        rotated
    }

    pub fn expected(&self) -> Expected {
        let (total, d) = (self.past + self.sequence, self.head_dim);
        let position = |series: usize, point: usize| {
            let real = self.mask[series * total..][..=point].iter().filter(|&&m| m > 0).count();
            real.saturating_sub(1)
        };
        let (mut present_key, mut key_doubt) = (Vec::new(), Vec::new());
        let mut present_value = Vec::new();
        for series in 0..self.batch {
            for head in 0..self.kv_heads {
                let at = (series * self.kv_heads + head) * self.past * d;
                present_key.extend(self.past_key[at..][..self.past * d].iter().map(|&k| f64::from(k)));
                key_doubt.extend(vec![0.0; self.past * d]);
                present_value.extend_from_slice(&self.past_value[at..][..self.past * d]);
                for point in 0..self.sequence {
                    let at = ((series * self.sequence + point) * self.kv_heads + head) * d;
                    let k = &self.k[at..][..d];
                    // Of a rotation in float32.
                    let error = 4e-7 * k.iter().fold(0.0, |largest, k| f64::from(k.abs()).max(largest));
                    for key in self.rotated(k, position(series, self.past + point)) {
                        let [low, cached, high] = [key - error, key, key + error].map(|key| self.cached(key));
                        present_key.push(cached);
                        key_doubt.push(if self.cache_dropped_bits == 0 { 0.0 } else { high - low });
                    }
                    let value = |&v: &f32| rounded(self.cache_dropped_bits, v) as f32;
                    present_value.extend(self.v[at..][..d].iter().map(value));
                }
            }
        }
        let (mut y, mut tolerance) = (Vec::new(), Vec::new());
        for series in 0..self.batch {
            for query in 0..self.queries {
                let point = total - self.queries + query;
                for head in 0..self.heads {
                    let at = ((series * self.queries + query) * self.heads + head) * d;
                    let q = self.rotated(&self.q[at..][..d], position(series, point));
                    let kv_head = series * self.kv_heads + head / (self.heads / self.kv_heads);
                    let row = |key: usize| (kv_head * total + key) * d..(kv_head * total + key + 1) * d;
                    let keys: Vec<usize> =
                        (0..=point).filter(|&key| self.mask[series * total + key] > 0).collect();
                    let product = |key: usize, term: fn(f64, f64) -> f64| -> f64 {
                        q.iter().zip(&present_key[row(key)]).map(|(&q, &k)| term(q, k)).sum::<f64>()
                            * f64::from(self.scale())
                    };
                    let scores: Vec<f64> = keys.iter().map(|&key| product(key, |q, k| q * k)).collect();
                    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    let mut out = vec![0.0; d];
                    let (mut largest_value, mut largest_score, mut doubt) = (0.0_f64, 0.0_f64, 0.0_f64);
                    for (&key, weight) in keys.iter().zip(&weights) {
                        let doubts = q.iter().zip(&key_doubt[row(key)]).map(|(q, doubt)| q.abs() * doubt);
                        doubt = doubt.max(doubts.sum::<f64>() * f64::from(self.scale()));
                        largest_score = largest_score.max(product(key, |q, k| (q * k).abs()));
                        for (out, &value) in out.iter_mut().zip(&present_value[row(key)]) {
                            *out += weight / sum * f64::from(value);
                            largest_value = largest_value.max(f64::from(value).abs());
                        }
                    }
                    y.extend(out);
                    // Roundings of the scores become relative errors of the weights.
                    let relative = 4e-7 * (4.0 + largest_score) + 4.0 * doubt;
                    tolerance.extend(vec![relative * largest_value; d]);
                }
            }
        }
        Expected { y, tolerance, present_key, key_doubt, present_value }
    }

    /// A key as the cache holds it.
    fn cached(&self, key: f64) -> f64 {
        if self.cache_dropped_bits == 0 { key } else { rounded(self.cache_dropped_bits, key as f32) }
    }
}

/// To the nearest number of a type with so many bits less than float32, ties to even.
pub fn rounded(dropped_bits: u32, x: f32) -> f64 {
    match dropped_bits {
        _ if !x.is_finite() => f64::from(x),
        0 => f64::from(x),
        16 => {
            let bits = x.to_bits();
            f64::from(f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000))
        }
        13 => {
            // Below 2^-14 half precision has steps of 2^-24.
            let x = f64::from(x);
            let exponent = if x == 0.0 { -14 } else { (x.abs().log2().floor() as i32).max(-14) };
            let step = f64::from(exponent - 10).exp2();
            let rounded = (x / step).round_ties_even() * step;
            // Above 65504 there is only infinity.
            if rounded.abs() < 65536.0 { rounded } else { rounded * f64::INFINITY }
        }
        _ => unreachable!("no such type"),
    }
}

/// Panics unless `found` is within the tolerance of `expected` everywhere.
pub fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: impl Fn(usize) -> f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let same = f64::from(found) == expected || (found.is_nan() && expected.is_nan());
        assert!(
            same || (f64::from(found) - expected).abs() <= tolerance(i),
            "{what}[{i}] is {found}, not {expected} within {:e}",
            tolerance(i)
        );
    }
}
