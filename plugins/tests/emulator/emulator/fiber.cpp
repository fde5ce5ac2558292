#include "emulator/fiber.h"

#include "emulator/race.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__) || defined(__aarch64__)
#define EMULATOR_HAND_WRITTEN_SWITCH 1
#else
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {
namespace {

std::size_t page_size() { return std::size_t(sysconf(_SC_PAGESIZE)); }

}  // namespace

struct Fiber::State {
    unsigned char *mapping = nullptr;
    std::size_t mapped = 0;
    unsigned char *stack = nullptr;
    std::size_t stack_bytes = 0;
    void (*entry)() = nullptr;
#if defined(EMULATOR_HAND_WRITTEN_SWITCH)
    void *stack_pointer = nullptr;
#else
    ucontext_t context;
#endif
#if defined(__SANITIZE_ADDRESS__)
    void *fake_stack = nullptr;
#endif
#if defined(EMULATOR_RACES)
    void *watched = nullptr;
#endif
};

#if defined(EMULATOR_HAND_WRITTEN_SWITCH)

// Saves the registers that a function must keep on the stack, stores the stack pointer to *save, and goes on at `load`.
extern "C" void emulator_switch_stack(void **save, void *load);

#if defined(__x86_64__)
asm(R"(
.text
.globl emulator_switch_stack
.hidden emulator_switch_stack
.type emulator_switch_stack, @function
.p2align 4
emulator_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulator_switch_stack, .-emulator_switch_stack
)");

namespace {
// Six registers, the entry's address, and a return address of zero: at the entry the stack is aligned as after a call.
void *first_frame(unsigned char *top, void (*entry)()) {
    auto **frame = reinterpret_cast<void **>(top) - 8;
    std::memset(frame, 0, 8 * sizeof(void *));
    frame[6] = reinterpret_cast<void *>(entry);
    return frame;
}
}  // namespace
#else
asm(R"(
.text
.globl emulator_switch_stack
.hidden emulator_switch_stack
.type emulator_switch_stack, %function
.p2align 4
emulator_switch_stack:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size emulator_switch_stack, .-emulator_switch_stack
)");

namespace {
// The saved registers, the entry's address in the place of x30.
void *first_frame(unsigned char *top, void (*entry)()) {
    auto **frame = reinterpret_cast<void **>(top) - 20;
    std::memset(frame, 0, 20 * sizeof(void *));
    frame[11] = reinterpret_cast<void *>(entry);
    return frame;
}
}  // namespace
#endif

#endif

#if defined(__SANITIZE_ADDRESS__)
// AddressSanitizer has to know which stack is in use. The bounds of a stack that was not made here are learnt when it is left.
static Fiber::State *left = nullptr;
static void (*sanitized_entry)() = nullptr;
static void finish_switch(void *fake_stack) {
    const void *bottom = nullptr;
    std::size_t bytes = 0;
    __sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
    left->stack = static_cast<unsigned char *>(const_cast<void *>(bottom));
    left->stack_bytes = bytes;
}
static void enter_sanitized() {
    finish_switch(nullptr);
    sanitized_entry();
}
#endif

Fiber::Fiber() : state_(new State) {
#if defined(EMULATOR_RACES)
    state_->watched = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(std::size_t stack_bytes) : state_(new State) {
    const std::size_t page = page_size();
    state_->stack_bytes = (stack_bytes + page - 1) / page * page;
    state_->mapped = state_->stack_bytes + page;
    void *mapping = mmap(nullptr, state_->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, page, PROT_NONE) != 0) {
        std::perror("emulator: the stack of a thread");
        std::abort();
    }
    state_->mapping = static_cast<unsigned char *>(mapping);
    state_->stack = state_->mapping + page;
#if defined(EMULATOR_RACES)
    state_->watched = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#if defined(EMULATOR_RACES)
    if (state_->mapping) __tsan_destroy_fiber(state_->watched);
#endif
    if (state_->mapping) munmap(state_->mapping, state_->mapped);
    delete state_;
}

void Fiber::start(void (*entry)()) {
    state_->entry = entry;
#if defined(__SANITIZE_ADDRESS__)
    sanitized_entry = entry;
    entry = enter_sanitized;
    // The stack's last user left its outermost frames without returning from them.
    constexpr std::size_t kOutermost = 16 * 1024;
    __asan_unpoison_memory_region(state_->stack + state_->stack_bytes - kOutermost, kOutermost);
#endif
#if defined(EMULATOR_HAND_WRITTEN_SWITCH)
    state_->stack_pointer = first_frame(state_->stack + state_->stack_bytes, entry);
#else
    getcontext(&state_->context);
    state_->context.uc_stack.ss_sp = state_->stack;
    state_->context.uc_stack.ss_size = state_->stack_bytes;
    state_->context.uc_link = nullptr;
    makecontext(&state_->context, entry, 0);
#endif
}

void Fiber::switch_to(Fiber &from, Fiber &to) {
#if defined(__SANITIZE_ADDRESS__)
    left = from.state_;
    __sanitizer_start_switch_fiber(&from.state_->fake_stack, to.state_->stack, to.state_->stack_bytes);
#endif
#if defined(EMULATOR_RACES)
    // 1: the switch itself orders nothing.
    __tsan_switch_to_fiber(to.state_->watched, 1);
#endif
#if defined(EMULATOR_HAND_WRITTEN_SWITCH)
    emulator_switch_stack(&from.state_->stack_pointer, to.state_->stack_pointer);
#else
    swapcontext(&from.state_->context, &to.state_->context);
#endif
#if defined(__SANITIZE_ADDRESS__)
    finish_switch(from.state_->fake_stack);
#endif
}

}  // namespace emulator
