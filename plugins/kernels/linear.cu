// y = x weight + bias.
//
// Floors, for R rows, K inputs, N outputs and values of b bytes (weights of w): w K N + b R (K + N) bytes, 2 R K N operations.
//   R <= 8       the weights: 0.3 MB of bfloat16 at K = N = 384, 2 MB at 1024: 0.1 and 0.6 microseconds at 3.35 TB/s
//   R = 16384    K = N = 384, bfloat16 weights, float32 x and y: 50 MB (15 microseconds), 4.8 GFLOP (5 at 990 TFLOP/s)
// Up to eight rows read the weights straight into registers, once, with 32 columns a block. More rows are one group of a grouped
// product (common/gemm.cuh); float32 rows are rounded to 16-bit weights' type when the tensor cores' operands are made. A few dozen
// rows are too few blocks for a large k, which is then divided, and the parts are added up by a second launch.
//
// Compile and run alone: see plugins/tests/linear_test.cpp.
#include "common/gemm_few_rows.cuh"
#include "common/launch.cuh"
#include "grouped_product.cuh"

namespace tmoe {
namespace {

// Registers for single loads are not left where a block is large.
template <bool Ragged>
constexpr int kThreads = Ragged ? 256 : 512;

// Rows whose k may be divided, times its parts; parts have eight steps at least, or another launch would cost more than they save.
constexpr int kDividedRows = 512;
constexpr int kMostParts = 8;
constexpr int kLeastSteps = 8;

struct FewRowsLinear {
    const void *x;
    const void *weight;
    const float *bias;
    void *y;
    std::int32_t rows, input, output, io_type;
};

template <class T, bool Ragged>
__global__ void __launch_bounds__(kThreads<Ragged>, 1) multiply_few_rows(const FewRowsLinear linear) {
    using Few = FewRows<T, kThreads<Ragged>>;
    TMOE_DYNAMIC_SHARED(float, shared);
    const std::int64_t first_column = std::int64_t(blockIdx.x) * kFewColumns;
    const std::int64_t column = first_column + Few::chunk() * Few::kVector;
    const T *const weight = column < linear.output ? static_cast<const T *>(linear.weight) + column : nullptr;
    const auto load = [&](int row, int k, float(&values)[4]) {
        if (row < linear.rows) load_floats_of(linear.io_type, linear.x, std::int64_t(row) * linear.input + k, values);
    };
    const float *const sums = Few::template multiply_rows<Ragged>(linear.rows, weight, linear.output, int(linear.output - column), 0,
                                                                  linear.input, load, shared);
    for (int i = int(threadIdx.x); i < linear.rows * kFewColumns; i += kThreads<Ragged>) {
        const std::int64_t to = first_column + i % kFewColumns;
        if (to >= linear.output) continue;
        const float value[1] = {sums[i] + (linear.bias != nullptr ? linear.bias[to] : 0.0f)};
        store_floats_of(linear.io_type, linear.y, i / kFewColumns * std::int64_t(linear.output) + to, value);
    }
}

tmoe_status launch_few_rows(const FewRowsLinear &linear, std::int32_t weight_type, tmoe_stream stream) {
    return dispatch_type(weight_type, [&](auto tag) {
        using T = typename decltype(tag)::type;
        const dim3 grid(unsigned((linear.output + std::int64_t(kFewColumns) - 1) / kFewColumns));
        if (linear.output % kVectorSize<T> != 0)
            return launch(multiply_few_rows<T, true>, grid, dim3(kThreads<true>), FewRows<T, kThreads<true>>::kSharedBytes, stream, linear);
        return launch(multiply_few_rows<T, false>, grid, dim3(kThreads<false>), FewRows<T, kThreads<false>>::kSharedBytes, stream, linear);
    });
}

bool is_valid(const tmoe_linear_shape &shape) {
    return shape.rows >= 0 && shape.input > 0 && shape.input % 8 == 0 && shape.output > 0 && is_type(shape.io_type) &&
           is_type(shape.weight_type) && (shape.options & ~TMOE_ALLOW_TF32) == 0;
}

// float32 rows are converted on the way to 16-bit products; others have to be before.
bool needs_conversion(const tmoe_linear_shape &shape) {
    return shape.rows > kFewRows && shape.io_type != shape.weight_type && shape.io_type != TMOE_FLOAT32;
}

int most_parts(const tmoe_linear_shape &shape) {
    if (shape.rows <= kFewRows || shape.rows > kDividedRows / 2 || shape.output % 8 != 0) return 1;
    const std::int64_t parts = kDividedRows / shape.rows;
    return int(parts < kMostParts ? parts : kMostParts);
}

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

std::size_t converted_bytes(const tmoe_linear_shape &shape) {
    return needs_conversion(shape) ? aligned(std::size_t(shape.rows) * shape.input * bytes_of_type(shape.weight_type)) : 0;
}

std::size_t parts_bytes(const tmoe_linear_shape &shape) {
    const int parts = most_parts(shape);
    return parts > 1 ? aligned(std::size_t(parts) * shape.rows * shape.output * 4) : 0;
}

}  // namespace
}  // namespace tmoe

