// Sizes of a block's tile.
#pragma once

#include "arch.cuh"

// 1 where code for devices older than `capability` may stand.
#if defined(__CUDA_ARCH__)
#define TMOE_ARCH_BEFORE(capability) (__CUDA_ARCH__ < (capability) * 10)
#else
#define TMOE_ARCH_BEFORE(capability) 1
#endif

namespace tmoe {

// A block computes M x N sums in steps of K; its warps lie in a grid of kWarpsM x kWarpsN; `Stages` steps lie in shared memory.
template <int M_, int N_, int K_, int WarpsM, int WarpsN, int Stages>
struct Tile {
    static constexpr int M = M_, N = N_, K = K_;
    static constexpr int kWarpsM = WarpsM, kWarpsN = WarpsN;
    static constexpr int kThreads = WarpsM * WarpsN * kWarpSize;
    static constexpr int kWarpM = M / WarpsM, kWarpN = N / WarpsN;
    static constexpr int kStages = Stages;
};

}  // namespace tmoe
