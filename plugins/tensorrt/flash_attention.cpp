// FlashAttention(q [batch, queries, heads x head_dim], k, v [batch, sequence, kv_heads x head_dim],
//                past_key, past_value [batch, kv_heads, past, head_dim], attention_mask [batch, past + sequence])
//     -> (y [batch, queries, heads x head_dim], present_key, present_value [batch, kv_heads, past + sequence, head_dim])
//
// Projections can stay as one product makes them. Without v, k holds keys and values side by side, [batch, sequence, 2 x kv_heads x
// head_dim]; without k and v, q holds all three, [batch, sequence, (heads + 2 x kv_heads) x head_dim].
//
// The cache may be preallocated: the past then has room for past + sequence rows or more, the mask's length says how many of them
// are filled, and the present has the past's shape. With the attribute `preallocated_cache` the present's shape is the past's from
// the start, and the present shares the past's memory where TensorRT's preview feature for aliased plugin tensors is on. Where it
// is off the kernel sees two buffers, and copies.
#include <cmath>

#include "log.h"
#include "operator.h"

namespace tmoe::tensorrt {
namespace {

enum Input { Q, K, V, PastKey, PastValue, Mask };
enum Output { Y, PresentKey, PresentValue };

std::int32_t type_choice(const Attributes &attributes, const char *name) {
    return attributes.choice(name, {{"float32", TMOE_FLOAT32}, {"bfloat16", TMOE_BFLOAT16}, {"float16", TMOE_FLOAT16}});
}

class FlashAttention final : public Operator {
public:
    explicit FlashAttention(const Attributes &attributes)
        : heads_(attributes.integer("num_heads", 1, INT32_MAX)),
          kv_heads_(attributes.integer("kv_num_heads", 1, INT32_MAX)),
          compute_type_(type_choice(attributes, "compute_type")),
          rotary_type_(type_choice(attributes, "rotary_type")),
          rope_theta_(attributes.number("rope_theta")),
          scale_(attributes.number("scale")),
          preallocated_(attributes.integer("preallocated_cache", 0, 1) == 1) {
        if (heads_ % kv_heads_ != 0)
            throw Refusal("attribute kv_num_heads is " + std::to_string(kv_heads_) + ", expected a divisor of num_heads, " + std::to_string(heads_));
        if (!(rope_theta_ > 0.0f)) throw Refusal("attribute rope_theta is " + std::to_string(rope_theta_) + ", expected a positive number");
        if (!(scale_ >= 0.0f)) throw Refusal("attribute scale is " + std::to_string(scale_) + ", expected a positive number, or 0 for 1 / sqrt(head_dim)");
    }

    std::unique_ptr<Operator> clone() const override { return std::make_unique<FlashAttention>(*this); }

    std::int32_t aliased_input(std::int32_t output) const override {
        return !preallocated_ ? -1 : output == PresentKey ? PastKey : output == PresentValue ? PastValue : -1;
    }

    void output_shapes(const nvinfer1::DimsExprs *const *inputs, nvinfer1::DimsExprs *outputs, nvinfer1::IExprBuilder &builder) const override {
        outputs[Y] = *inputs[Q];
        if (inputs[K] == nullptr)
            outputs[Y].d[2] = builder.operation(nvinfer1::DimensionOperation::kPROD, *builder.constant(heads_), *inputs[PastKey]->d[3]);
        outputs[PresentKey] = *inputs[PastKey];
        if (!preallocated_)
            outputs[PresentKey].d[2] = builder.operation(nvinfer1::DimensionOperation::kMAX, *inputs[PastKey]->d[2], *inputs[Mask]->d[1]);
        outputs[PresentValue] = outputs[PresentKey];
    }

    void check(const Tensors &inputs, bool bounds) const override { shape_of(inputs, bounds); }

