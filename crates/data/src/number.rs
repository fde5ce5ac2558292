//! Numbers as text: what a cell may hold and how a value is written.

/// A floating-point type that a table can hold.
///
/// Implemented for `f64` (what readers produce: no digit of the input is lost) and `f32` (what the
/// model forecasts). A NaN is a missing point.
pub trait Number: Copy + serde::Serialize + private::Sealed {
    /// Whether the point is missing.
    fn is_missing(self) -> bool;

    /// The shortest decimal text that reads back as the same value of this type.
    fn to_text(self) -> String;
}

pub(crate) mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Number for f32 {
    fn is_missing(self) -> bool {
        self.is_nan()
    }

    fn to_text(self) -> String {
        // `Debug` is the shortest round-trip form too, and unlike `Display` it does not spell
        // 1e30 out with thirty zeros.
        format!("{self:?}")
    }
}

impl Number for f64 {
    fn is_missing(self) -> bool {
        self.is_nan()
    }

    fn to_text(self) -> String {
        format!("{self:?}")
    }
}

/// Why a cell is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// The text is not a number at all.
    Text,
    /// The text is a number with a comma for the decimal point, such as `1,5`.
    DecimalComma,
    /// The number is infinite, or too large for a 64-bit float.
    Infinite,
}

/// Whether a cell stands for a missing point: empty, or `NaN`, `NA`, `N/A`, `<NA>`, `null`, `None`
/// in any case.
#[must_use]
pub fn is_missing_text(cell: &str) -> bool {
    const WORDS: [&str; 6] = ["nan", "na", "n/a", "<na>", "null", "none"];
    let cell = cell.trim();
    cell.is_empty() || WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Reads one cell; a missing point becomes NaN.
///
/// # Errors
/// When the cell is neither missing nor a finite decimal number.
pub fn parse_cell(cell: &str) -> Result<f64, NumberError> {
    let cell = cell.trim();
    if is_missing_text(cell) {
        return Ok(f64::NAN);
    }
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        // Rust also reads "-nan" and "+nan", which some C programs print.
        Ok(value) if value.is_nan() => Ok(f64::NAN),
        Ok(_) => Err(NumberError::Infinite),
        Err(_) if cell.matches(',').count() == 1 && cell.replace(',', ".").parse::<f64>().is_ok() => {
            Err(NumberError::DecimalComma)
        }
        Err(_) => Err(NumberError::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_missing_point_is_read_as_nan() {
        for cell in ["", "  ", "NaN", "nan", "NA", "na", "N/A", "<NA>", "null", "NULL", "None", "-nan"] {
            assert!(parse_cell(cell).is_ok_and(f64::is_nan), "{cell:?}");
        }
    }

    #[test]
    fn numbers_are_read_exactly_and_with_spaces_around_them() {
        assert_eq!(parse_cell(" 5.827000141143799 "), Ok(5.827_000_141_143_799));
        assert_eq!(parse_cell("+1"), Ok(1.0));
        assert_eq!(parse_cell("-2.5E-3"), Ok(-0.0025));
    }

    #[test]
    fn text_infinite_numbers_and_decimal_commas_are_told_apart() {
        assert_eq!(parse_cell("abc"), Err(NumberError::Text));
        assert_eq!(parse_cell("1 000"), Err(NumberError::Text));
        assert_eq!(parse_cell("0x10"), Err(NumberError::Text));
        assert_eq!(parse_cell("1,5"), Err(NumberError::DecimalComma));
        assert_eq!(parse_cell("1,000,000"), Err(NumberError::Text));
        assert_eq!(parse_cell("inf"), Err(NumberError::Infinite));
        assert_eq!(parse_cell("-Infinity"), Err(NumberError::Infinite));
        assert_eq!(parse_cell("1e999"), Err(NumberError::Infinite));
    }

    #[test]
    fn float32_values_are_written_with_the_fewest_digits_that_read_back() {
        assert_eq!(0.1_f32.to_text(), "0.1");
        assert_eq!(1e30_f32.to_text(), "1e30");
        assert_eq!(16_777_216.0_f32.to_text(), "16777216.0");
        assert_eq!((-1.5_f32).to_text(), "-1.5");
    }
}
