// What a benchmark found out about one kernel on one shape, as a line for people or as JSON.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>

namespace tmoe::test {

struct Measurement {
    std::string name, shape, dtype;
    double seconds;  // median
    double bytes;    // that must cross the memory's bus
    double flops;    // two for a multiply-add; 0 where they do not count
};

// The speeds that the same run measured: what floors are computed from. A peak of 0: floors are those of the bytes alone.
struct Ceilings {
    double bytes_per_second, flops_per_second;

    double floor(const Measurement &one) const {
        const double bytes = one.bytes / bytes_per_second;
        return flops_per_second > 0.0 ? std::max(bytes, one.flops / flops_per_second) : bytes;
    }
};

inline void print(const Measurement &one, const Ceilings &ceilings, bool json) {
    const double floor = ceilings.floor(one);
    if (json) {
        std::printf("{\"name\": \"%s\", \"shape\": \"%s\", \"dtype\": \"%s\", \"median_ms\": %.5g, \"bytes\": %.0f, \"flops\": %.0f, "
                    "\"floor_ms\": %.5g}\n",
                    one.name.c_str(), one.shape.c_str(), one.dtype.c_str(), 1e3 * one.seconds, one.bytes, one.flops, 1e3 * floor);
    } else {
        std::printf("%-16s %-58s %-16s %10.1f us   floor %9.1f us (x %5.2f)   %7.0f GB/s", one.name.c_str(), one.shape.c_str(),
                    one.dtype.c_str(), 1e6 * one.seconds, 1e6 * floor, one.seconds / floor, 1e-9 * one.bytes / one.seconds);
        if (one.flops > 0.0) std::printf("   %7.1f TFLOP/s", 1e-12 * one.flops / one.seconds);
        std::printf("\n");
    }
    std::fflush(stdout);
}

// A combination of types that the device has no instructions for.
inline void print_unsupported(const std::string &name, const std::string &shape, const std::string &dtype, bool json) {
    if (json) return;
    std::printf("%-16s %-58s %-16s not on this device\n", name.c_str(), shape.c_str(), dtype.c_str());
}

// The device and what it reaches; of multiply-adds only where the program measured them.
inline void print_device(const char *name, int major, int minor, int multiprocessors, const Ceilings &ceilings, bool json) {
    if (json) {
        std::printf("{\"name\": \"device\", \"shape\": \"%s\", \"capability\": \"%d.%d\", \"multiprocessors\": %d, "
                    "\"copy_bytes_per_second\": %.5g",
                    name, major, minor, multiprocessors, ceilings.bytes_per_second);
        if (ceilings.flops_per_second > 0.0) std::printf(", \"mma_sync_flops_per_second\": %.5g", ceilings.flops_per_second);
        std::printf("}\n");
    } else {
        std::printf("%s, sm_%d%d, %d multiprocessors; a copy moves %.0f GB/s", name, major, minor, multiprocessors,
                    1e-9 * ceilings.bytes_per_second);
        if (ceilings.flops_per_second > 0.0) std::printf("; mma.sync reaches %.0f TFLOP/s", 1e-12 * ceilings.flops_per_second);
        std::printf("\n");
    }
    std::fflush(stdout);
}

}  // namespace tmoe::test
