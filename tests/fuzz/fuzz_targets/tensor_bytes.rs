//! Tensors as bytes, of every datatype: exactly as many values as the shape says, each with the bytes that it was read from.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tmoe_serve::inference::datatype::Datatype;
use tmoe_serve::inference::tensor::{Head, Tensor};

const DATATYPES: [&str; 14] = [
    "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "BF16", "FP32", "FP64",
    "BYTES", "BOOL",
];

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    datatype: u8,
    shape: Vec<i64>,
    /// Whether the last size is made to fit to the bytes.
    fits: bool,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input| {
    let datatype = DATATYPES[usize::from(input.datatype) % DATATYPES.len()];
    let mut shape = input.shape;
    if input.fits
        && let (Some(last), Ok(datatype)) = (shape.pop(), datatype.parse::<Datatype>())
    {
        let others: i64 = shape.iter().fold(1, |all, &size| all.wrapping_mul(size));
        let elements = (input.bytes.len() / datatype.size()) as i64;
        shape.push(elements.checked_div(others).unwrap_or(last));
    }
    let head = Head { name: "series".to_owned(), datatype: datatype.to_owned(), shape: shape.clone() };
    let elements = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(usize::try_from(size).ok()?));
    match head.with_bytes(input.bytes) {
        Ok(tensor) => {
            assert_eq!(elements, Some(tensor.values.len()));
            assert_eq!(tensor.values.len() * tensor.datatype.size(), input.bytes.len());
            check_bytes(&tensor, input.bytes);
        }
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "one line: {error}");
            // What fits is taken.
            let size = datatype.parse::<Datatype>().map(Datatype::size);
            let fits = size.is_ok_and(|size| {
                elements.and_then(|elements| elements.checked_mul(size)) == Some(input.bytes.len())
            });
            assert!(!fits, "{error}");
        }
    }
});

/// Writes the values again, by other means than they were read with.
fn check_bytes(tensor: &Tensor, bytes: &[u8]) {
    for (&value, bytes) in tensor.values.iter().zip(bytes.chunks(tensor.datatype.size())) {
        let mut all = [0; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(all);
        let unused = 64 - 8 * bytes.len() as u32;
        let signed = (unsigned << unused) as i64 >> unused;
        let expected = match tensor.datatype {
            Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 | Datatype::Uint64 => unsigned as f64,
            Datatype::Int8 | Datatype::Int16 | Datatype::Int32 | Datatype::Int64 => signed as f64,
            Datatype::Fp16 => half(unsigned as u16),
            Datatype::Bf16 => f64::from(f32::from_bits((unsigned as u32) << 16)),
            Datatype::Fp32 => f64::from(f32::from_bits(unsigned as u32)),
            Datatype::Fp64 => f64::from_bits(unsigned),
        };
        assert!(value == expected || (value.is_nan() && expected.is_nan()), "{value} is no {expected}");
    }
}

/// IEEE half precision by its definition.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
    sign * match (exponent, fraction) {
        (31, 0.0) => f64::INFINITY,
        (31, _) => f64::NAN,
        (0, _) => fraction * 2_f64.powi(-14),
        _ => (1.0 + fraction) * 2_f64.powi(exponent - 15),
    }
}
