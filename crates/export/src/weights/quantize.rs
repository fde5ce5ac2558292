//! float32 matrices to int8: symmetric, one scale per column.

/// The largest quantised value; -128 stays unused, so that a matrix and its negative are treated alike.
const LARGEST: f32 = 127.0;

/// Quantises `matrix` `[rows, scales.len()]`, row-major, into `quantised`: `matrix = quantised * scales` but for rounding to the
/// nearest integer, ties to even. The scale of a column is its largest absolute value over 127; that of a column of zeros is 0.
pub(super) fn quantize_columns(matrix: &[f32], quantised: &mut [i8], scales: &mut [f32]) {
    let columns = scales.len();
    debug_assert!(matrix.len() == quantised.len() && columns > 0 && matrix.len().is_multiple_of(columns));
    scales.fill(0.0);
    for row in matrix.chunks_exact(columns) {
        for (largest, value) in scales.iter_mut().zip(row) {
            *largest = largest.max(value.abs());
        }
    }
    scales.iter_mut().for_each(|largest| *largest /= LARGEST);
    for (row, target) in matrix.chunks_exact(columns).zip(quantised.chunks_exact_mut(columns)) {
        for ((target, value), scale) in target.iter_mut().zip(row).zip(&*scales) {
            // Divided, not multiplied by the inverse, which would decide ties by its own rounding. In a column of zeros 0 / 0
            // is NaN, and that as an integer 0; one of denormals can round its scale far down.
            *target = (value / scale).round_ties_even().clamp(-LARGEST, LARGEST) as i8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_within_half_a_step_of_its_column() {
        let matrix = [1.0, -0.5, 0.0, 0.25, 0.5, 0.0, -0.3, 0.1, 0.0];
        let (mut quantised, mut scales) = ([0; 9], [0.0; 3]);
        quantize_columns(&matrix, &mut quantised, &mut scales);
        assert_eq!(scales, [1.0 / 127.0, 0.5 / 127.0, 0.0]);
        assert_eq!(quantised, [127, -127, 0, 32, 127, 0, -38, 25, 0]);
    }

    #[test]
    fn columns_of_denormals_do_not_overflow() {
        let matrix = [1e-42, -1e-42];
        let (mut quantised, mut scales) = ([0; 2], [0.0; 1]);
        quantize_columns(&matrix, &mut quantised, &mut scales);
        assert!(quantised.iter().all(|&value| value.unsigned_abs() <= 127));
        assert!(scales[0].is_finite());
    }
}
