// Dealing out a workspace in parts that are aligned to 256 bytes.
#pragma once

#include <cstddef>

namespace tmoe {

// From null it only counts.
class Workspace {
public:
    explicit Workspace(void *memory) : memory_(static_cast<char *>(memory)) {}
    template <class T>
    T *take(std::size_t count) {
        T *const taken = memory_ != nullptr ? reinterpret_cast<T *>(memory_ + used_) : nullptr;
        used_ += (count * sizeof(T) + 255) / 256 * 256;
        return taken;
    }
    std::size_t used() const { return used_; }

private:
    char *memory_;
    std::size_t used_ = 0;
};

}  // namespace tmoe
