// SparseMoe(x [.., hidden], router_logits [.., experts], gate_up [experts, hidden, 2 x ffn], down [experts, ffn, hidden], addend as x) -> y as x
#include "log.h"
#include "operator.h"

namespace tmoe::tensorrt {
namespace {

enum Input { X, RouterLogits, GateUp, Down, GateUpScale, DownScale, Addend };

class SparseMoe final : public Operator {
public:
    explicit SparseMoe(const Attributes &attributes)
        : top_k_(attributes.integer("top_k", 1, 256)),
          normalize_top_k_(attributes.integer("normalize_top_k", 0, 1)),
          scoring_(attributes.choice("scoring", {{"softmax", TMOE_SOFTMAX}, {"sigmoid", TMOE_SIGMOID}})),
          activation_(attributes.choice("activation", {{"silu", TMOE_SILU}, {"gelu", TMOE_GELU}, {"gelu_pytorch_tanh", TMOE_GELU_TANH}, {"relu", TMOE_RELU}})) {}

    std::unique_ptr<Operator> clone() const override { return std::make_unique<SparseMoe>(*this); }

    void output_shapes(const nvinfer1::DimsExprs *const *inputs, nvinfer1::DimsExprs *outputs, nvinfer1::IExprBuilder &) const override {
        outputs[0] = *inputs[X];
    }

    void check(const Tensors &inputs, bool) const override { shape_of(inputs); }

    std::size_t largest_workspace(const Tensors &inputs) const override {
        tmoe_moe_shape shape = shape_of(inputs);
        return largest_of_rows(shape.tokens, [&](std::int64_t tokens) {
            shape.tokens = tokens;
            return tmoe_sparse_moe_workspace(&shape);
        });
    }

    tmoe_status launch(const Tensors &inputs, const void *const *input, void *const *output, void *workspace, tmoe_stream stream) const override {
        const tmoe_moe_shape shape = shape_of(inputs);
        return tmoe_sparse_moe(&shape, input[X], static_cast<const float *>(input[RouterLogits]), input[GateUp], input[Down], input[Addend], output[0],
                               workspace, tmoe_sparse_moe_workspace(&shape), stream);
    }

private:
    tmoe_moe_shape shape_of(const Tensors &inputs) const {
        const std::int64_t experts = inputs.size(GateUp, 0), hidden = inputs.size(GateUp, 1), ffn = inputs.size(Down, 1);
        inputs.require(experts >= 1 && experts <= 256, GateUp, "1 to 256 experts");
        inputs.require(hidden > 0 && hidden % 8 == 0 && ffn > 0 && ffn % 8 == 0, GateUp, "[experts, hidden, 2 x ffn], hidden and ffn multiples of 8");
        inputs.require(inputs.size(GateUp, 2) == 2 * ffn, GateUp, "[experts, hidden, 2 x ffn] with ffn = " + std::to_string(ffn));
        inputs.require(inputs.size(Down, 0) == experts && inputs.size(Down, 2) == hidden, Down,
                       "[experts, ffn, hidden] with experts = " + std::to_string(experts) + ", hidden = " + std::to_string(hidden));
        inputs.require(inputs.last(X) == hidden, X, "[.., hidden] with hidden = " + std::to_string(hidden));
        const std::int64_t tokens = inputs.rows(X);
        inputs.require(inputs.last(RouterLogits) == experts && inputs.rows(RouterLogits) == tokens, RouterLogits,
                       "[.., experts] with experts = " + std::to_string(experts) + " and " + std::to_string(tokens) + " rows");
        if (inputs.has(Addend)) inputs.require(inputs.same_shape(Addend, X), Addend, "the shape of x");
        if (top_k_ > experts) throw Refusal("attribute top_k is " + std::to_string(top_k_) + ", expected at most the number of experts, " + std::to_string(experts));

        tmoe_moe_shape shape{};
        shape.tokens = tokens;
        shape.hidden = narrow(inputs, GateUp, hidden);
        shape.ffn = narrow(inputs, Down, ffn);
        shape.experts = std::int32_t(experts);
        shape.top_k = top_k_;
        shape.normalize_top_k = normalize_top_k_;
        shape.scoring = scoring_;
        shape.activation = activation_;
        shape.io_type = float_type(inputs[X].type);
        shape.weight_type = float_type(inputs[GateUp].type);
        return shape;
    }

    std::int32_t top_k_, normalize_top_k_, scoring_, activation_;
};

}  // namespace

const OperatorSpec &sparse_moe_spec() {
    static const OperatorSpec spec = {
        "SparseMoe",
        {AttributeSpec::required_int("top_k"), AttributeSpec::optional_word("activation", "silu"), AttributeSpec::optional_word("scoring", "softmax"),
         AttributeSpec::optional_int("normalize_top_k", 0)},
        {{"x", TypeRule::any_float(), "[.., hidden]", Port::kAnyRank},
         {"router_logits", TypeRule::exactly(nvinfer1::DataType::kFLOAT), "[.., experts]", Port::kAnyRank},
         {"gate_up", TypeRule::any_float(), "[experts, hidden, 2 x ffn]", 3},
         {"down", TypeRule::as(GateUp), "[experts, ffn, hidden]", 3},
         {"gate_up_scale", TypeRule::exactly(nvinfer1::DataType::kFLOAT), "[experts, 2 x ffn]", 2, Presence::Never},
         {"down_scale", TypeRule::exactly(nvinfer1::DataType::kFLOAT), "[experts, hidden]", 2, Presence::Never},
         {"addend", TypeRule::as(X), "[.., hidden]", Port::kAnyRank, Presence::Optional}},
        {{"y", TypeRule::as(X), "[.., hidden]", Port::kAnyRank}},
        [](const Attributes &attributes) -> std::unique_ptr<Operator> { return std::make_unique<SparseMoe>(attributes); }};
    return spec;
}

}  // namespace tmoe::tensorrt
