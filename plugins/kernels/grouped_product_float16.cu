// Grouped products of float16: tensor cores on every device.
#include "grouped_product_tiles.cuh"

namespace tmoe {

ProductKernels float16_kernels(const ProductTypes &types, const Device &) { return tensor_kernels16<float16>(types); }

}  // namespace tmoe
