// __shfl_sync and the other functions of a warp, and the barriers with a vote.
#pragma once

#include <cstdint>
#include <cstring>

#include "emulator/block.h"

namespace emulator {

template <class T>
struct ShuffleArguments {
    T value, result;
    int source;
};

template <class T>
void perform_shuffle(void **arguments, std::uint32_t mask) {
    for (std::uint32_t rest = mask; rest; rest &= rest - 1) {
        auto *own = static_cast<ShuffleArguments<T> *>(arguments[__builtin_ctz(rest)]);
        const auto *other = static_cast<const ShuffleArguments<T> *>(arguments[own->source]);
        if (!other) fail("__shfl_sync reads from lane %d, which is not in the mask %08x", own->source, mask);
        own->result = other->value;
    }
}

template <class T>
T shuffle(std::uint32_t mask, T value, int source, const char *name) {
    ShuffleArguments<T> arguments{value, value, source};
    warp_collective(mask, name, perform_shuffle<T>, &arguments);
    return arguments.result;
}

struct VoteArguments {
    bool predicate;
    std::uint32_t result;
};

inline void perform_vote(void **arguments, std::uint32_t mask) {
    std::uint32_t result = 0;
    for (std::uint32_t rest = mask; rest; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        if (static_cast<VoteArguments *>(arguments[lane])->predicate) result |= 1u << lane;
    }
    for (std::uint32_t rest = mask; rest; rest &= rest - 1)
        static_cast<VoteArguments *>(arguments[__builtin_ctz(rest)])->result = result;
}

template <class T>
struct MatchArguments {
    T value;
    std::uint32_t result;
};

template <class T>
void perform_match(void **arguments, std::uint32_t mask) {
    for (std::uint32_t rest = mask; rest; rest &= rest - 1) {
        auto *own = static_cast<MatchArguments<T> *>(arguments[__builtin_ctz(rest)]);
        own->result = 0;
        for (std::uint32_t others = mask; others; others &= others - 1) {
            const int lane = __builtin_ctz(others);
            if (std::memcmp(&static_cast<MatchArguments<T> *>(arguments[lane])->value, &own->value, sizeof(T)) == 0)
                own->result |= 1u << lane;
        }
    }
}

// The number of threads whose predicate holds.
inline void perform_block_count(void **arguments, std::uint32_t) {
    const int threads = int(blockDim.x * blockDim.y * blockDim.z);
    std::uint32_t count = 0, live = 0;
    for (int i = 0; i < threads; ++i) {
        if (!arguments[i]) continue;
        ++live;
        count += static_cast<VoteArguments *>(arguments[i])->predicate;
    }
    for (int i = 0; i < threads; ++i) {
        if (!arguments[i]) continue;
        auto *vote = static_cast<VoteArguments *>(arguments[i]);
        vote->result = count;
        vote->predicate = count == live;
    }
}

}  // namespace emulator

inline void __syncwarp(unsigned mask = 0xffffffffu) { emulator::warp_collective(mask, "__syncwarp", nullptr, nullptr); }

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    const int first = emulator::lane() & ~(width - 1);
    return emulator::shuffle(mask, value, first + (source & (width - 1)), "__shfl_sync");
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
    const int own = emulator::lane(), end = (own & ~(width - 1)) + width, source = own ^ lane_mask;
    return emulator::shuffle(mask, value, source < end ? source : own, "__shfl_xor_sync");
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const int own = emulator::lane(), source = own - int(delta);
    return emulator::shuffle(mask, value, source >= (own & ~(width - 1)) ? source : own, "__shfl_up_sync");
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const int own = emulator::lane(), source = own + int(delta);
    return emulator::shuffle(mask, value, source < (own & ~(width - 1)) + width ? source : own, "__shfl_down_sync");
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
    emulator::VoteArguments vote{predicate != 0, 0};
    emulator::warp_collective(mask, "__ballot_sync", emulator::perform_vote, &vote);
    return vote.result;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

template <class T>
unsigned __match_any_sync(unsigned mask, T value) {
    emulator::MatchArguments<T> arguments{value, 0};
    emulator::warp_collective(mask, "__match_any_sync", emulator::perform_match<T>, &arguments);
    return arguments.result;
}

inline int __syncthreads_count(int predicate) {
    emulator::VoteArguments vote{predicate != 0, 0};
    emulator::block_collective("__syncthreads_count", emulator::perform_block_count, &vote);
    return int(vote.result);
}
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) != 0; }
inline int __syncthreads_and(int predicate) {
    emulator::VoteArguments vote{predicate != 0, 0};
    emulator::block_collective("__syncthreads_and", emulator::perform_block_count, &vote);
    return vote.predicate;
}
