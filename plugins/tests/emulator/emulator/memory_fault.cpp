#include "emulator/memory_fault.h"

#include <signal.h>

#include <cstdlib>

#include "emulator/block.h"
#include "emulator/device_memory.h"

// Sanitizers report faults themselves.
#if !defined(__SANITIZE_ADDRESS__) && !defined(EMULATOR_RACES)
#define EMULATOR_REPORTS_FAULTS 1
#else
#define EMULATOR_REPORTS_FAULTS 0
#endif

namespace emulator {

#if EMULATOR_REPORTS_FAULTS
namespace {

void report(int signal_number, siginfo_t *info, void *) {
    // A second fault ends the process the usual way.
    signal(signal_number, SIG_DFL);
    if (in_kernel()) fail("access to %p: %s", info->si_addr, describe_address(info->si_addr).c_str());
}

}  // namespace
#endif

void report_memory_faults() {
#if EMULATOR_REPORTS_FAULTS
    // A thread whose stack is full needs another one.
    constexpr std::size_t kStackBytes = 64 * 1024;
    static const bool done = [] {
        stack_t stack{};
        stack.ss_sp = std::malloc(kStackBytes);
        stack.ss_size = kStackBytes;
        sigaltstack(&stack, nullptr);
        struct sigaction action {};
        action.sa_sigaction = report;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGSEGV, &action, nullptr);
        sigaction(SIGBUS, &action, nullptr);
        return true;
    }();
    (void)done;
#endif
}

}  // namespace emulator
