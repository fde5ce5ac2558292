//! The shapes of a profile as ONNX Runtime's options say them: `input_ids:1x512x1,attention_mask:1x512,..`.

use tmoe_package::{Profile, Span};

use crate::signature::{Dim, Signature};

/// The least, usual and largest shapes of all inputs.
pub(super) fn shapes(signature: &Signature, profile: &Profile) -> [String; 3] {
    let choices: [fn(Span) -> u32; 3] = [|span| span.min, |span| span.opt, |span| span.max];
    choices.map(|choice| {
        let inputs = signature.inputs.iter().map(|port| {
            let sizes: Vec<String> =
                port.shape.iter().map(|dim| size(dim, profile, choice).to_string()).collect();
            format!("{}:{}", port.name, sizes.join("x"))
        });
        inputs.collect::<Vec<_>>().join(",")
    })
}

fn size(dim: &Dim, profile: &Profile, choice: fn(Span) -> u32) -> usize {
    let named = |name: &str| match name {
        "batch" => choice(profile.batch) as usize,
        "sequence" => choice(profile.sequence) as usize,
        "past" => choice(profile.past) as usize,
        // The weights of a loss, which may be left out.
        _ => choice(Span { min: 0, ..profile.sequence }) as usize,
    };
    match dim {
        Dim::Fixed(size) => *size,
        Dim::Symbol(name) => named(name),
        Dim::Sum(names) => names.iter().map(|name| named(name)).sum(),
        Dim::Any => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::ElementType;
    use crate::testing::port;

    #[test]
    fn every_input_has_its_shapes() {
        let signature = Signature {
            inputs: vec![
                port("input_ids", ElementType::F32, &["batch", "sequence", "1"]),
                port("attention_mask", ElementType::I64, &["batch", "past + sequence"]),
                port("past_key_values.0.key", ElementType::F32, &["batch", "2", "past", "4"]),
                port("loss_masks", ElementType::F32, &["batch", "loss_mask"]),
            ],
            outputs: Vec::new(),
        };
        let profile = Profile {
            name: "decode".to_owned(),
            batch: Span { min: 1, opt: 2, max: 8 },
            sequence: Span { min: 1, opt: 64, max: 64 },
            past: Span { min: 1, opt: 512, max: 4095 },
        };
        let [min, opt, max] = shapes(&signature, &profile);
        assert_eq!(min, "input_ids:1x1x1,attention_mask:1x2,past_key_values.0.key:1x2x1x4,loss_masks:1x0");
        assert_eq!(
            opt,
            "input_ids:2x64x1,attention_mask:2x576,past_key_values.0.key:2x2x512x4,loss_masks:2x64"
        );
        assert_eq!(
            max,
            "input_ids:8x64x1,attention_mask:8x4159,past_key_values.0.key:8x2x4095x4,loss_masks:8x64"
        );
    }
}
