// Linear(x [.., in], weight [in, out], bias [out]) -> y [.., out]
#include "operator.h"

namespace tmoe::tensorrt {
namespace {

enum Input { X, Weight, Bias };

class Linear final : public Operator {
public:
    explicit Linear(const Attributes &) {}

    std::unique_ptr<Operator> clone() const override { return std::make_unique<Linear>(*this); }

    void output_shapes(const nvinfer1::DimsExprs *const *inputs, nvinfer1::DimsExprs *outputs, nvinfer1::IExprBuilder &) const override {
        outputs[0] = *inputs[X];
        outputs[0].d[inputs[X]->nbDims - 1] = inputs[Weight]->d[1];
    }

    void check(const Tensors &inputs, bool) const override { shape_of(inputs); }

    std::size_t largest_workspace(const Tensors &inputs) const override {
        tmoe_linear_shape shape = shape_of(inputs);
        return largest_of_rows(shape.rows, [&](std::int64_t rows) {
            shape.rows = rows;
            return tmoe_linear_workspace(&shape);
        });
    }

    tmoe_status launch(const Tensors &inputs, const void *const *input, void *const *output, void *workspace, tmoe_stream stream) const override {
        const tmoe_linear_shape shape = shape_of(inputs);
        return tmoe_linear(&shape, input[X], input[Weight], static_cast<const float *>(input[Bias]), output[0], workspace, tmoe_linear_workspace(&shape),
                           stream);
    }

private:
    static tmoe_linear_shape shape_of(const Tensors &inputs) {
        const std::int64_t width = inputs.size(Weight, 0), output = inputs.size(Weight, 1);
        inputs.require(width > 0 && width % 8 == 0 && output > 0, Weight, "[in, out], in a multiple of 8");
        inputs.require(inputs.last(X) == width, X, "[.., in] with in = " + std::to_string(width));
        if (inputs.has(Bias)) inputs.require(inputs.size(Bias, 0) == output, Bias, "[out] with out = " + std::to_string(output));

        tmoe_linear_shape shape{};
        shape.rows = inputs.rows(X);
        shape.input = narrow(inputs, Weight, width);
        shape.output = narrow(inputs, Weight, output);
        shape.io_type = float_type(inputs[X].type);
        shape.weight_type = float_type(inputs[Weight].type);
        return shape;
    }
};

}  // namespace

const OperatorSpec &linear_spec() {
    static const OperatorSpec spec = {
        "Linear",
        {},
        {{"x", TypeRule::any_float(), "[.., in]", Port::kAnyRank},
         {"weight", TypeRule::any_float(), "[in, out]", 2},
         {"bias", TypeRule::exactly(nvinfer1::DataType::kFLOAT), "[out]", 1, Presence::Optional},
         {"scale", TypeRule::exactly(nvinfer1::DataType::kFLOAT), "[out]", 1, Presence::Never}},
        {{"y", TypeRule::as(X), "[.., out]", Port::kAnyRank}},
        [](const Attributes &attributes) -> std::unique_ptr<Operator> { return std::make_unique<Linear>(attributes); }};
    return spec;
}

}  // namespace tmoe::tensorrt
