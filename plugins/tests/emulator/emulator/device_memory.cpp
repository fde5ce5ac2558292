#include "emulator/device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "emulator/block.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace emulator {
namespace {

constexpr unsigned char kMark = 0xa5;

// By address.
std::map<const unsigned char *, GuardedMemory> &allocations() {
    static auto *all = new std::map<const unsigned char *, GuardedMemory>;
    return *all;
}

}  // namespace

GuardedMemory::GuardedMemory(std::size_t bytes, std::size_t alignment) : size_(bytes) {
    if (bytes == 0) return;
    const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE));
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    const std::size_t inner = (rounded + page - 1) / page * page;
    mapped_ = inner + 2 * page;
    void *mapping = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        std::perror("emulator: device memory");
        std::abort();
    }
    mapping_ = static_cast<unsigned char *>(mapping);
    // The end is what is overrun: it lies as close to the second guard page as the alignment allows.
    data_ = mapping_ + page + (inner - rounded);
    std::memset(mapping_ + page, kMark, inner);
    std::memset(data_, 0xff, size_);
    mprotect(mapping_, page, PROT_NONE);
    mprotect(mapping_ + page + inner, page, PROT_NONE);
#if defined(__SANITIZE_ADDRESS__)
    __asan_poison_memory_region(mapping_ + page, std::size_t(data_ - mapping_) - page);
    __asan_poison_memory_region(data_ + size_, rounded - size_);
#endif
}

GuardedMemory::~GuardedMemory() {
    if (!mapping_) return;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(mapping_, mapped_);
#endif
    munmap(mapping_, mapped_);
}

GuardedMemory::GuardedMemory(GuardedMemory &&other) noexcept { *this = std::move(other); }

GuardedMemory &GuardedMemory::operator=(GuardedMemory &&other) noexcept {
    std::swap(mapping_, other.mapping_);
    std::swap(mapped_, other.mapped_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

bool GuardedMemory::damaged() const {
#if !defined(__SANITIZE_ADDRESS__)
    if (!mapping_) return false;
    const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE));
    for (const unsigned char *p = mapping_ + page; p < data_; ++p)
        if (*p != kMark) return true;
    for (const unsigned char *p = data_ + size_; p < mapping_ + mapped_ - page; ++p)
        if (*p != kMark) return true;
#endif
    return false;
}

void *device_allocate(std::size_t bytes) {
    GuardedMemory memory(bytes, 256);
    auto *data = static_cast<unsigned char *>(memory.data());
    allocations().emplace(data, std::move(memory));
    return data;
}

bool device_free(void *pointer) {
    const auto found = allocations().find(static_cast<unsigned char *>(pointer));
    if (found == allocations().end()) return false;
    if (found->second.damaged())
        fail("something was written just outside an allocation of %zu bytes of device memory", found->second.size());
    allocations().erase(found);
    return true;
}

std::string describe_address(const void *pointer) {
    constexpr std::uintptr_t kNear = 1 << 20;
    const auto address = reinterpret_cast<std::uintptr_t>(pointer);
    std::uintptr_t nearest = kNear;
    std::string text = "in no allocation of device memory and near none";
    for (const auto &[data, memory] : allocations()) {
        const auto begin = reinterpret_cast<std::uintptr_t>(data), end = begin + memory.size();
        const bool before = address < begin, behind = address >= end;
        const std::uintptr_t distance = before ? begin - address : behind ? address - end : 0;
        if (distance >= nearest) continue;
        nearest = distance;
        text = before   ? std::to_string(distance) + " bytes before"
               : behind ? std::to_string(distance) + " bytes behind"
                        : std::string("in");
        text += " an allocation of " + std::to_string(memory.size()) + " bytes of device memory";
    }
    return text;
}

void require_device_memory(const void *pointer, std::size_t bytes, const char *what) {
    if (bytes == 0) return;
    const auto *first = static_cast<const unsigned char *>(pointer);
    auto found = allocations().upper_bound(first);
    if (found != allocations().begin()) {
        --found;
        if (first + bytes <= found->first + found->second.size()) return;
    }
    fail("%s of %zu bytes: %p is %s", what, bytes, pointer, describe_address(pointer).c_str());
}

}  // namespace emulator
