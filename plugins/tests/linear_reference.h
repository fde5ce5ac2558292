// Matrix products in float64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tmoe::test {

// One row of `input` times `weight` [input.size(), columns], which begins at `first` of `weights`.
inline std::vector<double> multiply_row(const std::vector<double> &input, const std::vector<float> &weights, std::size_t first,
                                        std::size_t columns) {
    std::vector<double> sums(columns, 0.0);
    for (std::size_t k = 0; k < input.size(); ++k)
        for (std::size_t column = 0; column < columns; ++column)
            sums[column] += input[k] * double(weights[first + k * columns + column]);
    return sums;
}

// Row `row` of [.., length].
inline std::vector<double> row_of(const std::vector<float> &values, std::int64_t row, std::size_t length) {
    const auto first = values.begin() + std::ptrdiff_t(std::size_t(row) * length);
    return {first, first + std::ptrdiff_t(length)};
}

// `bias` may be empty.
inline std::vector<double> linear(const std::vector<float> &x, const std::vector<float> &weight, const std::vector<float> &bias,
                                  std::int64_t rows, std::size_t input, std::size_t output) {
    std::vector<double> y;
    for (std::int64_t row = 0; row < rows; ++row) {
        std::vector<double> sums = multiply_row(row_of(x, row, input), weight, 0, output);
        for (std::size_t column = 0; column < output; ++column) y.push_back(sums[column] + (bias.empty() ? 0.0 : double(bias[column])));
    }
    return y;
}

}  // namespace tmoe::test
