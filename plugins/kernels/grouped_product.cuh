// Grouped products from the host: which kernels there are, which one suits the sizes, and the launch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/device.cuh"
#include "common/gemm_groups.cuh"
#include "common/gemm_types.cuh"
#include "tmoe_kernels.h"

namespace tmoe {

// An instance of the kernel.
struct ProductKernel {
    void (*function)(GroupedProduct);
    int tile_rows, tile_columns, tile_k;    // columns of the output
    int loaded_columns;                     // columns of the matrix: twice as many where it is gated
    int threads;
    std::size_t shared_bytes;
    bool takes_ragged;                      // any number of columns
};

// Instances from the smallest tile to the largest.
struct ProductKernels {
    const ProductKernel *first;
    int count;
};

// What a product computes with.
struct ProductTypes {
    std::int32_t input;     // weight, or float32 where weights have 16 bits and the product is not gated
    std::int32_t weight;
    bool tf32;              // float32 may be rounded to TF32
    bool gated;
};

// One file each.
ProductKernels float32_kernels(const ProductTypes &types, const Device &device);
ProductKernels float16_kernels(const ProductTypes &types, const Device &device);
ProductKernels bfloat16_kernels(const ProductTypes &types, const Device &device);

struct ProductPlan {
    ProductKernel kernel;
    int parts;              // of k, each with an output of its own
    std::int32_t part_k;
};

// Chooses by the sizes in `product`; k is divided into at most `most_parts`, of `least_steps` steps at least. TMOE_UNSUPPORTED
// where no kernel fits, or there are too many tiles.
tmoe_status plan_product(const GroupedProduct &product, const ProductTypes &types, const Device &device, int most_parts,
                         int least_steps, ProductPlan *plan);

// Launches nothing for no rows.
tmoe_status launch_product(const ProductPlan &plan, GroupedProduct product, tmoe_stream stream);

// output[r] = addend[r] + sum of the parts of the rows rows[r][0], rows[r][1], ...
struct RowSums {
    const void *values;          // [parts, .., columns]
    std::int32_t type;
    int parts;
    std::int64_t part_stride;    // elements
    const std::int32_t *rows;    // [output rows, rows_each], negative for none; null: row r itself
    int rows_each;
    std::int64_t output_rows;
    int columns;                 // a multiple of 8
    void *output;
    std::int32_t output_type;
    const void *addend;          // as the output, or null
};
tmoe_status launch_row_sums(const RowSums &sums, tmoe_stream stream);

tmoe_status launch_conversion(const Conversion &conversion, const Device &device, tmoe_stream stream);

}  // namespace tmoe
