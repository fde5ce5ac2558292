#include "emulator/async_copy.h"

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "emulator/block.h"
#include "emulator/device.h"
#include "emulator/race.h"

namespace emulator {
namespace {

struct Copy {
    void *to;
    const void *from;
    bool valid;
};

struct Queue {
    std::vector<Copy> open;
    std::deque<std::vector<Copy>> groups;
};

std::vector<Queue> queues(kMaxThreads);

Queue &own_queue() { return queues[std::size_t(thread_number())]; }

// The copy may happen at any time from its start to its end: it is an access at both.
void watch(const Copy &copy) {
    race::write_16(copy.to);
    if (copy.valid) race::read_16(copy.from);
}

void perform(const Copy &copy) {
    watch(copy);
    const race::Unwatched unwatched;
    if (copy.valid) {
        std::memcpy(copy.to, copy.from, 16);
    } else {
        std::memset(copy.to, 0, 16);
    }
}

bool happens_at_once() {
    // Devices before sm_80 have plain copies.
    if (current_capability() < 80 || order() == Order::Reverse) return true;
    return order() == Order::Shuffled && random_below(2) == 0;
}

}  // namespace

void async_copy_16(void *to, const void *from, bool valid) {
    if (reinterpret_cast<std::uintptr_t>(to) % 16 || !is_shared(to, 16))
        fail("cp.async: the destination %p is not shared memory aligned to 16 bytes", to);
    if (valid && reinterpret_cast<std::uintptr_t>(from) % 16) fail("cp.async: the source %p is not aligned to 16 bytes", from);
    const Copy copy{to, from, valid};
    if (happens_at_once()) {
        perform(copy);
    } else {
        watch(copy);
        own_queue().open.push_back(copy);
    }
}

void async_copy_commit() {
    Queue &queue = own_queue();
    queue.groups.push_back(std::move(queue.open));
    queue.open.clear();
}

void async_copy_wait(int pending) {
    Queue &queue = own_queue();
    while (int(queue.groups.size()) > pending) {
        for (const Copy &copy : queue.groups.front()) perform(copy);
        queue.groups.pop_front();
    }
}

void async_copy_forget(int thread) {
    Queue &queue = queues[std::size_t(thread)];
    queue.open.clear();
    queue.groups.clear();
}

}  // namespace emulator