using namespace tmoe;

extern "C" size_t tmoe_linear_workspace(const tmoe_linear_shape *shape) {
    if (shape == nullptr || !is_valid(*shape)) return 0;
    return converted_bytes(*shape) + parts_bytes(*shape);
}

extern "C" tmoe_status tmoe_linear(const tmoe_linear_shape *shape, const void *x, const void *weight, const float *bias, void *y,
                                   void *workspace, size_t workspace_bytes, tmoe_stream stream) {
    if (shape == nullptr || !is_valid(*shape)) return TMOE_INVALID_ARGUMENT;
    if (shape->rows == 0) return TMOE_OK;
    const std::size_t needed = tmoe_linear_workspace(shape);
    if (!x || !weight || !y || (needed > 0 && !workspace)) return TMOE_INVALID_ARGUMENT;
    if (workspace_bytes < needed) return TMOE_WORKSPACE_TOO_SMALL;
    if (shape->rows <= kFewRows)
        return launch_few_rows({x, weight, bias, y, std::int32_t(shape->rows), shape->input, shape->output, shape->io_type},
                               shape->weight_type, stream);

    Device device;
    if (const cudaError_t error = current_device(&device)) return error;
    ProductTypes types = {shape->io_type, shape->weight_type, (shape->options & TMOE_ALLOW_TF32) != 0, false};
    GroupedProduct product{};
    product.input = x;
    product.weight = weight;
    product.bias = bias;
    product.rows = shape->rows;
    product.groups = 1;
    product.k = shape->input;
    product.columns = shape->output;
    product.output = y;
    product.output_type = shape->io_type;
    if (needs_conversion(*shape)) {
        const Conversion conversion = {x, workspace, shape->rows * shape->input, shape->io_type, shape->weight_type};
        if (const tmoe_status status = launch_conversion(conversion, device, stream)) return status;
        product.input = workspace;
        types.input = shape->weight_type;
    }
    ProductPlan plan;
    if (const tmoe_status status = plan_product(product, types, device, most_parts(*shape), kLeastSteps, &plan)) return status;
    if (plan.parts == 1) return launch_product(plan, product, stream);

    product.output = static_cast<char *>(workspace) + converted_bytes(*shape);
    product.output_type = TMOE_FLOAT32;
    product.split_stride = shape->rows * shape->output;
    if (const tmoe_status status = launch_product(plan, product, stream)) return status;
    return launch_row_sums({product.output, TMOE_FLOAT32, plan.parts, product.split_stride, nullptr, 1, shape->rows, shape->output, y,
                            shape->io_type, nullptr},
                           stream);
}
