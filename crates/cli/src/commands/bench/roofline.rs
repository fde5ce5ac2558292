//! The time of a pass's matrix products alone, by the provider's own operator.

use std::time::Instant;

use ndarray::{Array1, Array2};
use serde::Serialize;
use tmoe_onnx::{F32, GraphBuilder, I64, ModelMetadata, shape};
use tmoe_package::Manifest;
use tmoe_runner::{NamedTensors, Provider, ProviderOptions, RawModel};

use super::measure::rest;
use super::shapes::{ModelShapes, PassShapes, Weights};
use crate::Failure;

/// What matrix products alone would take.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Roofline {
    /// Seconds for the products with weights, measured, and for attention, at the same rate.
    pub(super) seconds: f64,
    /// Rate of the products with weights, in 10^9 floating-point operations per second.
    pub(super) gflops: f64,
}

/// Models that hold the products of a pass and nothing else.
pub(super) struct RooflineModels {
    layer: ProductModel,
    end: ProductModel,
}

impl RooflineModels {
    pub(super) fn load(
        manifest: &Manifest,
        provider: Provider,
        options: &ProviderOptions,
    ) -> Result<Self, Failure> {
        let shapes = ModelShapes::new(manifest);
        Ok(Self {
            layer: ProductModel::load(shapes.layer, provider, options)?,
            end: ProductModel::load(shapes.end, provider, options)?,
        })
    }

    /// Floating-point operations of a pass: of the products with weights, and of attention.
    pub(super) fn flops(&self, pass: &PassShapes) -> f64 {
        let layers: f64 = pass.layers.iter().map(|rows| self.layer.flops(rows)).sum();
        layers + self.end.flops(&pass.end) + pass.attention_flops
    }

    /// Runs all products of the pass once.
    pub(super) fn measure(&self, pass: &PassShapes) -> Result<Roofline, Failure> {
        rest();
        let mut seconds = self.end.run(&pass.end)?;
        rest();
        for rows in &pass.layers {
            seconds += self.layer.run(rows)?;
        }
        let flops = self.flops(pass);
        let rate = (flops - pass.attention_flops) / seconds;
        Ok(Roofline { seconds: flops / rate, gflops: rate / 1e9 })
    }
}

/// A model of independent products, each with weights of its own, so that they come from memory as the model's do.
struct ProductModel {
    weights: Vec<Weights>,
    model: RawModel,
}

impl ProductModel {
    fn load(weights: Vec<Weights>, provider: Provider, options: &ProviderOptions) -> Result<Self, Failure> {
        let mut builder = GraphBuilder::new("matrix_products", 17);
        let g = &mut builder;
        for (index, &Weights { inner, columns }) in weights.iter().enumerate() {
            let [rows, y, count] = ["rows", "y", "count"].map(|name| format!("{name}{index}"));
            let values = values(inner * columns, index);
            let [inner, columns] = [inner, columns].map(size);
            let x = g.input::<F32>(input(index), shape![rows.as_str(), inner]);
            let weights = g.const_tensor::<F32>(&[inner, columns], &values);
            let product = g.matmul(x, weights);
            // A small output, so that copying results out costs nothing; none may be left unused. Which row is not known before the
            // run: else a provider might compute that one only.
            let row = g.input::<I64>(row(index), shape![count.as_str()]);
            let row = g.gather(product, row, 0);
            g.output(y, row);
        }
        let model = builder.finish(ModelMetadata::default())?;
        let model = RawModel::from_bytes(&model.encode(), None, provider, options)?;
        Ok(Self { weights, model })
    }

    fn flops(&self, rows: &[usize]) -> f64 {
        let product = |(weights, &rows): (&Weights, &usize)| {
            2.0 * rows as f64 * weights.inner as f64 * weights.columns as f64
        };
        self.weights.iter().zip(rows).map(product).sum()
    }

    /// Seconds of one run with so many rows for each product; making the inputs does not count.
    fn run(&self, rows: &[usize]) -> Result<f64, Failure> {
        let mut inputs = NamedTensors::new();
        for (index, (weights, &rows)) in self.weights.iter().zip(rows).enumerate() {
            inputs.insert(input(index), Array2::<f32>::from_elem((rows, weights.inner), 0.5).into());
            inputs.insert(row(index), Array1::<i64>::zeros(rows.min(1)).into());
        }
        let begin = Instant::now();
        self.model.run(inputs)?;
        Ok(begin.elapsed().as_secs_f64())
    }
}

fn input(index: usize) -> String {
    format!("x{index}")
}

fn row(index: usize) -> String {
    format!("row{index}")
}

fn size(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Values of the size of weights; different ones for different seeds, so that equal shapes do not share one constant.
fn values(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|index| ((index + seed * 7) % 251) as f32 * 1e-3 - 0.125).collect()
}
