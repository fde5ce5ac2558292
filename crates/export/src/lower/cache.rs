//! The key/value cache of one layer, in whatever type the graph keeps it.

use tmoe_model::Config;
use tmoe_onnx::{AnyValue, BF16, DataType, F16, F32, GraphBuilder, KvCache, Shape, Value};
use tmoe_package::CacheType;

use super::{Tensor, batch, fixed, past};

/// Key and value `[batch, kv_heads, points, head_dim]`, of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerCache {
    pub(crate) key: AnyValue,
    pub(crate) value: AnyValue,
}

impl LayerCache {
    /// The cache of layer number `index` before the pass, as inputs of the graph.
    pub(crate) fn input(g: &mut GraphBuilder, config: &Config, index: usize, cache: CacheType) -> Self {
        let mut input = |part: &str| {
            let name = format!("past_key_values.{index}.{part}");
            let shape = Shape::from([batch(), fixed(config.kv_heads()), past(), fixed(config.head_dim())]);
            match cache {
                CacheType::Float32 => g.input::<F32>(name, shape).any(),
                CacheType::Float16 => g.input::<F16>(name, shape).any(),
                CacheType::BFloat16 => g.input::<BF16>(name, shape).any(),
            }
        };
        Self { key: input("key"), value: input("value") }
    }

    /// The type of its elements.
    pub(crate) fn data_type(self) -> DataType {
        self.key.data_type()
    }

    /// In float32, which is what all operators but `tmoe.FlashAttention` attend in.
    pub(crate) fn float(self) -> KvCache<F32> {
        let typed = |value: AnyValue| -> Tensor {
            let typed = Value::try_from(value);
            typed.unwrap_or_else(|_| unreachable!("only the op set plugin keeps a cache that is not float32"))
        };
        KvCache { key: typed(self.key), value: typed(self.value) }
    }
}

impl From<KvCache<F32>> for LayerCache {
    fn from(cache: KvCache<F32>) -> Self {
        Self { key: cache.key.any(), value: cache.value.any() }
    }
}
