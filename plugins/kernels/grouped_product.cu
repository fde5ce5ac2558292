// Grouped products: the choice of a tile, sums of rows, conversions.
//
// Floors: a sum of rows reads and writes every value once, (rows_each x parts) / output row and one; so does a conversion. Those of
// the products stand in moe_experts.cu and linear.cu.
//
// Compile and run alone: see plugins/tests/grouped_product_test.cu.
#include "grouped_product.cuh"

#include "common/launch.cuh"
#include "common/numeric.cuh"

namespace tmoe {
namespace {

constexpr int kThreads = 256;

ProductKernels kernels_of(const ProductTypes &types, const Device &device) {
    if (types.weight == TMOE_FLOAT32) return float32_kernels(types, device);
    return types.weight == TMOE_FLOAT16 ? float16_kernels(types, device) : bfloat16_kernels(types, device);
}

// Tiles if the rows are spread evenly over the groups.
std::int64_t likely_tiles(const GroupedProduct &product, const ProductKernel &kernel) {
    const std::int64_t groups = product.rows < product.groups ? product.rows : product.groups;
    const std::int64_t each = (product.rows + groups - 1) / groups;
    const std::int64_t columns = (product.columns + kernel.tile_columns - 1) / kernel.tile_columns;
    return groups * ((each + kernel.tile_rows - 1) / kernel.tile_rows) * columns;
}

// How long the busiest multiprocessor takes, in products for each k: those of a tile, and what loading its operands delays them.
std::int64_t likely_time(const GroupedProduct &product, const ProductKernel &kernel, const Device &device) {
    constexpr std::int64_t kProductsPerLoad = 64;
    const std::int64_t turns = (likely_tiles(product, kernel) + device.multiprocessors - 1) / device.multiprocessors;
    const std::int64_t rows = kernel.tile_rows, columns = kernel.loaded_columns;
    return turns * (rows * columns + kProductsPerLoad * (rows + columns));
}

}  // namespace

tmoe_status plan_product(const GroupedProduct &product, const ProductTypes &types, const Device &device, int most_parts,
                         int least_steps, ProductPlan *plan) {
    *plan = {{}, 1, product.k};
    if (product.rows == 0) return TMOE_OK;
    const bool weighted = product.row_weights != nullptr || product.row_logits != nullptr || product.addend != nullptr;
    if (types.input != types.weight && weighted) return TMOE_INVALID_ARGUMENT;
    const ProductKernels kernels = kernels_of(types, device);
    const bool ragged = product.columns % (types.weight == TMOE_FLOAT32 ? 4 : 8) != 0;
    const ProductKernel *best = nullptr;
    std::int64_t best_time = 0;
    for (int i = 0; i < kernels.count; ++i) {
        const ProductKernel &kernel = kernels.first[i];
        if (kernel.shared_bytes > std::size_t(device.max_shared_bytes) || (ragged && !kernel.takes_ragged)) continue;
        const std::int64_t time = likely_time(product, kernel, device);
        if (best == nullptr || time < best_time) {
            best = &kernel;
            best_time = time;
        }
    }
    if (best == nullptr) return TMOE_UNSUPPORTED;
    plan->kernel = *best;

    const std::int64_t column_tiles = (product.columns + best->tile_columns - 1) / best->tile_columns;
    if (most_row_tiles(product, best->tile_rows) > INT32_MAX / column_tiles) return TMOE_UNSUPPORTED;

    const int steps = (product.k + best->tile_k - 1) / best->tile_k;
    std::int64_t parts = device.multiprocessors / likely_tiles(product, *best);
    if (parts > steps / least_steps) parts = steps / least_steps;
    if (parts > most_parts) parts = most_parts;
    if (parts > 1) {
        plan->part_k = int((steps + parts - 1) / parts) * best->tile_k;
        plan->parts = (product.k + plan->part_k - 1) / plan->part_k;
    }
    return TMOE_OK;
}

tmoe_status launch_product(const ProductPlan &plan, GroupedProduct product, tmoe_stream stream) {
    if (product.rows == 0) return TMOE_OK;
    const ProductKernel &kernel = plan.kernel;
    product.column_tiles = (product.columns + kernel.tile_columns - 1) / kernel.tile_columns;
    product.split_k = plan.part_k;
    const std::int64_t tiles = most_row_tiles(product, kernel.tile_rows) * product.column_tiles;
    return launch(kernel.function, dim3(unsigned(tiles), unsigned(plan.parts)), dim3(unsigned(kernel.threads)), kernel.shared_bytes,
                  stream, product);
}

namespace {

constexpr int kColumnsAtOnce = 8;

__global__ void __launch_bounds__(kThreads) sum_rows(const RowSums sums) {
    const std::int64_t number = std::int64_t(blockIdx.x) * kThreads + threadIdx.x;
    const std::int64_t row = number / (sums.columns / kColumnsAtOnce);
    const std::int64_t column = number % (sums.columns / kColumnsAtOnce) * kColumnsAtOnce;
    if (row >= sums.output_rows) return;
    float total[kColumnsAtOnce] = {};
    for (int i = 0; i < sums.rows_each; ++i) {
        const std::int64_t from = sums.rows != nullptr ? sums.rows[row * sums.rows_each + i] : row;
        if (from < 0) continue;
#pragma unroll 4
        for (int part = 0; part < sums.parts; ++part) {
            float values[kColumnsAtOnce];
            load_floats_of(sums.type, sums.values, part * sums.part_stride + from * sums.columns + column, values);
#pragma unroll
            for (int j = 0; j < kColumnsAtOnce; ++j) total[j] += values[j];
        }
    }
    if (sums.addend != nullptr) {
        float added[kColumnsAtOnce];
        load_floats_of(sums.output_type, sums.addend, row * sums.columns + column, added);
#pragma unroll
        for (int j = 0; j < kColumnsAtOnce; ++j) total[j] += added[j];
    }
    store_floats_of(sums.output_type, sums.output, row * sums.columns + column, total);
}

__global__ void __launch_bounds__(kThreads) convert_all(const Conversion conversion) { convert(conversion, blockIdx.x, gridDim.x); }

}  // namespace

tmoe_status launch_row_sums(const RowSums &sums, tmoe_stream stream) {
    const std::int64_t threads = sums.output_rows * (sums.columns / kColumnsAtOnce), blocks = (threads + kThreads - 1) / kThreads;
    if (blocks == 0) return TMOE_OK;
    if (blocks > INT32_MAX) return TMOE_UNSUPPORTED;
    return launch(sum_rows, dim3(unsigned(blocks)), dim3(kThreads), 0, stream, sums);
}

tmoe_status launch_conversion(const Conversion &conversion, const Device &device, tmoe_stream stream) {
    const int blocks = conversion_blocks(conversion.count, kThreads, device.multiprocessors);
    if (blocks == 0) return TMOE_OK;
    return launch(convert_all, dim3(unsigned(blocks)), dim3(kThreads), 0, stream, conversion);
}

}  // namespace tmoe
