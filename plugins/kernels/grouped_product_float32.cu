// Grouped products of float32: exact ones, and such as round to TF32.
#include "grouped_product_tiles.cuh"

namespace tmoe {
namespace {

using SmallFmaTile = Tile<32, 128, 16, 2, 2, 3>;
using LargeFmaTile = Tile<128, 128, 16, 4, 2, 3>;
using SmallTf32Tile = Tile<32, 64, 32, 2, 2, 3>;
using LargeTf32Tile = Tile<128, 128, 16, 4, 2, 4>;

}  // namespace

ProductKernels float32_kernels(const ProductTypes &types, const Device &device) {
    static const ProductKernel gated[] = {product_kernel<FmaProduct<float, float, SmallFmaTile>, true>(),
                                          product_kernel<FmaProduct<float, float, LargeFmaTile>, true>()};
    static const ProductKernel plain[] = {product_kernel<FmaProduct<float, float, SmallFmaTile>, false>(),
                                          product_kernel<FmaProduct<float, float, LargeFmaTile>, false>()};
    static const ProductKernel tf32_gated[] = {product_kernel<TensorProductTf32<SmallTf32Tile>, true>(),
                                               product_kernel<TensorProductTf32<LargeTf32Tile>, true>()};
    static const ProductKernel tf32_plain[] = {product_kernel<TensorProductTf32<SmallTf32Tile>, false>(),
                                               product_kernel<TensorProductTf32<LargeTf32Tile>, false>()};
    if (types.tf32 && device.capability >= 80) return types.gated ? product_kernels(tf32_gated) : product_kernels(tf32_plain);
    return types.gated ? product_kernels(gated) : product_kernels(plain);
}

}  // namespace tmoe
