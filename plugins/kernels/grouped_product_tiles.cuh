// The tiles of the product kernels, and their table entries.
//
// A tile of M x N loads M + N values for each k and multiplies M x N: large ones are for many rows. Shared memory is what lets two
// blocks share a multiprocessor where a block has no more than 99 KiB (sm_86, sm_89, sm_120), and all of them but the widest fit
// the 64 KiB of sm_75.
#pragma once

#include "common/gemm.cuh"
#include "grouped_product.cuh"

namespace tmoe {

// rows, columns, k, warps by rows, warps by columns, steps in shared memory
using SmallTile = Tile<32, 64, 64, 2, 2, 4>;
using MediumTile = Tile<64, 128, 32, 2, 2, 3>;
using LargeTile = Tile<128, 128, 32, 4, 2, 3>;
using WideTile = Tile<128, 256, 32, 2, 4, 3>;
// Where the left matrix takes twice the room.
using SmallMixedTile = Tile<32, 64, 64, 2, 2, 3>;

template <class Product, bool Gated>
constexpr ProductKernel product_kernel() {
    using Tile = typename Product::Tile;
    return {multiply_groups<Product, Gated>,
            Tile::M,
            Gated ? Tile::N / 2 : Tile::N,
            Tile::K,
            Tile::N,
            Tile::kThreads,
            std::size_t(kSharedBytes<Product, Gated>),
            Loader<Product, Gated>::kTakesRagged};
}

template <int Count>
constexpr ProductKernels product_kernels(const ProductKernel (&kernels)[Count]) {
    return {kernels, Count};
}

// Of one type of 16 bits on tensor cores.
template <class T>
ProductKernels tensor_kernels16(const ProductTypes &types) {
    static const ProductKernel gated[] = {
        product_kernel<TensorProduct16<T, T, SmallTile>, true>(), product_kernel<TensorProduct16<T, T, MediumTile>, true>(),
        product_kernel<TensorProduct16<T, T, LargeTile>, true>(), product_kernel<TensorProduct16<T, T, WideTile>, true>()};
    static const ProductKernel plain[] = {
        product_kernel<TensorProduct16<T, T, SmallTile>, false>(), product_kernel<TensorProduct16<T, T, MediumTile>, false>(),
        product_kernel<TensorProduct16<T, T, LargeTile>, false>(), product_kernel<TensorProduct16<T, T, WideTile>, false>()};
    static const ProductKernel mixed[] = {product_kernel<TensorProduct16<T, float, SmallMixedTile>, false>(),
                                          product_kernel<TensorProduct16<T, float, MediumTile>, false>(),
                                          product_kernel<TensorProduct16<T, float, LargeTile>, false>()};
    if (types.gated) return product_kernels(gated);
    return types.input == TMOE_FLOAT32 ? product_kernels(mixed) : product_kernels(plain);
}

}  // namespace tmoe
