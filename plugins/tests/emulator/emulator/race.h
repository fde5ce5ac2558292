// Races between the threads of a block, found by ThreadSanitizer: it knows the threads as fibers, and learns here what orders
// their memory accesses. Without ThreadSanitizer all of this is nothing.
#pragma once

#include <cstddef>

#if defined(EMULATOR_RACES)
extern "C" {
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void __tsan_read16(void *address);
void __tsan_write16(void *address);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
}
#endif

namespace emulator::race {

// What happened before release(sync) happens before what follows acquire(sync).
inline void release([[maybe_unused]] void *sync) {
#if defined(EMULATOR_RACES)
    __tsan_release(sync);
#endif
}
inline void acquire([[maybe_unused]] void *sync) {
#if defined(EMULATOR_RACES)
    __tsan_acquire(sync);
#endif
}

// An access of 16 bytes that an instruction makes for the running thread.
inline void read_16([[maybe_unused]] const void *address) {
#if defined(EMULATOR_RACES)
    __tsan_read16(const_cast<void *>(address));
#endif
}
inline void write_16([[maybe_unused]] void *address) {
#if defined(EMULATOR_RACES)
    __tsan_write16(address);
#endif
}

// Accesses of the emulator itself: threads hand each other registers.
class Unwatched {
public:
#if defined(EMULATOR_RACES)
    Unwatched() {
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
    ~Unwatched() {
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    }
#else
    Unwatched() {}
#endif
    Unwatched(const Unwatched &) = delete;
    Unwatched &operator=(const Unwatched &) = delete;
};

}  // namespace emulator::race
