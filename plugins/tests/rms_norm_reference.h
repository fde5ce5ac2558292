// Sum and RMSNorm in float64.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tmoe::test {

struct RmsNormSolution {
    std::vector<double> sum, y;
};

// `residual` may be empty.
inline RmsNormSolution add_rms_norm(std::int64_t rows, std::int64_t hidden, double epsilon, const std::vector<float> &x,
                                    const std::vector<float> &residual, const std::vector<float> &weight) {
    RmsNormSolution solution;
    for (std::int64_t row = 0; row < rows; ++row) {
        double squares = 0.0;
        for (std::int64_t i = 0; i < hidden; ++i) {
            const std::size_t at = std::size_t(row * hidden + i);
            const double sum = double(x[at]) + (residual.empty() ? 0.0 : double(residual[at]));
            solution.sum.push_back(sum);
            squares += sum * sum;
        }
        for (std::int64_t i = 0; i < hidden; ++i) {
            const double sum = solution.sum[std::size_t(row * hidden + i)];
            solution.y.push_back(sum / std::sqrt(squares / double(hidden) + epsilon) * double(weight[std::size_t(i)]));
        }
    }
    return solution;
}

}  // namespace tmoe::test
