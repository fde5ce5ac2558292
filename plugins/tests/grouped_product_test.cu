// Every instance of the grouped product, whatever sizes it is chosen for, against float64.
//
// On the emulator, from plugins/:
//   g++ -std=c++17 -O2 -I tests/emulator -I tests -I kernels -o grouped_product_test -x c++ tests/grouped_product_test.cu
//       kernels/grouped_product*.cu kernels/status.cu tests/emulator/emulator/*.cpp tests/support/*.cpp
// On a GPU: nvcc -std=c++17 -O3 -arch=native -I tests -I kernels -x cu, and the same files without the emulator's.
#include "grouped_product.cuh"

#include <cmath>
#include <string>

#include "linear_reference.h"
#include "support/test.h"
#include "support/tolerance.h"

using namespace tmoe;
using namespace tmoe::test;

namespace {

struct Instances {
    ProductTypes types;
    const char *name;
    ProductKernels (*of)(const ProductTypes &, const Device &);
};

constexpr Instances kInstances[] = {
    {{TMOE_FLOAT32, TMOE_FLOAT32, false, false}, "float32", float32_kernels},
    {{TMOE_FLOAT32, TMOE_FLOAT32, false, true}, "float32, gated", float32_kernels},
    {{TMOE_FLOAT32, TMOE_FLOAT32, true, false}, "TF32", float32_kernels},
    {{TMOE_FLOAT32, TMOE_FLOAT32, true, true}, "TF32, gated", float32_kernels},
    {{TMOE_FLOAT16, TMOE_FLOAT16, false, false}, "float16", float16_kernels},
    {{TMOE_FLOAT32, TMOE_FLOAT16, false, false}, "float32 with float16", float16_kernels},
    {{TMOE_FLOAT16, TMOE_FLOAT16, false, true}, "float16, gated", float16_kernels},
    {{TMOE_BFLOAT16, TMOE_BFLOAT16, false, false}, "bfloat16", bfloat16_kernels},
    {{TMOE_FLOAT32, TMOE_BFLOAT16, false, false}, "float32 with bfloat16", bfloat16_kernels},
    {{TMOE_BFLOAT16, TMOE_BFLOAT16, false, true}, "bfloat16, gated", bfloat16_kernels},
};

double silu(double x) { return x / (1.0 + std::exp(-x)); }

// Groups of rows, of which the second has none and the others fill tiles unevenly; rows come from shuffled rows and go to others.
void expect_product(Run &run, const Instances &instances, const ProductKernel &kernel, int k, int columns, int parts, bool whole_groups) {
    const ProductTypes &types = instances.types;
    const tmoe_type input_type = tmoe_type(types.input), weight_type = tmoe_type(types.weight);
    const std::vector<std::int32_t> offsets =
        whole_groups ? std::vector<std::int32_t>{0, kernel.tile_rows, kernel.tile_rows, 2 * kernel.tile_rows}
                     : std::vector<std::int32_t>{0, 5, 5, kernel.tile_rows + 14};
    const std::size_t rows = std::size_t(offsets.back()), groups = offsets.size() - 1;
    const std::size_t matrix_columns = std::size_t(columns) * (types.gated ? 2 : 1), matrix = std::size_t(k) * matrix_columns;
    const std::vector<float> input = rounded(input_type, run.random.normals(rows * std::size_t(k)));
    const std::vector<float> weight = rounded(weight_type, run.random.normals(groups * matrix, 1.0 / std::sqrt(double(k))));
    const std::vector<float> bias = run.random.normals(std::size_t(columns)), row_weights = run.random.uniforms(rows, 0.1, 1.0);
    std::vector<std::int32_t> input_rows, output_rows;
    for (std::size_t row = 0; row < rows; ++row) {
        input_rows.push_back(std::int32_t(run.random.below(std::int64_t(rows))));
        output_rows.push_back(std::int32_t(rows - 1 - row));
    }
    // 16-bit results take another way to memory than float32.
    for (const tmoe_type output_type : {TMOE_FLOAT32, weight_type == TMOE_FLOAT32 ? TMOE_FLOAT16 : weight_type}) {
        const TypedBuffer device_input(input_type, input), device_weight(weight_type, weight);
        const DeviceBuffer<float> device_bias(bias), device_row_weights(row_weights);
        const DeviceBuffer<std::int32_t> device_offsets(offsets), device_input_rows(input_rows), device_output_rows(output_rows);
        const std::size_t elements = rows * std::size_t(columns);
        const TypedBuffer output(output_type, elements * std::size_t(parts));
        const bool weighted = !types.gated && types.input == types.weight;
        GroupedProduct product{};
        product.input = device_input.data();
        product.input_rows = device_input_rows.data();
        product.weight = device_weight.data();
        product.bias = types.gated ? nullptr : device_bias.data();
        product.offsets = device_offsets.data();
        product.rows = std::int64_t(rows);
        product.groups = int(groups);
        product.k = k;
        product.columns = columns;
        product.activation = TMOE_SILU;
        product.output = output.data();
        product.output_type = output_type;
        product.output_rows = device_output_rows.data();
        product.row_weights = weighted ? device_row_weights.data() : nullptr;
        product.split_stride = std::int64_t(elements);
        const int part_k = (k / parts + kernel.tile_k - 1) / kernel.tile_k * kernel.tile_k;
        if (!run.expect_ok("launch_product", launch_product({kernel, parts, part_k}, product, nullptr))) return;

        std::vector<double> expected(elements), found(elements);
        std::size_t group = 0;
        for (std::size_t row = 0; row < rows; ++row) {
            while (int(row) >= offsets[group + 1]) ++group;
            const std::vector<double> sums =
                multiply_row(row_of(input, input_rows[row], std::size_t(k)), weight, group * matrix, matrix_columns);
            for (std::size_t column = 0; column < std::size_t(columns); ++column)
                expected[std::size_t(output_rows[row]) * std::size_t(columns) + column] =
                    types.gated ? silu(sums[column]) * sums[std::size_t(columns) + column]
                                : (sums[column] + double(bias[column])) * (weighted ? double(row_weights[row]) : 1.0);
        }
        const std::vector<float> values = output.download();
        for (std::size_t i = 0; i < values.size(); ++i) found[i % elements] += double(values[i]);
        Tolerance tolerance = product_tolerance(weight_type, types.tf32);
        if (unit_roundoff(output_type) > tolerance.relative) tolerance.relative = unit_roundoff(output_type);
        run.expect_close(type_name(output_type), found, expected, tolerance);
    }
}

TMOE_CASES(cases) {
    for (const Instances &instances : kInstances)
        for (int number = 0; number < 4; ++number)
            cases.add(std::string(instances.name) + ", tile " + std::to_string(number + 1), 0, [=](Run &run) {
                Device device;
                if (!run.expect_ok("current_device", current_device(&device))) return;
                const ProductKernels kernels = instances.of(instances.types, device);
                if (number >= kernels.count) return;
                const ProductKernel &kernel = kernels.first[number];
                if (kernel.shared_bytes > std::size_t(device.max_shared_bytes)) return;
                const int tile = kernel.tile_columns;
                expect_product(run, instances, kernel, kernel.tile_k + 8, tile + 8, 1, false);
                expect_product(run, instances, kernel, 5 * kernel.tile_k, tile, 1, true);
                expect_product(run, instances, kernel, 8, 8, 1, false);
                if (!instances.types.gated) expect_product(run, instances, kernel, 3 * kernel.tile_k + 16, tile - 8, 2, false);
                if (kernel.takes_ragged && !instances.types.gated) {
                    expect_product(run, instances, kernel, kernel.tile_k, 1, 1, false);
                    expect_product(run, instances, kernel, 2 * kernel.tile_k + 8, tile + 5, 1, false);
                }
            });
}

TMOE_CASE("a row's weight of zero gives zeros, whatever the row holds") {
    Device device;
    if (!run.expect_ok("current_device", current_device(&device))) return;
    const ProductTypes types = {TMOE_FLOAT32, TMOE_FLOAT32, false, false};
    const std::vector<float> logits = {0.5f, -INFINITY, NAN, INFINITY};
    std::vector<float> input(4 * 8, 1.0f);
    input[8] = NAN;
    const TypedBuffer device_input(TMOE_FLOAT32, input), weight(TMOE_FLOAT32, std::vector<float>(8 * 8, 0.5f)), output(TMOE_FLOAT32, 4 * 8);
    const DeviceBuffer<float> device_logits(logits);
    GroupedProduct product{};
    product.input = device_input.data();
    product.weight = weight.data();
    product.rows = 4;
    product.groups = 1;
    product.k = product.columns = 8;
    product.output = output.data();
    product.row_logits = device_logits.data();
    ProductPlan plan;
    run.expect_ok("plan_product", plan_product(product, types, device, 1, 1, &plan));
    run.expect_ok("launch_product", launch_product(plan, product, nullptr));
    std::vector<float> expected;
    for (const float value : {4.0f, 0.0f, float(NAN), 4.0f}) expected.insert(expected.end(), 8, value);
    run.expect_equal("output", output.download(), expected);
}

TMOE_CASE("float32 rows by 16-bit weights have neither weights nor an addend") {
    const Device device = {90, 132, 227 * 1024};
    const ProductTypes types = {TMOE_FLOAT32, TMOE_BFLOAT16, false, false};
    const float value = 0.0f;
    GroupedProduct plain{};
    plain.rows = 4;
    plain.groups = 1;
    plain.k = plain.columns = 8;
    GroupedProduct weighted = plain, scored = plain, added = plain;
    weighted.row_weights = scored.row_logits = &value;
    added.addend = &value;
    ProductPlan plan;
    run.expect_ok("plan_product", plan_product(plain, types, device, 1, 1, &plan));
    for (const GroupedProduct &product : {weighted, scored, added}) {
        const tmoe_status status = plan_product(product, types, device, 1, 1, &plan);
        run.expect(status == TMOE_INVALID_ARGUMENT, "plan_product gives %d", int(status));
    }
}

TMOE_CASE("the tile grows with the rows") {
    const Device device = {90, 132, 227 * 1024};
    const ProductTypes types = {TMOE_BFLOAT16, TMOE_BFLOAT16, false, true};
    int last = 0;
    for (const std::int64_t rows : {20, 128, 1024, 4096, 32768}) {
        GroupedProduct product{};
        product.rows = rows;
        product.groups = 8;
        product.k = 384;
        product.columns = 768;
        ProductPlan plan;
        run.expect_ok("plan_product", plan_product(product, types, device, 1, 1, &plan));
        const int tile = plan.kernel.tile_rows * plan.kernel.loaded_columns;
        run.expect(tile >= last, "%lld rows have tiles of %d, fewer had %d", (long long)rows, tile, last);
        last = tile;
    }
    run.expect(last == 128 * 256, "32768 rows have tiles of %d", last);
}

}  // namespace
