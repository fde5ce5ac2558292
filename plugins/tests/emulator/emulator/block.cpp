#include "emulator/block.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "emulator/async_copy.h"
#include "emulator/device_memory.h"
#include "emulator/fiber.h"
#include "emulator/memory_fault.h"
#include "emulator/race.h"
#include "emulator/shared_memory.h"

uint3 threadIdx{0, 0, 0};
uint3 blockIdx{0, 0, 0};
dim3 blockDim;
dim3 gridDim;

namespace emulator {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(EMULATOR_RACES) || !defined(__OPTIMIZE__)
constexpr std::size_t kStackBytes = 1024 * 1024;
#else
constexpr std::size_t kStackBytes = 256 * 1024;
#endif

enum class State { Ready, InWarp, InBlock, Ended };

struct Thread {
    std::unique_ptr<Fiber> fiber;
    uint3 index;
    State state = State::Ended;
    const char *name = nullptr;
    Perform perform = nullptr;
    std::uint32_t mask = 0;
    void *argument = nullptr;
};

// What a barrier orders. Two objects take turns: who is still leaving one barrier learns nothing from those already at the next.
class Meeting {
public:
    void *sync() { return &syncs_[turn_ % 2]; }
    void end() { ++turn_; }

private:
    char syncs_[2] = {};
    unsigned turn_ = 0;
};

struct Block {
    Fiber scheduler;
    std::vector<Thread> threads;
    Meeting barrier;
    char started = 0, ended = 0;
    std::vector<Meeting> warps;
    int count = 0;
    int live = 0;
    int at_barrier = 0;
    int current = -1;
    // A bit for each lane that can run, one word for each warp.
    std::vector<std::uint32_t> ready;
    void (*body)(void *) = nullptr;
    void *closure = nullptr;
};

// Made at the first launch and kept: stacks are reused.
Block *block = nullptr;
bool running = false;
DynamicShared dynamic;
Order the_order = Order::Forward;
std::uint64_t random_state = 0;

Thread &current() { return block->threads[std::size_t(block->current)]; }

void make_ready(int number) {
    block->threads[std::size_t(number)].state = State::Ready;
    block->ready[std::size_t(number / kWarpSize)] |= 1u << number % kWarpSize;
}

void yield() { Fiber::switch_to(*current().fiber, block->scheduler); }

// Lets everybody go on if all threads that have not ended are at the block's barrier.
void finish_barrier() {
    if (block->live == 0 || block->at_barrier < block->live) return;
    void *arguments[kMaxThreads] = {};
    Perform perform = nullptr;
    const char *name = nullptr;
    for (int i = 0; i < block->count; ++i) {
        Thread &thread = block->threads[std::size_t(i)];
        if (thread.state == State::Ended) continue;
        if (name == nullptr) {
            perform = thread.perform;
            name = thread.name;
        } else if (thread.perform != perform) {
            fail("threads of one block wait in different barriers: %s and %s (thread %d)", name, thread.name, i);
        }
        arguments[i] = thread.argument;
    }
    if (perform) {
        const race::Unwatched unwatched;
        perform(arguments, 0);
    }
    block->at_barrier = 0;
    block->barrier.end();
    for (int i = 0; i < block->count; ++i)
        if (block->threads[std::size_t(i)].state == State::InBlock) make_ready(i);
}

void thread_entry() {
    race::acquire(&block->started);
    block->body(block->closure);
    race::release(&block->ended);
    async_copy_forget(block->current);
    current().state = State::Ended;
    --block->live;
    finish_barrier();
    yield();
    std::abort();
}

// "0-31: __syncthreads; 32: ended" and so on.
std::string describe_threads() {
    std::string text;
    for (int first = 0; first < block->count;) {
        const Thread &thread = block->threads[std::size_t(first)];
        int last = first;
        while (last + 1 < block->count) {
            const Thread &next = block->threads[std::size_t(last + 1)];
            if (next.state != thread.state || (thread.state != State::Ended && (next.name != thread.name || next.mask != thread.mask)))
                break;
            ++last;
        }
        char who[48], line[160];
        std::snprintf(who, sizeof who, first == last ? "thread %d" : "threads %d-%d", first, last);
        if (thread.state == State::Ended) {
            std::snprintf(line, sizeof line, "  %s: ended\n", who);
        } else if (thread.state == State::InWarp) {
            std::snprintf(line, sizeof line, "  %s: wait in %s for lanes %08x\n", who, thread.name, thread.mask);
        } else {
            std::snprintf(line, sizeof line, "  %s: wait in %s\n", who, thread.name);
        }
        text += line;
        first = last + 1;
    }
    return text;
}

void resume(int number) {
    Thread &thread = block->threads[std::size_t(number)];
    block->current = number;
    threadIdx = thread.index;
    Fiber::switch_to(block->scheduler, *thread.fiber);
}

int pick_lane(std::uint32_t ready) {
    switch (the_order) {
        case Order::Forward: return __builtin_ctz(ready);
        case Order::Reverse: return 31 - __builtin_clz(ready);
        default: {
            const int first = int(random_below(kWarpSize));
            const std::uint32_t above = ready & (~0u << first);
            return __builtin_ctz(above ? above : ready);
        }
    }
}

void run_block() {
    const int warps = (block->count + kWarpSize - 1) / kWarpSize;
    std::vector<int> sequence(std::size_t(warps), 0);
    for (int i = 0; i < warps; ++i) sequence[std::size_t(i)] = the_order == Order::Reverse ? warps - 1 - i : i;
    while (block->live > 0) {
        if (the_order == Order::Shuffled)
            for (int i = warps - 1; i > 0; --i) std::swap(sequence[std::size_t(i)], sequence[random_below(std::uint32_t(i) + 1)]);
        bool moved = false;
        for (int warp : sequence) {
            std::uint32_t &ready = block->ready[std::size_t(warp)];
            while (ready) {
                const int lane = pick_lane(ready);
                ready &= ~(1u << lane);
                resume(warp * kWarpSize + lane);
                moved = true;
                if (the_order == Order::Shuffled && random_below(64) == 0) break;
            }
        }
        if (!moved) {
            block->current = -1;
            fail("no thread can go on:\n%s", describe_threads().c_str());
        }
    }
}

}  // namespace

