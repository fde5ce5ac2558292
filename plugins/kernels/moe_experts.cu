// A mixture of experts: routing, the experts' products, and the sum over a token's experts.
//
// Floors, for T tokens, k of E experts, hidden H, ffn F, weights of b bytes, x and y of c:
//   bytes         3 E' H F b for the E' experts that have rows, 2 c T H for x and y, 2 b T k F for what lies between the products,
//                 and where k > 1 2 b T k H for the rows before they are added up
//   operations    6 T k H F
//   Time-MoE 50M (H 384, F 768, 8 experts, top-2), bfloat16 weights, float32 x and y:
//     T = 64      14 MB of weights, 0.8 MB of the rest: 4.4 microseconds at 3.35 TB/s
//     T = 16384   14 MB, 50 MB, 101 MB, 50 MB: 64 microseconds; 58 GFLOP: 59 at 990 TFLOP/s
//
// Launches, for more than kFewTokens tokens (fewer: moe_experts_few_tokens.cu):
//   1. routing (one or two), which also converts x to the weights' type: blocks of the products read it many times, so that twice
//      the bytes each time would cost more than once writing it. With one expert there is nothing to route.
//   2. gate and up: rows are gathered by their tokens while tiles are loaded; a block has the same columns of both, so that
//      act(gate) * up, rounded to the weights' type, is all that is written
//   3. down: rows times their weights. With one expert for each token rows go to y, plus the addend; nothing else is written to
//      them
//   4. otherwise a sum over each token's rows, in the order of its slots, plus the addend. Rows have the weights' type: float32
//      would move twice the bytes for digits that the products have lost already. Where few tiles make it worth while to divide
//      ffn, the parts' rows are float32, and this is where they are added up.
//
// Compile and run alone: see plugins/tests/moe_experts_test.cpp.
#include "common/launch.cuh"
#include "common/workspace.cuh"
#include "grouped_product.cuh"
#include "moe_experts_few_tokens.cuh"
#include "moe_routing.cuh"

