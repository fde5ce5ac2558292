// AddRmsNorm(x [.., hidden], residual as x, weight [hidden]) -> (y, sum) as x
#include "log.h"
#include "operator.h"

namespace tmoe::tensorrt {
namespace {

enum Input { X, Residual, Weight };
enum Output { Y, Sum };

class AddRmsNorm final : public Operator {
public:
    explicit AddRmsNorm(const Attributes &attributes) : epsilon_(attributes.number("epsilon")) {
        if (!(epsilon_ >= 0.0f)) throw Refusal("attribute epsilon is " + std::to_string(epsilon_) + ", expected 0 or more");
    }

    std::unique_ptr<Operator> clone() const override { return std::make_unique<AddRmsNorm>(*this); }

    void output_shapes(const nvinfer1::DimsExprs *const *inputs, nvinfer1::DimsExprs *outputs, nvinfer1::IExprBuilder &) const override {
        outputs[Y] = outputs[Sum] = *inputs[X];
    }

    void check(const Tensors &inputs, bool) const override { shape_of(inputs); }

    std::size_t largest_workspace(const Tensors &) const override { return 0; }

    tmoe_status launch(const Tensors &inputs, const void *const *input, void *const *output, void *, tmoe_stream stream) const override {
        const tmoe_rms_norm_shape shape = shape_of(inputs);
        return tmoe_add_rms_norm(&shape, input[X], input[Residual], static_cast<const float *>(input[Weight]), output[Sum], output[Y], stream);
    }

private:
    tmoe_rms_norm_shape shape_of(const Tensors &inputs) const {
        inputs.require(inputs.same_shape(Residual, X), Residual, "the shape of x");
        const std::int64_t hidden = inputs.last(X);
        inputs.require(hidden >= 1 && hidden <= 8192, X, "[.., hidden] with hidden = 1 to 8192");
        inputs.require(inputs.size(Weight, 0) == hidden, Weight, "[hidden] with hidden = " + std::to_string(hidden));

        tmoe_rms_norm_shape shape{};
        shape.rows = inputs.rows(X);
        shape.hidden = std::int32_t(hidden);
        shape.io_type = float_type(inputs[X].type);
        shape.epsilon = epsilon_;
        return shape;
    }

    float epsilon_;
};

}  // namespace

const OperatorSpec &add_rms_norm_spec() {
    static const OperatorSpec spec = {
        "AddRmsNorm",
        {AttributeSpec::optional_number("epsilon", 1e-6f)},
        {{"x", TypeRule::any_float(), "[.., hidden]", Port::kAnyRank},
         {"residual", TypeRule::as(X), "[.., hidden]", Port::kAnyRank},
         {"weight", TypeRule::exactly(nvinfer1::DataType::kFLOAT), "[hidden]", 1}},
        {{"y", TypeRule::as(X), "[.., hidden]", Port::kAnyRank}, {"sum", TypeRule::as(X), "[.., hidden]", Port::kAnyRank}},
        [](const Attributes &attributes) -> std::unique_ptr<Operator> { return std::make_unique<AddRmsNorm>(attributes); }};
    return spec;
}

}  // namespace tmoe::tensorrt
