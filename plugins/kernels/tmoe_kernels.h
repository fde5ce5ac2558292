/* tmoe_kernels.h: the CUDA kernels of the operators of the domain `tmoe`, as C functions.
 *
 * Every function that computes
 *   - takes pointers to device memory and launches on the given stream, and returns before the work is done;
 *   - allocates nothing, synchronises with nothing and reads no device memory on the host, so that calls can be captured
 *     in a CUDA graph; scratch memory is the caller's, its size is asked for first;
 *   - gives back the error of every launch: 0, a positive cudaError_t, or one of tmoe_error.
 *
 * Matrices are row-major, as they lie in a package. Memory is aligned to 16 bytes, workspaces to 256.
 * Sizes of zero rows are allowed and launch nothing.
 */
#ifndef TMOE_KERNELS_H
#define TMOE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes with every change of a signature or a structure below. */
#define TMOE_KERNELS_ABI 3
int32_t tmoe_kernels_abi(void);

/* 0: launched. Positive: a cudaError_t. Negative: a tmoe_error. */
typedef int32_t tmoe_status;

enum tmoe_error {
    TMOE_OK = 0,
    TMOE_INVALID_ARGUMENT = -1,   /* a size, a null pointer or an alignment */
    TMOE_UNSUPPORTED = -2,        /* a combination of types that the device has no instructions for, or a size beyond the limits */
    TMOE_WORKSPACE_TOO_SMALL = -3
};

/* What a status means, in one line; static. */
const char *tmoe_status_text(tmoe_status status);

/* A cudaStream_t. */
typedef struct CUstream_st *tmoe_stream;

typedef enum tmoe_type { TMOE_FLOAT32 = 0, TMOE_FLOAT16 = 1, TMOE_BFLOAT16 = 2 } tmoe_type;

typedef enum tmoe_activation { TMOE_SILU = 0, TMOE_GELU = 1, TMOE_GELU_TANH = 2, TMOE_RELU = 3 } tmoe_activation;

/* What router logits say about the experts' weights: the softmax over all of a token's, or the sigmoid of each. */
typedef enum tmoe_scoring { TMOE_SOFTMAX = 0, TMOE_SIGMOID = 1 } tmoe_scoring;

/* Products of float32 may round their inputs to TF32 (relative error up to 1e-3): sm_80 and newer. Off unless asked for. */
#define TMOE_ALLOW_TF32 1u

/* ---- moe_routing.cu ---------------------------------------------------------------------------------------------- */

/* Which tokens go to which experts. A slot is one of a token's top-k experts; a row is a used slot, and rows are sorted by
 * expert, then by token. */
typedef struct tmoe_routing_shape {
    int64_t tokens;
    int32_t experts;          /* 1 to 256 */
    int32_t top_k;            /* 1 to experts */
    int32_t normalize_top_k;  /* 1: a token's weights are divided by their sum */
    int32_t scoring;          /* tmoe_scoring */
} tmoe_routing_shape;

/* Weights in float32, top-k by logit, equal logits to the lower expert, counting, and the permutation. An expert whose
 * weight is zero gets no row; infinite logits share equally; the rules are those of the CPU kernel.
 *
 *   router_logits   float32 [tokens, experts]
 *   expert_offsets  int32 [experts + 1]        rows of expert e: expert_offsets[e] up to expert_offsets[e + 1]
 *   row_token       int32 [tokens x top_k]     whose row it is; only the first expert_offsets[experts] are written
 *   row_weight      float32 [tokens x top_k]
 *   slot_row        int32 [tokens, top_k]      the row of each slot, -1 for one that is not used; slots in order of weight
 */
size_t tmoe_moe_routing_workspace(const tmoe_routing_shape *shape);
tmoe_status tmoe_moe_routing(const tmoe_routing_shape *shape, const float *router_logits, int32_t *expert_offsets,
                             int32_t *row_token, float *row_weight, int32_t *slot_row, void *workspace,
                             size_t workspace_bytes, tmoe_stream stream);

/* ---- moe_experts.cu ---------------------------------------------------------------------------------------------- */

typedef struct tmoe_moe_shape {
    int64_t tokens;
    int32_t hidden;           /* a multiple of 8 */
    int32_t ffn;              /* a multiple of 8 */
    int32_t experts;          /* 1 to 256 */
    int32_t top_k;
    int32_t normalize_top_k;
    int32_t scoring;          /* tmoe_scoring */
    int32_t activation;       /* tmoe_activation */
    int32_t io_type;          /* tmoe_type of x, addend and y */
    int32_t weight_type;      /* tmoe_type of gate_up and down: what products are computed in; sums are float32 */
    uint32_t options;         /* TMOE_ALLOW_TF32 */
} tmoe_moe_shape;

/* y[t] = addend[t] + sum over the chosen experts e: weight[t, e] * (act(x[t] gate[e]) * (x[t] up[e])) down[e]
 *
 *   x              io_type [tokens, hidden]
 *   router_logits  float32 [tokens, experts]
 *   gate_up        weight_type [experts, hidden, 2 x ffn]   the gate's columns, then the up projection's
 *   down           weight_type [experts, ffn, hidden]
 *   addend         io_type [tokens, hidden], or null for zeros
 *   y              io_type [tokens, hidden], overwritten; the addend for a token that no expert works for
 */
