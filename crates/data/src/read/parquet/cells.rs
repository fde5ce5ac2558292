//! Numbers and ids out of columns of any type that holds them.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, StringViewArray};
use arrow_schema::{DataType, Field};

use crate::csv;
use crate::read::error::Problem;
use crate::read::parquet::wrong_type;

/// Whether a column of this type holds numbers.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() && !matches!(data_type, DataType::Decimal256(..)) || *data_type == DataType::Null
}

/// Appends the numbers of a column; nulls and NaN are NaN. `row` is the first one's.
pub(super) fn numbers(
    array: &dyn Array,
    field: &Field,
    row: impl Fn(usize) -> u64,
    out: &mut Vec<f64>,
) -> Result<(), Problem> {
    let start = out.len();
    match array.data_type() {
        DataType::Float64 => push::<Float64Type>(array, |value| value, out),
        DataType::Float32 => push::<Float32Type>(array, f64::from, out),
        DataType::Float16 => push::<Float16Type>(array, |value| f64::from(value.to_f32()), out),
        DataType::Int64 => push::<Int64Type>(array, |value| value as f64, out),
        DataType::Int32 => push::<Int32Type>(array, f64::from, out),
        DataType::Int16 => push::<Int16Type>(array, f64::from, out),
        DataType::Int8 => push::<Int8Type>(array, f64::from, out),
        DataType::UInt64 => push::<UInt64Type>(array, |value| value as f64, out),
        DataType::UInt32 => push::<UInt32Type>(array, f64::from, out),
        DataType::UInt16 => push::<UInt16Type>(array, f64::from, out),
        DataType::UInt8 => push::<UInt8Type>(array, f64::from, out),
        DataType::Decimal128(_, scale) => {
            let unit = 10_f64.powi(i32::from(*scale));
            push::<arrow_array::types::Decimal128Type>(array, |value| value as f64 / unit, out);
        }
        DataType::Decimal64(_, scale) => {
            let unit = 10_f64.powi(i32::from(*scale));
            push::<arrow_array::types::Decimal64Type>(array, |value| value as f64 / unit, out);
        }
        DataType::Decimal32(_, scale) => {
            let unit = 10_f64.powi(i32::from(*scale));
            push::<arrow_array::types::Decimal32Type>(array, |value| f64::from(value) / unit, out);
        }
        DataType::Null => out.resize(start + array.len(), f64::NAN),
        _ => return Err(wrong_type(field, "numbers")),
    }
    let infinite = out.iter().skip(start).position(|value| value.is_infinite());
    match infinite {
        None => Ok(()),
        Some(position) => Err(csv::Problem::Infinite {
            row: row(position),
            column: field.name().clone(),
            text: out.get(start + position).map(f64::to_string).unwrap_or_default(),
        }
        .into()),
    }
}

fn push<T: ArrowPrimitiveType>(array: &dyn Array, number: impl Fn(T::Native) -> f64, out: &mut Vec<f64>) {
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        out.extend(array.values().iter().map(|value| number(*value)));
    } else {
        out.extend(array.iter().map(|value| value.map_or(f64::NAN, &number)));
    }
}

/// Whole numbers of a column of any such type; `None` when it is of another, or one does not fit.
pub(super) fn integers(array: &dyn Array) -> Option<Vec<i64>> {
    fn all<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<Vec<i64>>
    where
        T::Native: TryInto<i64>,
    {
        let array = array.as_primitive::<T>();
        // What stands in a null's place is never asked for.
        let number = |(row, value): (usize, &T::Native)| match (*value).try_into() {
            Ok(value) => Some(value),
            Err(_) if array.is_null(row) => Some(0),
            Err(_) => None,
        };
        array.values().iter().enumerate().map(number).collect()
    }
    match array.data_type() {
        DataType::Int64 => all::<Int64Type>(array),
        DataType::Int32 => all::<Int32Type>(array),
        DataType::Int16 => all::<Int16Type>(array),
        DataType::Int8 => all::<Int8Type>(array),
        DataType::UInt64 => all::<UInt64Type>(array),
        DataType::UInt32 => all::<UInt32Type>(array),
        DataType::UInt16 => all::<UInt16Type>(array),
        DataType::UInt8 => all::<UInt8Type>(array),
        _ => None,
    }
}

/// A column of texts or whole numbers, to be read row by row.
pub(super) struct Scalars<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

enum Kind<'a> {
    View(&'a StringViewArray),
    Text(&'a arrow_array::StringArray),
    LargeText(&'a arrow_array::LargeStringArray),
    /// Positions in another column.
    Dictionary(Vec<usize>, Box<Scalars<'a>>),
    Integer(Vec<i64>),
}

impl<'a> Scalars<'a> {
    /// Looks at a column.
    pub(super) fn new(array: &'a dyn Array, field: &Field) -> Result<Self, Problem> {
        let kind = match array.data_type() {
            DataType::Utf8View => Kind::View(array.as_string_view()),
            DataType::Utf8 => Kind::Text(array.as_string()),
            DataType::LargeUtf8 => Kind::LargeText(array.as_string()),
            DataType::Dictionary(..) if !array.is_empty() => {
                let dictionary = array.as_any_dictionary();
                let values = Box::new(Self::new(dictionary.values().as_ref(), field)?);
                // Without any value there is no position that could be asked for.
                let keys = match values.array.is_empty() {
                    true => vec![0; array.len()],
                    false => dictionary.normalized_keys(),
                };
                Kind::Dictionary(keys, values)
            }
            DataType::Dictionary(..) => Kind::Integer(Vec::new()),
            _ => Kind::Integer(integers(array).ok_or_else(|| wrong_type(field, "text or whole numbers"))?),
        };
        Ok(Self { array, kind })
    }

    /// Writes a row's text; `false` when it is null.
    pub(super) fn write(&self, row: usize, out: &mut String) -> bool {
        out.clear();
        if row >= self.array.len() || self.array.is_null(row) {
            return false;
        }
        match &self.kind {
            Kind::View(array) => out.push_str(array.value(row)),
            Kind::Text(array) => out.push_str(array.value(row)),
            Kind::LargeText(array) => out.push_str(array.value(row)),
            Kind::Dictionary(keys, values) => {
                return keys.get(row).is_some_and(|key| values.write(*key, out));
            }
            Kind::Integer(values) => out.push_str(&values.get(row).copied().unwrap_or_default().to_string()),
        }
        true
    }

    /// The first row after `start` that may hold something else than it does.
    pub(super) fn run_end(&self, start: usize) -> usize {
        let length = self.array.len();
        let is_null = self.array.is_null(start);
        let differs = |row: &usize| {
            if is_null || self.array.is_null(*row) {
                return is_null != self.array.is_null(*row);
            }
            match &self.kind {
                Kind::View(array) => {
                    let views = array.views();
                    views.get(*row) != views.get(start) && array.value(*row) != array.value(start)
                }
                Kind::Text(array) => array.value(*row) != array.value(start),
                Kind::LargeText(array) => array.value(*row) != array.value(start),
                Kind::Dictionary(keys, _) => keys.get(*row) != keys.get(start),
                Kind::Integer(values) => values.get(*row) != values.get(start),
            }
        };
        (start + 1..length).find(differs).unwrap_or(length)
    }
}
