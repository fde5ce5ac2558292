// Attention in float64, straight from the definition, and problems to solve with it. It knows nothing of the kernels.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/element_types.h"
#include "support/random.h"
#include "tmoe_kernels.h"

namespace tmoe::test {

enum class Masking { Nothing, LeftPadding, Holes, MostlyHoles, Everything };

inline const char *masking_name(Masking masking) {
    switch (masking) {
        case Masking::Nothing: return "no mask";
        case Masking::LeftPadding: return "left padding";
        case Masking::Holes: return "holes";
        case Masking::MostlyHoles: return "mostly holes";
        default: return "everything masked";
    }
}

// Values as the kernels read them: rounded to the types of the shape.
struct AttentionProblem {
    tmoe_attention_shape shape;
    std::vector<float> q, k, v;                      // as in tmoe_kernels.h
    std::vector<float> past_key, past_value;         // [batch, kv_heads, past, head_dim]
    std::vector<std::int64_t> mask;                  // [batch, past + sequence]

    std::int64_t total() const { return shape.past + shape.sequence; }
    bool real(std::int64_t series, std::int64_t point) const { return mask[std::size_t(series * total() + point)] > 0; }
};

struct AttentionSolution {
    std::vector<double> y;
    std::vector<double> present_key, present_value;  // [batch, kv_heads, past + sequence, head_dim], not rounded
};

// Whatever may lie in a cache where no real point is.
inline float garbage(Random &random) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const float values[] = {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, 57344.0f, -57344.0f};
    return values[random.below(5)];
}

// Points that the mask hides hold garbage.
inline AttentionProblem make_attention_problem(const tmoe_attention_shape &shape, Masking masking, Random &random) {
    AttentionProblem problem{};
    problem.shape = shape;
    const std::int64_t total = problem.total(), row = std::int64_t(shape.kv_heads) * shape.head_dim;
    const auto io = tmoe_type(shape.io_type), cache = tmoe_type(shape.cache_type);
    problem.q = rounded(io, random.normals(std::size_t(shape.batch * shape.queries * shape.heads * shape.head_dim)));
    problem.k = rounded(io, random.normals(std::size_t(shape.batch * shape.sequence * row)));
    problem.v = rounded(io, random.normals(std::size_t(shape.batch * shape.sequence * row)));
    problem.past_key = rounded(cache, random.normals(std::size_t(shape.batch * shape.past * row)));
    problem.past_value = rounded(cache, random.normals(std::size_t(shape.batch * shape.past * row)));

    problem.mask.assign(std::size_t(shape.batch * total), 1);
    for (std::int64_t series = 0; series < shape.batch; ++series) {
        std::int64_t *mask = problem.mask.data() + series * total;
        const std::int64_t padding = random.below(total + 1);
        for (std::int64_t point = 0; point < total; ++point) {
            switch (masking) {
                case Masking::Nothing: break;
                case Masking::LeftPadding: mask[point] = point < padding ? 0 : 1; break;
                case Masking::Holes: mask[point] = random.below(3) == 0 ? -1 : 2; break;
                case Masking::MostlyHoles: mask[point] = random.below(8) == 0; break;
                case Masking::Everything: mask[point] = 0; break;
            }
        }
    }
    for (std::int64_t series = 0; series < shape.batch; ++series) {
        for (std::int64_t point = 0; point < total; ++point) {
            if (problem.real(series, point)) continue;
            for (std::int64_t i = 0; i < row; ++i) {
                if (point >= shape.past) {
                    const std::size_t at = std::size_t((series * shape.sequence + point - shape.past) * row + i);
                    problem.k[at] = garbage(random);
                    problem.v[at] = garbage(random);
                } else {
                    const std::int64_t head = i / shape.head_dim;
                    const std::size_t at = std::size_t(((series * shape.kv_heads + head) * shape.past + point) * shape.head_dim + i % shape.head_dim);
                    problem.past_key[at] = garbage(random);
                    problem.past_value[at] = garbage(random);
                }
            }
        }
    }
    return problem;
}

