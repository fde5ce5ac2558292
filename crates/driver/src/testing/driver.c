/* A stand-in for NVIDIA's driver, for tests: DEVICES devices of TOTAL bytes each, which lie in host memory. cuInit returns INIT,
 * and VERSION is the version of CUDA. It is strict about contexts: what needs one fails without it. Work on the stream is done at
 * once, or with every launch of the graph that is being captured. */
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
typedef unsigned long long address;
static __thread int depth;
static size_t used;
static long live;
static size_t size_of(void *block) { return *(size_t *)((char *)block - 256); }
static int reserve(void **out, size_t bytes, int counts) {
    char *block;
    if (!depth) return 201;
    if (!bytes) return 1;
    if (counts && used + bytes > TOTAL) return 2;
    if (posix_memalign((void **)&block, 256, bytes + 256)) return 2;
    *(size_t *)block = bytes;
    memset(block + 256, 0xff, bytes);
    if (counts) used += bytes;
    ++live;
    *out = block + 256;
    return 0;
}
static int release(void *block, int counts) {
    if (!depth) return 201;
    if (counts) used -= size_of(block);
    --live;
    free((char *)block - 256);
    return 0;
}
long fake_live(void) { return live; }
int cuInit(unsigned flags) { return flags ? 1 : DEVICES ? INIT : 100; }
int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
int cuDeviceGetCount(int *count) { *count = DEVICES; return 0; }
int cuDeviceGet(int *device, int index) { *device = index + 7; return index < DEVICES ? 0 : 101; }
int cuDeviceGetName(char *name, int length, int device) {
    if (length < 16) return 1;
    strcpy(name, "Fake GPU ");
    name[9] = (char)('0' + device - 7);
    name[10] = 0;
    return 0;
}
int cuDeviceGetAttribute(int *value, int which, int device) { *value = which == 75 ? 8 : 6; return device < 7 ? 101 : 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &live; ++live; return device < 7 ? 101 : 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; --live; return 0; }
int cuCtxPushCurrent_v2(void *context) { if (context != &live) return 201; ++depth; return 0; }
int cuCtxPopCurrent_v2(void **context) { if (!depth) return 201; --depth; *context = &live; return 0; }
int cuStreamCreate(void **stream, unsigned flags) { if (!depth) return 201; *stream = &used; ++live; return flags == 1 ? 0 : 1; }
int cuStreamDestroy_v2(void *stream) { if (!depth) return 201; --live; return stream == &used ? 0 : 400; }
int cuStreamSynchronize(void *stream) { if (!depth) return 201; return stream == &used ? 0 : 400; }
int cuMemGetInfo_v2(size_t *left, size_t *total) { if (!depth) return 201; *left = TOTAL - used; *total = TOTAL; return 0; }
int cuMemAlloc_v2(address *out, size_t bytes) { return reserve((void **)out, bytes, 1); }
int cuMemFree_v2(address block) { return release((void *)block, 1); }
int cuMemAllocHost_v2(void **out, size_t bytes) { return reserve(out, bytes, 0); }
int cuMemFreeHost(void *block) { return release(block, 0); }
struct work { void (*call)(void *); void *data; void *to; const void *from; size_t bytes; struct work *next; };
struct graph { struct work *first, **end; };
static struct graph *capturing;
static long launches;
long fake_launches(void) { return launches; }
static void run(const struct work *work) {
    if (work->call) work->call(work->data);
    else memmove(work->to, work->from, work->bytes);
}
static int queue(struct work work, void *stream) {
    struct work *kept;
    if (!depth) return 201;
    if (stream != &used) return 400;
    if (!capturing) { run(&work); return 0; }
    kept = malloc(sizeof *kept);
    *kept = work;
    *capturing->end = kept;
    capturing->end = &kept->next;
    return 0;
}
int fake_queue(void *stream, void (*call)(void *), void *data) { return queue((struct work){call, data, 0, 0, 0, 0}, stream); }
static int move(void *to, const void *from, size_t bytes, void *stream) { return queue((struct work){0, 0, to, from, bytes, 0}, stream); }
int cuStreamBeginCapture_v2(void *stream, int mode) {
    if (!depth) return 201;
    if (stream != &used || capturing || mode != 1) return 400;
    capturing = calloc(1, sizeof *capturing);
    capturing->end = &capturing->first;
    ++live;
    return 0;
}
int cuStreamEndCapture(void *stream, void **graph) {
    if (stream != &used || !capturing) return 400;
    *graph = capturing;
    capturing = 0;
    return 0;
}
int cuGraphInstantiateWithFlags(void **executable, struct graph *graph, unsigned long long flags) {
    struct graph *copy = malloc(sizeof *copy);
    if (flags) return 1;
    *copy = *graph;
    graph->first = 0;
    ++live;
    *executable = copy;
    return 0;
}
int cuGraphDestroy(struct graph *graph) {
    while (graph->first) { struct work *next = graph->first->next; free(graph->first); graph->first = next; }
    free(graph);
    --live;
    return 0;
}
int cuGraphExecDestroy(struct graph *graph) { return cuGraphDestroy(graph); }
int cuGraphLaunch(struct graph *graph, void *stream) {
    const struct work *work;
    if (!depth) return 201;
    if (stream != &used || capturing) return 400;
    for (work = graph->first; work; work = work->next) run(work);
    ++launches;
    return 0;
}
int cuMemcpyHtoDAsync_v2(address to, const void *from, size_t bytes, void *stream) { return move((void *)to, from, bytes, stream); }
int cuMemcpyDtoHAsync_v2(void *to, address from, size_t bytes, void *stream) { return move(to, (void *)from, bytes, stream); }
int cuMemcpyDtoDAsync_v2(address to, address from, size_t bytes, void *stream) { return move((void *)to, (void *)from, bytes, stream); }
int cuGetErrorName(int status, const char **text) { *text = status == 999 ? 0 : "CUDA_ERROR_FAKE"; return 0; }
int cuGetErrorString(int status, const char **text) { *text = status == 999 ? 0 : "a fake error"; return 0; }