void set_order(Order order) {
    the_order = order;
    random_state = 0;
}

Order order() { return the_order; }

std::uint32_t random_below(std::uint32_t bound) {
    // SplitMix64.
    std::uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return std::uint32_t(((z ^ (z >> 31)) >> 32) * bound >> 32);
}

void run_grid(dim3 grid, dim3 dimensions, std::size_t shared_bytes, void (*body)(void *), void *closure) {
    if (running) fail("a kernel launches a kernel");
    if (!block) block = new Block;
    report_memory_faults();
    running = true;
    gridDim = grid;
    blockDim = dimensions;
    block->count = int(dimensions.x * dimensions.y * dimensions.z);
    block->body = body;
    block->closure = closure;
    block->ready.assign(std::size_t(block->count + kWarpSize - 1) / kWarpSize, 0);
    block->warps.resize(block->ready.size());
    while (int(block->threads.size()) < block->count) {
        block->threads.emplace_back();
        block->threads.back().fiber = std::make_unique<Fiber>(kStackBytes);
    }
    dynamic.resize(shared_bytes);

    const std::uint64_t blocks = std::uint64_t(grid.x) * grid.y * grid.z;
    const std::uint64_t turn = the_order == Order::Shuffled ? random_below(std::uint32_t(blocks)) : 0;
    for (std::uint64_t i = 0; i < blocks; ++i) {
        const std::uint64_t number = the_order == Order::Reverse ? blocks - 1 - i : (i + turn) % blocks;
        blockIdx = {unsigned(number % grid.x), unsigned(number / grid.x % grid.y), unsigned(number / grid.x / grid.y)};
        poison_static_shared();
        dynamic.poison();
        block->live = block->count;
        block->at_barrier = 0;
        for (int t = 0; t < block->count; ++t) {
            Thread &thread = block->threads[std::size_t(t)];
            const unsigned u = unsigned(t);
            thread.index = {u % dimensions.x, u / dimensions.x % dimensions.y, u / dimensions.x / dimensions.y};
            thread.fiber->start(thread_entry);
            make_ready(t);
        }
        race::release(&block->started);
        run_block();
        race::acquire(&block->ended);
        dynamic.check();
    }
    running = false;
    block->current = -1;
}

bool in_kernel() { return running; }

void *dynamic_shared() { return dynamic.data(); }

bool is_shared(const void *pointer, std::size_t bytes) {
    return dynamic.contains(pointer, bytes) || is_static_shared(pointer, bytes);
}

int thread_number() { return block->current; }

void warp_collective(std::uint32_t mask, const char *name, Perform perform, void *argument) {
    const int number = block->current, first = number / kWarpSize * kWarpSize;
    if (!(mask >> (number - first) & 1)) fail("%s: the lane is not in its own mask %08x", name, mask);
    Thread &self = current();
    self.state = State::InWarp;
    self.name = name;
    self.perform = perform;
    self.mask = mask;
    self.argument = argument;
    Meeting &meeting = block->warps[std::size_t(number / kWarpSize)];
    void *const sync = meeting.sync();
    race::release(sync);

    void *arguments[kWarpSize] = {};
    for (std::uint32_t rest = mask; rest; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest), other = first + lane;
        if (other >= block->count) fail("%s: lane %d of the mask %08x is beyond the block", name, lane, mask);
        const Thread &thread = block->threads[std::size_t(other)];
        if (thread.state != State::InWarp || thread.perform != perform || thread.mask != mask) {
            yield();
            race::acquire(sync);
            return;
        }
        arguments[lane] = thread.argument;
    }
    if (perform) {
        const race::Unwatched unwatched;
        perform(arguments, mask);
    }
    meeting.end();
    for (std::uint32_t rest = mask; rest; rest &= rest - 1) make_ready(first + __builtin_ctz(rest));
    // This thread waits for its turn too, so that every order of the lanes is possible.
    yield();
    race::acquire(sync);
}

void block_collective(const char *name, Perform perform, void *argument) {
    Thread &self = current();
    self.state = State::InBlock;
    self.name = name;
    self.perform = perform;
    self.argument = argument;
    void *const sync = block->barrier.sync();
    race::release(sync);
    ++block->at_barrier;
    finish_barrier();
    yield();
    race::acquire(sync);
}

void fail(const char *format, ...) {
    std::fflush(stdout);
    std::fprintf(stderr, "emulator: ");
    if (running) {
        std::fprintf(stderr, "block (%u, %u, %u) of (%u, %u, %u)", blockIdx.x, blockIdx.y, blockIdx.z, gridDim.x, gridDim.y, gridDim.z);
        if (block->current >= 0) std::fprintf(stderr, ", thread (%u, %u, %u)", threadIdx.x, threadIdx.y, threadIdx.z);
        std::fprintf(stderr, " of (%u, %u, %u): ", blockDim.x, blockDim.y, blockDim.z);
    }
    va_list arguments;
    va_start(arguments, format);
    std::vfprintf(stderr, format, arguments);
    va_end(arguments);
    std::fprintf(stderr, "\n");
    std::fflush(stderr);
    std::abort();
}

}  // namespace emulator