size_t tmoe_sparse_moe_workspace(const tmoe_moe_shape *shape);
tmoe_status tmoe_sparse_moe(const tmoe_moe_shape *shape, const void *x, const float *router_logits, const void *gate_up,
                            const void *down, const void *addend, void *y, void *workspace, size_t workspace_bytes,
                            tmoe_stream stream);

/* ---- linear.cu --------------------------------------------------------------------------------------------------- */

typedef struct tmoe_linear_shape {
    int64_t rows;
    int32_t input;            /* a multiple of 8 */
    int32_t output;
    int32_t io_type;          /* tmoe_type of x and y */
    int32_t weight_type;      /* tmoe_type of weight */
    uint32_t options;         /* TMOE_ALLOW_TF32 */
} tmoe_linear_shape;

/* y = x weight + bias:  x [rows, input], weight [input, output], bias float32 [output] or null, y [rows, output]. */
size_t tmoe_linear_workspace(const tmoe_linear_shape *shape);
tmoe_status tmoe_linear(const tmoe_linear_shape *shape, const void *x, const void *weight, const float *bias, void *y,
                        void *workspace, size_t workspace_bytes, tmoe_stream stream);

/* ---- flash_attention.cu ------------------------------------------------------------------------------------------ */

typedef struct tmoe_attention_shape {
    int64_t batch;
    int64_t queries;            /* the last points of the sequence, at most all of them */
    int64_t sequence;           /* new points */
    int64_t past;               /* points in the cache */
    int64_t past_capacity;      /* rows of the past's buffers per head, at least past */
    int64_t present_capacity;   /* rows of the present's buffers per head, at least past + sequence */
    int64_t q_stride;           /* elements from one point's row of q to the next one's, at least heads x head_dim */
    int64_t k_stride;           /* the same of k and v, at least kv_heads x head_dim: rows may be parts of longer ones */
    int64_t v_stride;
    int32_t heads;              /* a multiple of kv_heads */
    int32_t kv_heads;
    int32_t head_dim;           /* even, 2 to 128 */
    int32_t io_type;            /* tmoe_type of q, k, v and y */
    int32_t cache_type;         /* tmoe_type of the cache */
    int32_t compute_type;       /* tmoe_type of the products' inputs; sums and the softmax are float32 */
    int32_t rotary_rounding;    /* tmoe_type to which cos and sin are rounded */
    float rope_theta;
    float scale;                /* of the scores; usually head_dim^-0.5 */
    uint32_t options;           /* TMOE_ALLOW_TF32 */
} tmoe_attention_shape;

/* Causal attention with rotary embedding and cache: query at point i attends to the real points j <= past + i.
 *
 *   q               io_type [batch, queries, heads x head_dim], not rotated
 *   k, v            io_type [batch, sequence, kv_heads x head_dim], not rotated
 *                   q, k and v begin anywhere, and have any stride, where head_dim is no multiple of 16; else both are multiples
 *                   of 16 bytes
 *   past_key/value  cache_type [batch, kv_heads, past_capacity, head_dim], keys rotated; null or the same pointers as the
 *                   present's: the past already lies there, and the new points are appended in place
 *   attention_mask  int64 [batch, past + sequence], at most 2^22 points, positive at real points; position = running count of real points - 1
 *   y               io_type [batch, queries, heads x head_dim]; zeros for a query that attends to nothing
 *   present_key/value  cache_type [batch, kv_heads, present_capacity, head_dim]: past + sequence rows are valid after
 */
size_t tmoe_flash_attention_workspace(const tmoe_attention_shape *shape);
tmoe_status tmoe_flash_attention(const tmoe_attention_shape *shape, const void *q, const void *k, const void *v,
                                 const void *past_key, const void *past_value, const int64_t *attention_mask, void *y,
                                 void *present_key, void *present_value, void *workspace, size_t workspace_bytes,
                                 tmoe_stream stream);

/* The compute_type with which the current device may do the work of `wanted`: `wanted` itself, or TMOE_FLOAT32, which rounds
 * less, where the device multiplies no bfloat16 (before sm_80). tmoe_flash_attention itself answers TMOE_UNSUPPORTED then. */
tmoe_status tmoe_attention_compute_type(int32_t wanted, int32_t *compute_type);

/* ---- rms_norm.cu ------------------------------------------------------------------------------------------------- */

typedef struct tmoe_rms_norm_shape {
    int64_t rows;
    int32_t hidden;           /* 1 to 8192 */
    int32_t io_type;          /* tmoe_type of x, residual, sum and y */
    float epsilon;
} tmoe_rms_norm_shape;

/* sum = x + residual; y = sum / sqrt(mean(sum^2) + epsilon) * weight, in float32.
 * residual may be null (then sum is x, and is not written), weight is float32 [hidden]; all others [rows, hidden]. sum may be x or
 * residual itself, and y may be x. */
tmoe_status tmoe_add_rms_norm(const tmoe_rms_norm_shape *shape, const void *x, const void *residual, const float *weight,
                              void *sum, void *y, tmoe_stream stream);

#ifdef __cplusplus
}
#endif

#endif /* TMOE_KERNELS_H */
