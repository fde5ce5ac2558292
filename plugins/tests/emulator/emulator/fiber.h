// Threads that change places when they say so: a block's threads.
#pragma once

#include <cstddef>

namespace emulator {

// A stack and what is needed to go on with it. Fibers are switched from one to another by a few instructions, on x86-64 and
// aarch64; elsewhere by ucontext, which is slower.
class Fiber {
public:
    // The fiber of whoever calls.
    Fiber();
    // A fiber with a stack of its own, a guard page below it.
    explicit Fiber(std::size_t stack_bytes);
    ~Fiber();
    Fiber(const Fiber &) = delete;
    Fiber &operator=(const Fiber &) = delete;

    // The next switch to this fiber calls `entry`, which must never return.
    void start(void (*entry)());

    // Leaves `from`, the running fiber, and goes on with `to`.
    static void switch_to(Fiber &from, Fiber &to);

    struct State;

private:
    State *state_;
};

}  // namespace emulator
