// Memory whose ends are watched: pages that may not be touched around it, and marked bytes where it does not fill a page.
#pragma once

#include <cstddef>
#include <string>

namespace emulator {

class GuardedMemory {
public:
    GuardedMemory() = default;
    // `bytes` bytes of 0xff: NaN in every floating-point type, -1 in integers.
    GuardedMemory(std::size_t bytes, std::size_t alignment);
    ~GuardedMemory();
    GuardedMemory(GuardedMemory &&other) noexcept;
    GuardedMemory &operator=(GuardedMemory &&other) noexcept;

    void *data() { return data_; }
    const void *data() const { return data_; }
    std::size_t size() const { return size_; }
    // Whether the marked bytes before or behind it were written.
    bool damaged() const;

private:
    unsigned char *mapping_ = nullptr;
    std::size_t mapped_ = 0;
    unsigned char *data_ = nullptr;
    std::size_t size_ = 0;
};

// cudaMalloc and cudaFree: aligned to 256. `device_free` ends the process with a message if the memory was overrun.
void *device_allocate(std::size_t bytes);
bool device_free(void *pointer);

// Where an address lies: in or near which allocation.
std::string describe_address(const void *pointer);

// Ends the process with a message unless [pointer, pointer + bytes) lies in one allocation; nothing is asked of no bytes.
void require_device_memory(const void *pointer, std::size_t bytes, const char *what);

}  // namespace emulator
