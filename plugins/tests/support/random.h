// Random numbers that are the same on every machine.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tmoe::test {

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    // SplitMix64.
    std::uint64_t bits() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    // In [0, bound).
    std::int64_t below(std::int64_t bound) { return std::int64_t(bits() % std::uint64_t(bound)); }
    // In [low, high).
    double uniform(double low = 0.0, double high = 1.0) { return low + (high - low) * (double(bits() >> 11) * 0x1p-53); }
    // Mean 0, deviation 1.
    double normal() { return std::sqrt(-2.0 * std::log(1.0 - uniform())) * std::cos(6.283185307179586 * uniform()); }

    std::vector<float> uniforms(std::size_t count, double low, double high) {
        std::vector<float> values(count);
        for (float &value : values) value = float(uniform(low, high));
        return values;
    }
    std::vector<float> normals(std::size_t count, double deviation = 1.0) {
        std::vector<float> values(count);
        for (float &value : values) value = float(deviation * normal());
        return values;
    }

private:
    std::uint64_t state_;
};

}  // namespace tmoe::test
