// Sum and RMSNorm against float64.
//
// On the emulator, from plugins/:
//   g++ -std=c++17 -O2 -I tests/emulator -I tests -I kernels -o rms_norm_test -x c++ tests/rms_norm_test.cpp kernels/rms_norm.cu
//       kernels/status.cu tests/emulator/emulator/*.cpp tests/support/*.cpp
// On a GPU: nvcc -std=c++17 -O3 -arch=native -I tests -I kernels -x cu, and the same files without the emulator's.
#include "rms_norm_reference.h"

#include "support/test.h"
#include "tmoe_kernels.h"

namespace tmoe::test {
namespace {

// Outputs may lie over inputs: the sum over the residual, y over x.
void check(Run &run, std::int64_t rows, int hidden, tmoe_type type, bool has_residual, bool over_inputs) {
    const float epsilon = 1e-6f;
    const std::size_t size = std::size_t(rows * hidden);
    const auto x = rounded(type, run.random.normals(size, 2.0));
    const auto residual = has_residual ? rounded(type, run.random.normals(size, 2.0)) : std::vector<float>();
    const auto weight = run.random.normals(std::size_t(hidden));
    const auto expected = add_rms_norm(rows, hidden, epsilon, x, residual, weight);

    const tmoe_rms_norm_shape shape{rows, hidden, type, epsilon};
    const TypedBuffer device_x(type, x), device_residual(type, residual), device_sum(type, residual.size()), device_y(type, size);
    const DeviceBuffer<float> device_weight(weight);
    const TypedBuffer &sum = over_inputs ? device_residual : device_sum, &y = over_inputs ? device_x : device_y;
    run.expect_ok("status", tmoe_add_rms_norm(&shape, device_x.data(), device_residual.data(), device_weight.data(), sum.data(), y.data(), nullptr));
    // One rounding more than float32 has.
    const double tolerance = type == TMOE_FLOAT32 ? 1e-6 : unit_roundoff(type);
    run.expect_close("y", y.download(), expected.y, {tolerance});
    if (has_residual) run.expect_close("sum", sum.download(), expected.sum, {tolerance});
}

TMOE_CASES(cases) {
    for (tmoe_type type : {TMOE_FLOAT32, TMOE_FLOAT16, TMOE_BFLOAT16}) {
        for (int hidden : {1, 2, 7, 8, 33, 96, 384, 385, 768, 1020, 1024, 1025, 1028, 1032, 3001, 4096, 8191, 8192}) {
            const std::int64_t rows = hidden <= 1024 ? 19 : 3;
            for (bool has_residual : {false, true}) {
                const std::string name = std::to_string(rows) + " rows of " + std::to_string(hidden) + ", " + type_name(type) +
                                         (has_residual ? ", with a residual" : "");
                cases.add(name, 0, [=](Run &run) { check(run, rows, hidden, type, has_residual, run.random.below(2) == 0); });
            }
        }
    }
}

TMOE_CASE("a row of zeros stays zero") {
    const tmoe_rms_norm_shape shape{2, 16, TMOE_FLOAT32, 1e-6f};
    const DeviceBuffer<float> x(std::vector<float>(32, 0.0f)), weight(std::vector<float>(16, 1.0f)), y(32);
    run.expect_ok("status", tmoe_add_rms_norm(&shape, x.data(), nullptr, weight.data(), nullptr, y.data(), nullptr));
    run.expect_equal("y", y.download(), std::vector<float>(32, 0.0f));
}

TMOE_CASE("wrong arguments are refused, and no rows are none") {
    const DeviceBuffer<float> x(16), y(16);
    const auto status = [&](std::int64_t rows, int hidden, int type, const float *input) {
        const tmoe_rms_norm_shape shape{rows, hidden, type, 1e-6f};
        return tmoe_add_rms_norm(&shape, input, nullptr, x.data(), nullptr, y.data(), nullptr);
    };
    run.expect_status("no rows", status(0, 16, TMOE_FLOAT32, nullptr), TMOE_OK);
    run.expect_status("no x", status(1, 16, TMOE_FLOAT32, nullptr), TMOE_INVALID_ARGUMENT);
    run.expect_status("x not aligned", status(1, 4, TMOE_FLOAT32, x.data() + 1), TMOE_INVALID_ARGUMENT);
    run.expect_status("no elements", status(1, 0, TMOE_FLOAT32, x.data()), TMOE_INVALID_ARGUMENT);
    run.expect_status("too many elements", status(1, 8193, TMOE_FLOAT32, x.data()), TMOE_UNSUPPORTED);
    run.expect_status("type", status(1, 16, 3, x.data()), TMOE_UNSUPPORTED);
}

}  // namespace
}  // namespace tmoe::test