    // The kernel divides keys over blocks where there are few queries and series.
    std::size_t largest_workspace(const Tensors &inputs) const override {
        const tmoe_attention_shape largest = shape_of(inputs, true);
        tmoe_attention_shape shape = largest;
        std::size_t bytes = 0;
        for (shape.batch = 1; shape.batch <= largest.batch; ++shape.batch) {
            constexpr std::int64_t kManyQueries = 65536;
            const std::int64_t few = kManyQueries / shape.batch;
            const bool last = shape.batch == largest.batch;
            const std::size_t needed = largest_of_rows(last || few > largest.queries ? largest.queries : few, [&](std::int64_t queries) {
                shape.queries = queries;
                return tmoe_flash_attention_workspace(&shape);
            });
            if (needed > bytes) bytes = needed;
        }
        return bytes;
    }

    tmoe_status launch(const Tensors &inputs, const void *const *input, void *const *output, void *workspace, tmoe_stream stream) const override {
        tmoe_attention_shape shape = shape_of(inputs, false);
        // What a device cannot multiply it computes in float32, as on ONNX Runtime.
        if (const tmoe_status status = tmoe_attention_compute_type(compute_type_, &shape.compute_type)) return status;
        const std::int64_t width = std::int64_t(heads_) * shape.head_dim, kv_width = std::int64_t(kv_heads_) * shape.head_dim;
        const void *const q = input[Q];
        const void *const k = inputs.has(K) ? input[K] : behind(q, width, shape.io_type);
        const void *const v = inputs.has(V) ? input[V] : behind(k, kv_width, shape.io_type);
        return tmoe_flash_attention(&shape, q, k, v, input[PastKey], input[PastValue], static_cast<const std::int64_t *>(input[Mask]), output[Y],
                                    output[PresentKey], output[PresentValue], workspace, tmoe_flash_attention_workspace(&shape), stream);
    }

private:
    tmoe_attention_shape shape_of(const Tensors &inputs, bool bounds) const {
        const bool all_packed = !inputs.has(K), packed = !inputs.has(V);
        const std::int64_t batch = inputs.size(Q, 0), queries = inputs.size(Q, 1), sequence = all_packed ? queries : inputs.size(K, 1);
        const std::int64_t head_dim = inputs.last(PastKey), rows = inputs.size(PastKey, 2), total = inputs.size(Mask, 1);
        inputs.require(head_dim >= 2 && head_dim <= 128 && head_dim % 2 == 0, PastKey, "[batch, kv_heads, past, head_dim] with an even head_dim up to 128");
        const std::string of_batch = " with batch = " + std::to_string(batch) + ", head_dim = " + std::to_string(head_dim);
        // How many heads are side by side.
        const std::int64_t q_heads = heads_ + (all_packed ? 2 * std::int64_t(kv_heads_) : 0), k_heads = (packed ? 2 : 1) * std::int64_t(kv_heads_);
        inputs.require(inputs.last(Q) == q_heads * head_dim && (bounds || queries <= sequence), Q,
                       "[batch, queries, " + std::to_string(q_heads) + " x head_dim]" + of_batch +
                           (all_packed ? ", queries, keys and values side by side, for k and v are left out" : ", queries at most " + std::to_string(sequence)));
        for (const std::int32_t tensor : {K, V}) {
            if (!inputs.has(tensor)) continue;
            const std::int64_t wide = tensor == K ? k_heads : kv_heads_;
            inputs.require(inputs.size(tensor, 0) == batch && inputs.size(tensor, 1) == sequence && inputs.last(tensor) == wide * head_dim, tensor,
                           "[batch, sequence, " + std::to_string(wide) + " x head_dim]" + of_batch + ", sequence = " + std::to_string(sequence) +
                               (packed ? ", keys and values side by side, for v is left out" : ""));
        }
        for (const std::int32_t tensor : {PastKey, PastValue})
            inputs.require(inputs.size(tensor, 0) == batch && inputs.size(tensor, 1) == kv_heads_ && inputs.size(tensor, 2) == rows && inputs.last(tensor) == head_dim,
                           tensor, "[batch, " + std::to_string(kv_heads_) + ", past, head_dim]" + of_batch + ", past = " + std::to_string(rows));
        const bool room = rows >= total, grows = rows == total - sequence && !preallocated_;
        inputs.require(inputs.size(Mask, 0) == batch && (bounds || (total >= sequence && (room || grows))), Mask,
                       "[batch, past + sequence]" + of_batch + ", sequence = " + std::to_string(sequence) +
                           (preallocated_ ? ", at most as long as the cache of " : ", past or a cache of ") + std::to_string(rows) + " rows");

        tmoe_attention_shape shape{};
        shape.batch = batch;
        shape.queries = queries;
        // Bounds need not fit together: what counts for the workspace is the largest total.
        shape.sequence = bounds && queries > sequence ? queries : sequence;
        shape.past = total > shape.sequence ? total - shape.sequence : 0;
        shape.past_capacity = rows;
        shape.present_capacity = room ? rows : shape.past + shape.sequence;
        if (shape.present_capacity < shape.past + shape.sequence) shape.present_capacity = shape.past + shape.sequence;
        shape.q_stride = q_heads * head_dim;
        shape.k_stride = shape.v_stride = (all_packed ? q_heads : k_heads) * head_dim;
        shape.heads = heads_;
        shape.kv_heads = kv_heads_;
        shape.head_dim = std::int32_t(head_dim);
        shape.io_type = float_type(inputs[Q].type);
        shape.cache_type = float_type(inputs[PastKey].type);
        shape.compute_type = compute_type_;
        shape.rotary_rounding = rotary_type_;
        shape.rope_theta = rope_theta_;
        shape.scale = scale_ > 0.0f ? scale_ : 1.0f / std::sqrt(float(head_dim));
        return shape;
    }

