// Grouped products of bfloat16: tensor cores from sm_80 on, float32 before.
#include "grouped_product_tiles.cuh"

namespace tmoe {
namespace {

using SmallFmaTile = Tile<32, 128, 32, 2, 2, 2>;
using LargeFmaTile = Tile<128, 128, 32, 4, 2, 2>;

ProductKernels fma_kernels(const ProductTypes &types) {
    using T = bfloat16;
    static const ProductKernel gated[] = {product_kernel<FmaProduct<T, T, SmallFmaTile>, true>(),
                                          product_kernel<FmaProduct<T, T, LargeFmaTile>, true>()};
    static const ProductKernel plain[] = {product_kernel<FmaProduct<T, T, SmallFmaTile>, false>(),
                                          product_kernel<FmaProduct<T, T, LargeFmaTile>, false>()};
    static const ProductKernel mixed[] = {product_kernel<FmaProduct<T, float, SmallFmaTile>, false>(),
                                          product_kernel<FmaProduct<T, float, LargeFmaTile>, false>()};
    if (types.gated) return product_kernels(gated);
    return types.input == TMOE_FLOAT32 ? product_kernels(mixed) : product_kernels(plain);
}

}  // namespace

ProductKernels bfloat16_kernels(const ProductTypes &types, const Device &device) {
    return device.capability >= 80 ? tensor_kernels16<bfloat16>(types) : fma_kernels(types);
}

}  // namespace tmoe
