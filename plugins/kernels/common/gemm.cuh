// Products of groups of rows with a matrix each: the kernel.
//
// A block finds its tile, brings the operands to shared memory kStages - 1 steps ahead of the products, and stores what its
// accumulators hold in the end. `Product` is what a warp computes with: TensorProduct16, TensorProductTf32 or FmaProduct.
#pragma once

#include <cstdint>
#include <type_traits>

#include "gemm_epilogue.cuh"
#include "gemm_fma.cuh"
#include "gemm_groups.cuh"
#include "gemm_loader.cuh"
#include "gemm_tensor.cuh"

namespace tmoe {

// The shared memory of a block: the steps, which the epilogue uses again.
template <class Product, bool Gated>
constexpr int kSharedBytes = Product::Tile::kStages *Loader<Product, Gated>::kStepBytes;

#if defined(__CUDA_ARCH__)
// What a block may have on the architecture that is compiled.
constexpr int kMaxSharedBytes = __CUDA_ARCH__ < 800 ? 64 * 1024 : 99 * 1024;
#else
constexpr int kMaxSharedBytes = 99 * 1024;
#endif

// Asks for no number of blocks, but for TF32: there the compiler rather spills a register than take more than 64.
template <class Product>
constexpr int kLeastBlocks = std::is_same_v<Product, TensorProductTf32<typename Product::Tile>> ? 1 : 0;

template <class Product, bool Gated>
__global__ void __launch_bounds__(Product::Tile::kThreads, kLeastBlocks<Product>) multiply_groups(const GroupedProduct product) {
    if constexpr (Product::kCompiled && kSharedBytes<Product, Gated> <= kMaxSharedBytes) {
        using Tile = typename Product::Tile;
        using Steps = Loader<Product, Gated>;
        constexpr int kStages = Tile::kStages;
        TMOE_DYNAMIC_SHARED(unsigned char, shared);

        const std::int64_t column_tile = blockIdx.x % unsigned(product.column_tiles);
        RowTile rows;
        if (!find_row_tile(product, blockIdx.x / unsigned(product.column_tiles), Tile::M, &rows)) return;
        const int k_begin = int(blockIdx.y) * product.split_k, k_end = min(k_begin + product.split_k, product.k);
        const int steps = (k_end - k_begin + Tile::K - 1) / Tile::K;
        const int warp_row = warp_id() / Tile::kWarpsN, warp_column = warp_id() % Tile::kWarpsN;

        Steps loader(product, rows, column_tile, k_begin, k_end);
        typename Steps::Staged staged;
#pragma unroll
        for (int i = 0; i < kStages - 1; ++i) {
            if (i < steps) {
                loader.start(shared + i * Steps::kStepBytes, &staged);
                loader.finish(shared + i * Steps::kStepBytes, staged);
            }
            async_copy_commit();
        }

        Product sums;
        const std::int64_t first_column = column_tile * Tile::N + warp_column * Tile::kWarpN;
        const bool has_bias = !Gated && product.bias != nullptr && blockIdx.y == 0;
        sums.start([&](int column) {
            return has_bias && first_column + column < product.columns ? product.bias[first_column + column] : 0.0f;
        });

        int slot = 0, next_slot = kStages - 1;
        for (int step = 0; step < steps; ++step) {
            async_copy_wait<kStages - 2>();
            // All threads' copies of this step have arrived, and nobody reads the slot that is filled next any more.
            __syncthreads();
            unsigned char *const next = shared + next_slot * Steps::kStepBytes;
            const bool fetches = step + kStages - 1 < steps;
            if (fetches) loader.start(next, &staged);
            async_copy_commit();
            const unsigned char *const now = shared + slot * Steps::kStepBytes;
            sums.multiply(reinterpret_cast<const typename Product::Input *>(now),
                          reinterpret_cast<const typename Product::Weight *>(now + Steps::kInputBytes), warp_row, warp_column);
            if (fetches) loader.finish(next, staged);
            slot = slot + 1 == kStages ? 0 : slot + 1;
            next_slot = next_slot + 1 == kStages ? 0 : next_slot + 1;
        }
        __syncthreads();
        store_tile<Product, Gated>(product, sums, rows, column_tile, shared);
    }
}

}  // namespace tmoe
