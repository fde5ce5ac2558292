// Linear layers against float64.
//
// On the emulator, from plugins/:
//   g++ -std=c++17 -O2 -I tests/emulator -I tests -I kernels -o linear_test -x c++ tests/linear_test.cpp
//       kernels/linear.cu kernels/grouped_product*.cu kernels/status.cu tests/emulator/emulator/*.cpp tests/support/*.cpp
// On a GPU: nvcc -std=c++17 -O3 -arch=native -I tests -I kernels -x cu, and the same files without the emulator's.
#include "linear_reference.h"

#include <string>

#include "support/test.h"
#include "support/tolerance.h"

namespace tmoe::test {
namespace {

constexpr tmoe_type kTypes[] = {TMOE_FLOAT32, TMOE_FLOAT16, TMOE_BFLOAT16};

std::string describe(const tmoe_linear_shape &shape, bool has_bias) {
    return std::to_string(shape.rows) + " rows, " + std::to_string(shape.input) + " to " + std::to_string(shape.output) + ", " +
           type_name(tmoe_type(shape.io_type)) + " with " + type_name(tmoe_type(shape.weight_type)) +
           (shape.options & TMOE_ALLOW_TF32 ? " (tf32)" : "") + (has_bias ? ", bias" : "");
}

void expect_linear(Run &run, const tmoe_linear_shape &shape, bool has_bias) {
    const std::size_t input = std::size_t(shape.input), output = std::size_t(shape.output), rows = std::size_t(shape.rows);
    const tmoe_type io = tmoe_type(shape.io_type), type = tmoe_type(shape.weight_type);
    const std::vector<float> x = rounded(io, run.random.normals(rows * input));
    const std::vector<float> weight = rounded(type, run.random.normals(input * output, 1.0 / std::sqrt(double(input))));
    const std::vector<float> bias = run.random.normals(has_bias ? output : 0);
    const TypedBuffer device_x(io, x), device_weight(type, weight), y(io, rows * output);
    const DeviceBuffer<float> device_bias(bias);
    const DeviceBuffer<unsigned char> workspace(tmoe_linear_workspace(&shape));
    const auto launch = [&](std::size_t bytes) {
        return tmoe_linear(&shape, device_x.data(), device_weight.data(), device_bias.data(), y.data(), workspace.data(), bytes, nullptr);
    };
    const std::string name = describe(shape, has_bias);
    if (workspace.size() > 0) run.expect_status(name.c_str(), launch(workspace.size() - 1), TMOE_WORKSPACE_TOO_SMALL);
    if (!run.expect_ok(name.c_str(), launch(workspace.size()))) return;
    // One rounding of y comes on top of what the product loses.
    Tolerance tolerance = product_tolerance(shape.weight_type, shape.options & TMOE_ALLOW_TF32);
    if (unit_roundoff(io) > tolerance.relative) tolerance.relative = unit_roundoff(io);
    run.expect_close(name.c_str(), y.download(), linear(x, weight, bias, shape.rows, input, output), tolerance);
}

TMOE_CASES(cases) {
    for (const tmoe_type io : kTypes)
        for (const tmoe_type type : kTypes) {
            const std::string types = std::string(type_name(io)) + " with " + type_name(type);
            cases.add("few rows, " + types, 0, [=](Run &run) {
                for (const int rows : {1, 2, 3, 5, 8})
                    for (const int output : {1, 7, 8, 12, 33, 96})
                        expect_linear(run, {rows, 8 * int(run.random.below(12) + 1), output, io, type, 0}, run.random.below(2) == 0);
                expect_linear(run, {2, 1200, 40, io, type, 0}, true);
            });
            cases.add("many rows, " + types, 0, [=](Run &run) {
                for (const int rows : {9, 31, 32, 70, 130})
                    for (const int output : {1, 7, 8, 12, 33, 64, 136})
                        expect_linear(run, {rows, 8 * int(run.random.below(12) + 1), output, io, type, 0}, run.random.below(2) == 0);
            });
            // 16 steps or more for each of few tiles.
            cases.add("a divided k, " + types, 0, [=](Run &run) {
                for (const int rows : {9, 40, 100})
                    for (const bool has_bias : {false, true}) expect_linear(run, {rows, 1032, 48, io, type, 0}, has_bias);
            });
        }
    for (const tmoe_type io : kTypes)
        cases.add(std::string("TF32, ") + type_name(io), 0, [=](Run &run) {
            for (const int rows : {3, 9, 70})
                for (const int output : {1, 6, 64, 140}) expect_linear(run, {rows, 136, output, io, TMOE_FLOAT32, TMOE_ALLOW_TF32}, true);
            expect_linear(run, {20, 1032, 48, io, TMOE_FLOAT32, TMOE_ALLOW_TF32}, true);
        });
}

TMOE_CASE("no rows launch nothing, and sizes that make no sense are refused") {
    const DeviceBuffer<float> floats(64);
    const auto status = [&](tmoe_linear_shape shape) {
        return tmoe_linear(&shape, floats.data(), floats.data(), nullptr, floats.data(), floats.data(), 1 << 30, nullptr);
    };
    run.expect_ok("no rows", status({0, 8, 8, 0, 0, 0}));
    for (const tmoe_linear_shape shape :
         {tmoe_linear_shape{-1, 8, 8, 0, 0, 0}, {1, 0, 8, 0, 0, 0}, {1, 12, 8, 0, 0, 0}, {1, 8, 0, 0, 0, 0}, {1, 8, 8, 3, 0, 0}, {1, 8, 8, 0, -1, 0}, {1, 8, 8, 0, 0, 2}}) {
        run.expect_status("a size", status(shape), TMOE_INVALID_ARGUMENT);
        run.expect(tmoe_linear_workspace(&shape) == 0, "a workspace for what is refused");
    }
    const tmoe_linear_shape shape = {1, 8, 8, 0, 0, 0};
    run.expect_status("null", tmoe_linear(&shape, nullptr, floats.data(), nullptr, floats.data(), nullptr, 0, nullptr), TMOE_INVALID_ARGUMENT);
}

TMOE_CASE("what is not a number stays in its row") {
    for (const int rows : {4, 20}) {
        const tmoe_linear_shape shape = {rows, 64, 48, TMOE_FLOAT32, TMOE_BFLOAT16, 0};
        std::vector<float> x = run.random.normals(std::size_t(rows) * 64);
        x[2 * 64 + 5] = NAN;
        const TypedBuffer device_x(TMOE_FLOAT32, x), weight(TMOE_BFLOAT16, run.random.normals(64 * 48)), y(TMOE_FLOAT32, std::size_t(rows) * 48);
        const DeviceBuffer<unsigned char> workspace(tmoe_linear_workspace(&shape));
        run.expect_ok("tmoe_linear", tmoe_linear(&shape, device_x.data(), weight.data(), nullptr, y.data(), workspace.data(), workspace.size(), nullptr));
        const std::vector<float> values = y.download();
        for (std::size_t i = 0; i < values.size(); ++i)
            run.expect(std::isnan(values[i]) == (i / 48 == 2), "y[%zu] is %g", i, double(values[i]));
    }
}

}  // namespace
}  // namespace tmoe::test
