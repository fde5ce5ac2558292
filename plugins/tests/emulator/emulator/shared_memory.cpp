#include "emulator/shared_memory.h"

#include <link.h>

#include <cstdint>
#include <cstring>

#include "emulator/block.h"

namespace emulator {
namespace {

struct Segment {
    unsigned char *begin = nullptr;
    std::size_t bytes = 0;
};

// The executable's thread-local segment. A statically linked program keeps the C library's own variables there, so it is left
// alone then.
[[maybe_unused]] int find_segment(dl_phdr_info *info, std::size_t, void *closure) {
    auto *segment = static_cast<Segment *>(closure);
    bool dynamic = false;
    std::size_t bytes = 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        if (info->dlpi_phdr[i].p_type == PT_INTERP) dynamic = true;
        if (info->dlpi_phdr[i].p_type == PT_TLS) bytes = info->dlpi_phdr[i].p_memsz;
    }
    if (dynamic && bytes) {
        segment->begin = static_cast<unsigned char *>(info->dlpi_tls_data);
        segment->bytes = bytes;
    }
    return 1;  // The executable comes first; the libraries are of no interest.
}

const Segment &static_segment() {
    static const Segment segment = [] {
        Segment found;
#if !defined(EMULATOR_RACES)
        dl_iterate_phdr(find_segment, &found);
#endif
        return found;
    }();
    return segment;
}

}  // namespace

void poison_static_shared() {
    const Segment &segment = static_segment();
    if (segment.begin) std::memset(segment.begin, 0xff, segment.bytes);
}

bool is_static_shared(const void *pointer, std::size_t bytes) {
    const Segment &segment = static_segment();
    if (!segment.begin) return true;
    const auto *first = static_cast<const unsigned char *>(pointer);
    return first >= segment.begin && first + bytes <= segment.begin + segment.bytes;
}

void DynamicShared::resize(std::size_t bytes) {
    if (bytes != memory_.size()) memory_ = GuardedMemory(bytes, 128);
}

void DynamicShared::poison() {
    if (memory_.size()) std::memset(memory_.data(), 0xff, memory_.size());
}

void DynamicShared::check() {
    if (memory_.damaged()) fail("something was written beyond the dynamic shared memory of %zu bytes", memory_.size());
}

bool DynamicShared::contains(const void *pointer, std::size_t bytes) const {
    const auto *first = static_cast<const unsigned char *>(pointer);
    const auto *begin = static_cast<const unsigned char *>(memory_.data());
    return memory_.size() && first >= begin && first + bytes <= begin + memory_.size();
}

}  // namespace emulator