    // Elements behind the beginning of a tensor.
    static const void *behind(const void *tensor, std::int64_t elements, std::int32_t type) {
        return static_cast<const unsigned char *>(tensor) + elements * (type == TMOE_FLOAT32 ? 4 : 2);
    }

    std::int32_t heads_, kv_heads_, compute_type_, rotary_type_;
    float rope_theta_, scale_;
    bool preallocated_;
};

}  // namespace

const OperatorSpec &flash_attention_spec() {
    static const OperatorSpec spec = {
        "FlashAttention",
        {AttributeSpec::required_int("num_heads"), AttributeSpec::required_int("kv_num_heads"), AttributeSpec::optional_number("rope_theta", 10000.0f),
         AttributeSpec::optional_number("scale", 0.0f), AttributeSpec::optional_word("rotary_type", "float32"),
         AttributeSpec::optional_word("compute_type", "float32"), AttributeSpec::optional_int("preallocated_cache", 0)},
        {{"q", TypeRule::any_float(), "[batch, queries, heads x head_dim]", 3},
         {"k", TypeRule::as(Q), "[batch, sequence, kv_heads x head_dim]", 3, Presence::Optional},
         {"v", TypeRule::as(Q), "[batch, sequence, kv_heads x head_dim]", 3, Presence::Optional},
         {"past_key", TypeRule::any_float(), "[batch, kv_heads, past, head_dim]", 4},
         {"past_value", TypeRule::as(PastKey), "[batch, kv_heads, past, head_dim]", 4},
         {"attention_mask", TypeRule::exactly(nvinfer1::DataType::kINT64), "[batch, past + sequence]", 2}},
        {{"y", TypeRule::as(Q), "[batch, queries, heads x head_dim]", 3}, {"present_key", TypeRule::as(PastKey), "as past_key", 4}, {"present_value", TypeRule::as(PastKey), "as past_key", 4}},
        [](const Attributes &attributes) -> std::unique_ptr<Operator> { return std::make_unique<FlashAttention>(attributes); }};
    return spec;
}

}  // namespace tmoe::tensorrt
