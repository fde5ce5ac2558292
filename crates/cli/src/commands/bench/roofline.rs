//! The time of a pass's matrix products alone, by the provider's own operator.

use std::time::Instant;

use ndarray::Array2;
use serde::Serialize;
use tmoe_onnx::{F32, GraphBuilder, ModelMetadata};
use tmoe_runner::{NamedTensors, Provider, ProviderOptions, RawModel};

use super::shapes::{PassShapes, Product};
use crate::Failure;

/// What matrix products alone would take.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Roofline {
    /// Seconds for the products with weights, measured, and for attention, at the same rate.
    pub(super) seconds: f64,
    /// Rate of the products with weights, in 10^9 floating-point operations per second.
    pub(super) gflops: f64,
}

/// Models that hold the products of one pass and nothing else.
pub(super) struct RooflineModels {
    shapes: PassShapes,
    layer: ProductModel,
    end: ProductModel,
}

impl RooflineModels {
    pub(super) fn load(
        shapes: PassShapes,
        provider: Provider,
        options: &ProviderOptions,
    ) -> Result<Self, Failure> {
        Ok(Self {
            layer: ProductModel::load(&shapes.layer, provider, options)?,
            end: ProductModel::load(&shapes.end, provider, options)?,
            shapes,
        })
    }

    /// Runs all products of the pass once.
    pub(super) fn measure(&self) -> Result<Roofline, Failure> {
        let mut seconds = self.end.run()?;
        for _ in 0..self.shapes.layers {
            seconds += self.layer.run()?;
        }
        let rate = self.shapes.weight_flops() / seconds;
        let flops = self.shapes.weight_flops() + self.shapes.attention_flops;
        Ok(Roofline { seconds: flops / rate, gflops: rate / 1e9 })
    }
}

/// A model of independent products, each with weights of its own, so that they come from memory as the model's do.
struct ProductModel {
    model: RawModel,
    inputs: NamedTensors,
}

impl ProductModel {
    fn load(products: &[Product], provider: Provider, options: &ProviderOptions) -> Result<Self, Failure> {
        let mut builder = GraphBuilder::new("matrix_products", 17);
        let g = &mut builder;
        let mut inputs = NamedTensors::new();
        for (index, product) in products.iter().enumerate() {
            let name = format!("x{index}");
            let [rows, inner, columns] = [product.rows, product.inner, product.columns].map(size);
            let x = g.input::<F32>(name.clone(), [rows, inner]);
            inputs.insert(name, Array2::<f32>::from_elem((product.rows, product.inner), 0.5).into());
            for repeat in 0..product.count {
                let weights = weights(product.inner * product.columns, index * 64 + repeat);
                let weights = g.const_tensor::<F32>(&[inner, columns], &weights);
                let y = g.matmul(x, weights);
                // A small output, so that copying results out costs nothing; none may be left unused.
                let row = g.slice(y, &[0], &[1], &[0], &[1]);
                g.output(format!("y{index}.{repeat}"), row);
            }
        }
        let model = builder.finish(ModelMetadata::default())?;
        let model = RawModel::from_bytes(&model.encode(), provider, options)?;
        Ok(Self { model, inputs })
    }

    /// Seconds of one run; making the inputs does not count.
    fn run(&self) -> Result<f64, Failure> {
        let inputs = self.inputs.clone();
        let begin = Instant::now();
        self.model.run(inputs)?;
        Ok(begin.elapsed().as_secs_f64())
    }
}

fn size(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Values of the size of weights; different ones for different seeds, so that equal shapes do not share one constant.
fn weights(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|index| ((index + seed * 7) % 251) as f32 * 1e-3 - 0.125).collect()
}