namespace tmoe {
namespace {

// Rows of all parts of ffn, at most, unless there are more rows than that; parts have four steps at least.
constexpr int kRowsOfParts = 2048;
constexpr int kMostParts = 8;
constexpr int kLeastSteps = 4;

tmoe_routing_shape routing_of(const tmoe_moe_shape &shape) {
    return {shape.tokens, shape.experts, shape.top_k, shape.normalize_top_k, shape.scoring};
}

bool is_valid(const tmoe_moe_shape &shape) {
    return is_valid_routing(routing_of(shape)) && shape.hidden > 0 && shape.hidden % 8 == 0 && shape.ffn > 0 && shape.ffn % 8 == 0 &&
           shape.activation >= TMOE_SILU && shape.activation <= TMOE_RELU && is_type(shape.io_type) && is_type(shape.weight_type) &&
           (shape.options & ~TMOE_ALLOW_TF32) == 0;
}

// The columns of gate and up are counted in int32.
bool is_supported(const tmoe_moe_shape &shape) { return is_supported_routing(routing_of(shape)) && shape.ffn <= INT32_MAX / 2; }

RowScoring row_scoring(const tmoe_moe_shape &shape) {
    if (shape.scoring == TMOE_SOFTMAX) return RowScoring::Softmax;
    return shape.normalize_top_k != 0 ? RowScoring::NormalizedSigmoid : RowScoring::Sigmoid;
}

int most_parts(const tmoe_moe_shape &shape) {
    const std::int64_t rows = shape.tokens * shape.top_k, parts = rows > 0 ? kRowsOfParts / rows : 1;
    return int(parts < 1 ? 1 : parts > kMostParts ? kMostParts : parts);
}

struct Buffers {
    std::int32_t *expert_offsets, *row_token, *slot_row;
    float *row_weight;
    char *routing;
    char *x;          // [tokens, hidden], weight_type
    char *inner;      // [rows, ffn], weight_type
    char *outputs;    // [rows, hidden], weight_type, or [parts, rows, hidden], float32
    std::size_t bytes;
};

Buffers buffers_in(void *workspace, const tmoe_moe_shape &shape) {
    Workspace memory(workspace);
    Buffers buffers{};
    const std::size_t tokens = std::size_t(shape.tokens), slots = tokens * shape.top_k;
    const std::size_t width = std::size_t(bytes_of_type(shape.weight_type));
    if (shape.experts > 1) {
        const tmoe_routing_shape routing = routing_of(shape);
        buffers.expert_offsets = memory.take<std::int32_t>(std::size_t(shape.experts) + 1);
        buffers.row_token = memory.take<std::int32_t>(slots);
        buffers.row_weight = memory.take<float>(slots);
        buffers.slot_row = memory.take<std::int32_t>(slots);
        buffers.routing = memory.take<char>(tmoe_moe_routing_workspace(&routing));
    }
    if (shape.io_type != shape.weight_type) buffers.x = memory.take<char>(tokens * shape.hidden * width);
    buffers.inner = memory.take<char>(slots * shape.ffn * width);
    const int parts = most_parts(shape);
    const std::size_t of_parts = parts > 1 ? std::size_t(parts) * slots * shape.hidden * 4 : 0;
    const std::size_t whole = shape.top_k > 1 ? slots * shape.hidden * width : 0;
    buffers.outputs = memory.take<char>(of_parts > whole ? of_parts : whole);
    buffers.bytes = memory.used();
    return buffers;
}

tmoe_status many_tokens_moe(const tmoe_moe_shape &shape, const void *x, const float *router_logits, const void *gate_up,
                            const void *down, const void *addend, void *y, void *workspace, const Device &device, tmoe_stream stream) {
    const Buffers buffers = buffers_in(workspace, shape);
    const bool routes = shape.experts > 1, converts = shape.io_type != shape.weight_type;
    const std::int64_t rows = shape.tokens * shape.top_k;
    Conversion conversion{};
    if (converts) conversion = {x, buffers.x, shape.tokens * shape.hidden, shape.io_type, shape.weight_type};

    // Before anything is launched: it may refuse.
    GroupedProduct first{};
    first.input = converts ? buffers.x : x;
    first.input_rows = buffers.row_token;
    first.weight = gate_up;
    first.offsets = buffers.expert_offsets;
    first.rows = rows;
    first.groups = shape.experts;
    first.k = shape.hidden;
    first.columns = shape.ffn;
    first.activation = shape.activation;
    first.output = buffers.inner;
    first.output_type = shape.weight_type;
    ProductTypes types = {shape.weight_type, shape.weight_type, (shape.options & TMOE_ALLOW_TF32) != 0, true};
    ProductPlan first_plan;
    if (const tmoe_status status = plan_product(first, types, device, 1, 1, &first_plan)) return status;

    GroupedProduct second{};
    second.input = buffers.inner;
    second.weight = down;
    second.offsets = buffers.expert_offsets;
    second.rows = rows;
    second.groups = shape.experts;
    second.k = shape.ffn;
    second.columns = shape.hidden;
    second.row_weights = buffers.row_weight;
    second.row_logits = routes ? nullptr : router_logits;
    second.row_scoring = row_scoring(shape);
    types.gated = false;
    ProductPlan second_plan;
    if (const tmoe_status status = plan_product(second, types, device, most_parts(shape), kLeastSteps, &second_plan)) return status;
    const bool sums = shape.top_k > 1 || second_plan.parts > 1;
    second.output = sums ? buffers.outputs : y;
    second.output_type = !sums ? shape.io_type : second_plan.parts > 1 ? std::int32_t(TMOE_FLOAT32) : shape.weight_type;
    second.output_rows = sums ? nullptr : buffers.row_token;
    second.addend = sums ? nullptr : addend;
    second.split_stride = rows * shape.hidden;

    if (routes) {
        RoutingErrands errands{};
        errands.conversion = conversion;
        errands.unused_rows = sums ? nullptr : y;
        errands.unused_from = addend;
        errands.unused_row_bytes = std::int64_t(shape.hidden) * bytes_of_type(shape.io_type);
        if (const tmoe_status status = route(routing_of(shape), router_logits, buffers.expert_offsets, buffers.row_token,
                                             buffers.row_weight, buffers.slot_row, buffers.routing, errands, stream))
            return status;
    } else if (const tmoe_status status = launch_conversion(conversion, device, stream)) {
        return status;
    }
    if (const tmoe_status status = launch_product(first_plan, first, stream)) return status;
    if (const tmoe_status status = launch_product(second_plan, second, stream)) return status;
    if (!sums) return TMOE_OK;
    return launch_row_sums({second.output, second.output_type, second_plan.parts, second.split_stride, buffers.slot_row, shape.top_k,
                            shape.tokens, shape.hidden, y, shape.io_type, addend},
                           stream);
}

}  // namespace
}  // namespace tmoe

using namespace tmoe;

extern "C" size_t tmoe_sparse_moe_workspace(const tmoe_moe_shape *shape) {
    if (shape == nullptr || !is_valid(*shape) || !is_supported(*shape) || shape->tokens == 0) return 0;
    return shape->tokens <= kFewTokens ? few_tokens_workspace(*shape) : buffers_in(nullptr, *shape).bytes;
}

extern "C" tmoe_status tmoe_sparse_moe(const tmoe_moe_shape *shape, const void *x, const float *router_logits, const void *gate_up,
                                       const void *down, const void *addend, void *y, void *workspace, size_t workspace_bytes,
                                       tmoe_stream stream) {
    if (shape == nullptr || !is_valid(*shape)) return TMOE_INVALID_ARGUMENT;
    if (!is_supported(*shape)) return TMOE_UNSUPPORTED;
    if (shape->tokens == 0) return TMOE_OK;
    if (!x || !router_logits || !gate_up || !down || !y || !workspace) return TMOE_INVALID_ARGUMENT;
    if (workspace_bytes < tmoe_sparse_moe_workspace(shape)) return TMOE_WORKSPACE_TOO_SMALL;
    Device device;
    if (const cudaError_t error = current_device(&device)) return error;
    const auto run = shape->tokens <= kFewTokens ? few_tokens_moe : many_tokens_moe;
    return run(*shape, x, router_logits, gate_up, down, addend, y, workspace, device, stream);
}