// A head rotated by its position: angles in float32, as the original makes them.
inline std::vector<double> rotated_head(const AttentionProblem &problem, const float *head, std::int64_t position) {
    const int head_dim = problem.shape.head_dim, half = head_dim / 2;
    std::vector<double> rotated(static_cast<std::size_t>(head_dim));
    for (int j = 0; j < half; ++j) {
        const float exponent = float(2 * j) / float(head_dim);
        const float power = float(std::pow(double(problem.shape.rope_theta), double(exponent)));
        const float inverse = 1.0f / power;
        const float angle = float(position) * inverse;
        const auto type = tmoe_type(problem.shape.rotary_rounding);
        const double cosine = rounded(type, float(std::cos(double(angle)))), sine = rounded(type, float(std::sin(double(angle))));
        rotated[std::size_t(j)] = head[j] * cosine - head[j + half] * sine;
        rotated[std::size_t(j + half)] = head[j + half] * cosine + head[j] * sine;
    }
    return rotated;
}

inline AttentionSolution solve(const AttentionProblem &problem) {
    const tmoe_attention_shape &shape = problem.shape;
    const std::int64_t total = problem.total(), past = shape.past, head_dim = shape.head_dim, group = shape.heads / shape.kv_heads;
    const auto cache = tmoe_type(shape.cache_type);
    AttentionSolution solution;

    std::vector<std::int64_t> position(static_cast<std::size_t>(shape.batch * total));
    for (std::int64_t series = 0; series < shape.batch; ++series) {
        std::int64_t real = 0;
        for (std::int64_t point = 0; point < total; ++point) {
            real += problem.real(series, point);
            position[std::size_t(series * total + point)] = real > 0 ? real - 1 : 0;
        }
    }
    for (std::int64_t series = 0; series < shape.batch; ++series) {
        for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
            for (std::int64_t point = 0; point < total; ++point) {
                if (point < past) {
                    const std::size_t at = std::size_t(((series * shape.kv_heads + head) * past + point) * head_dim);
                    for (std::size_t i = 0; i < std::size_t(head_dim); ++i) {
                        solution.present_key.push_back(problem.past_key[at + i]);
                        solution.present_value.push_back(problem.past_value[at + i]);
                    }
                } else {
                    const std::size_t at = std::size_t(((series * shape.sequence + point - past) * shape.kv_heads + head) * head_dim);
                    const auto key = rotated_head(problem, &problem.k[at], position[std::size_t(series * total + point)]);
                    solution.present_key.insert(solution.present_key.end(), key.begin(), key.end());
                    for (std::size_t i = 0; i < std::size_t(head_dim); ++i) solution.present_value.push_back(problem.v[at + i]);
                }
            }
        }
    }

    // Queries meet keys and values as the cache holds them.
    std::vector<float> keys, values;
    for (double key : solution.present_key) keys.push_back(rounded(cache, float(key)));
    for (double value : solution.present_value) values.push_back(rounded(cache, float(value)));
    for (std::int64_t series = 0; series < shape.batch; ++series) {
        for (std::int64_t query = 0; query < shape.queries; ++query) {
            const std::int64_t point = total - shape.queries + query;
            for (std::int64_t head = 0; head < shape.heads; ++head) {
                const std::size_t at = std::size_t(((series * shape.queries + query) * shape.heads + head) * head_dim);
                const auto q = rotated_head(problem, &problem.q[at], position[std::size_t(series * total + point)]);
                const std::int64_t first_row = (series * shape.kv_heads + head / group) * total;
                std::vector<std::int64_t> seen;
                std::vector<double> scores;
                double top = -std::numeric_limits<double>::infinity();
                for (std::int64_t key = 0; key <= point; ++key) {
                    if (!problem.real(series, key)) continue;
                    double score = 0.0;
                    for (std::int64_t i = 0; i < head_dim; ++i) score += q[std::size_t(i)] * keys[std::size_t((first_row + key) * head_dim + i)];
                    seen.push_back(key);
                    scores.push_back(score * double(shape.scale));
                    top = std::fmax(top, scores.back());
                }
                double sum = 0.0;
                std::vector<double> output(static_cast<std::size_t>(head_dim), 0.0);
                for (std::size_t n = 0; n < seen.size(); ++n) {
                    const double weight = std::exp(scores[n] - top);
                    sum += weight;
                    for (std::int64_t i = 0; i < head_dim; ++i) output[std::size_t(i)] += weight * values[std::size_t((first_row + seen[n]) * head_dim + i)];
                }
                for (double value : output) solution.y.push_back(seen.empty() ? 0.0 : value / sum);
            }
        }
    }
    return solution;
}

}  // namespace tmoe::test
