// A block's shared memory: variables declared __shared__, and the launch's dynamic part.
#pragma once

#include <cstddef>

#include "emulator/device_memory.h"

namespace emulator {

// Fills every __shared__ variable with NaN. Where the executable's thread-local segment cannot be found this does nothing.
void poison_static_shared();
bool is_static_shared(const void *pointer, std::size_t bytes);

class DynamicShared {
public:
    void resize(std::size_t bytes);
    void poison();
    // Ends the process with a message if something was written behind the end.
    void check();
    bool contains(const void *pointer, std::size_t bytes) const;
    void *data() { return memory_.data(); }

private:
    GuardedMemory memory_;
};

}  // namespace emulator
