//! Tensors in messages: raw, or in the field of their type.

use super::messages::{InferTensor, InferTensorContents};
use crate::http::failure::Failure;
use crate::inference::response::OutputTensor;
use crate::inference::tensor::{Head, Tensor};

/// The inputs of a call, whose raw contents, if there are any, are those of all inputs in their order.
pub(super) fn inputs(inputs: Vec<InferTensor>, raw: &[prost::bytes::Bytes]) -> Result<Vec<Tensor>, Failure> {
    if !raw.is_empty() && raw.len() != inputs.len() {
        let message = format!(
            "raw_input_contents has {} entries for {} inputs; send one for each",
            raw.len(),
            inputs.len()
        );
        return Err(Failure::invalid(message));
    }
    let mut raw = raw.iter();
    let tensor = |input: InferTensor| {
        let InferTensor { name, datatype, shape, contents, .. } = input;
        let head = Head { name, datatype, shape };
        match (raw.next(), contents) {
            (Some(bytes), None) => head.with_bytes(bytes).map_err(Failure::invalid),
            (Some(_), Some(_)) => {
                let message =
                    format!("the input {:?} has both contents and raw contents; send one of them", head.name);
                Err(Failure::invalid(message))
            }
            (None, contents) => {
                let values = values(&head.datatype, contents.unwrap_or_default());
                head.with_values(values).map_err(Failure::invalid)
            }
        }
    };
    inputs.into_iter().map(tensor).collect()
}

/// The values in the field that belongs to a datatype; none for a datatype without a field, which has only raw contents.
fn values(datatype: &str, contents: InferTensorContents) -> Vec<f64> {
    match datatype {
        "INT8" | "INT16" | "INT32" => contents.int_contents.into_iter().map(f64::from).collect(),
        "INT64" => contents.int64_contents.into_iter().map(|value| value as f64).collect(),
        "UINT8" | "UINT16" | "UINT32" => contents.uint_contents.into_iter().map(f64::from).collect(),
        "UINT64" => contents.uint64_contents.into_iter().map(|value| value as f64).collect(),
        "FP32" => contents.fp32_contents.into_iter().map(f64::from).collect(),
        "FP64" => contents.fp64_contents,
        _ => Vec::new(),
    }
}

/// Outputs with raw contents, as Triton answers.
pub(super) fn outputs(tensors: &[OutputTensor]) -> (Vec<InferTensor>, Vec<Vec<u8>>) {
    let described = tensors.iter().map(|tensor| InferTensor {
        name: tensor.output.name().to_owned(),
        datatype: "FP32".to_owned(),
        shape: tensor.shape.iter().map(|&size| size as i64).collect(),
        ..InferTensor::default()
    });
    let raw =
        tensors.iter().map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect());
    (described.collect(), raw.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(datatype: &str, contents: Option<InferTensorContents>) -> InferTensor {
        InferTensor {
            name: "series".to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![1, 2],
            contents,
            ..InferTensor::default()
        }
    }

    #[test]
    fn contents_of_every_type_are_read_from_their_field() {
        let contents = || InferTensorContents {
            int_contents: vec![1, -2],
            int64_contents: vec![3, 4],
            uint_contents: vec![5, 6],
            uint64_contents: vec![7, 8],
            fp32_contents: vec![1.5, 2.5],
            fp64_contents: vec![3.5, 4.5],
            ..InferTensorContents::default()
        };
        for (datatype, expected) in [
            ("INT8", [1.0, -2.0]),
            ("INT64", [3.0, 4.0]),
            ("UINT16", [5.0, 6.0]),
            ("UINT64", [7.0, 8.0]),
            ("FP32", [1.5, 2.5]),
            ("FP64", [3.5, 4.5]),
        ] {
            let tensors = inputs(vec![input(datatype, Some(contents()))], &[]).unwrap();
            assert_eq!(tensors[0].values, expected, "{datatype}");
        }
        assert!(inputs(vec![input("FP16", Some(contents()))], &[]).is_err());
        assert!(inputs(vec![input("FP32", None)], &[]).is_err());
    }

    #[test]
    fn raw_contents_are_those_of_all_inputs() {
        let raw = |bytes: &[u8]| prost::bytes::Bytes::copy_from_slice(bytes);
        let tensors = inputs(vec![input("UINT8", None)], &[raw(&[7, 8])]).unwrap();
        assert_eq!(tensors[0].values, [7.0, 8.0]);
        let both = || vec![input("UINT8", None), input("UINT8", None)];
        assert!(inputs(both(), &[raw(&[7, 8])]).is_err());
        assert!(inputs(vec![input("UINT8", None)], &[raw(&[7])]).is_err());
        let twice = input("UINT8", Some(InferTensorContents::default()));
        assert!(inputs(vec![twice], &[raw(&[7, 8])]).is_err());
    }
}
