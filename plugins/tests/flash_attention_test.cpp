// FlashAttention against attention in float64.
//
// On the emulator, from plugins/:
//   g++ -std=c++17 -O2 -I tests/emulator -I tests -I kernels -o flash_attention_test -x c++ tests/flash_attention_test.cpp
//       kernels/flash_attention*.cu kernels/status.cu tests/emulator/emulator/*.cpp tests/support/*.cpp
// On a GPU: nvcc -std=c++17 -O3 -arch=native -I tests -I kernels -x cu, and the same files without the emulator's.
#include "flash_attention_reference.h"

#include <cstdio>

#include "support/test.h"

namespace tmoe::test {
namespace {

// Where q, k and v lie: apart, or as parts of one tensor's rows.
enum class Packing { None, KeyValue, All };

struct Attention {
    tmoe_attention_shape shape;
    Masking masking;
    bool in_place;
    Packing packing = Packing::None;
};

tmoe_attention_shape usual_shape() {
    tmoe_attention_shape shape{};
    shape.batch = 1;
    shape.queries = shape.sequence = 1;
    shape.heads = shape.kv_heads = 2;
    shape.head_dim = 32;
    shape.io_type = shape.cache_type = shape.compute_type = shape.rotary_rounding = TMOE_FLOAT32;
    shape.rope_theta = 10000.0f;
    return shape;
}

// Capacities, scale and strides follow from the rest.
tmoe_attention_shape finished(tmoe_attention_shape shape, std::int64_t spare = 0, Packing packing = Packing::None) {
    const std::int64_t width = std::int64_t(shape.heads) * shape.head_dim, kv_width = std::int64_t(shape.kv_heads) * shape.head_dim;
    const std::int64_t all = width + 2 * kv_width;
    shape.q_stride = packing == Packing::All ? all : width;
    shape.k_stride = shape.v_stride = packing == Packing::All ? all : packing == Packing::KeyValue ? 2 * kv_width : kv_width;
    shape.past_capacity = shape.past + spare;
    shape.present_capacity = shape.past + shape.sequence + spare;
    if (shape.scale == 0.0f) shape.scale = 1.0f / std::sqrt(float(shape.head_dim));
    return shape;
}

std::string describe(const Attention &attention) {
    const tmoe_attention_shape &s = attention.shape;
    const char *packings[] = {"", ", keys and values packed", ", all packed"};
    char text[256];
    std::snprintf(text, sizeof text, "%lld x %lld of %lld on %lld, %d/%d heads of %d, %s/%s/%s%s, %s, %s%s", (long long)s.batch,
                  (long long)s.queries, (long long)s.sequence, (long long)s.past, s.heads, s.kv_heads, s.head_dim,
                  type_name(tmoe_type(s.io_type)), type_name(tmoe_type(s.cache_type)), type_name(tmoe_type(s.compute_type)),
                  s.options & TMOE_ALLOW_TF32 ? " (tf32)" : "", masking_name(attention.masking), attention.in_place ? "in place" : "copied",
                  packings[int(attention.packing)]);
    return text;
}

// Of y, relative: the products' inputs are rounded to the type that is computed in, the result to that of y.
double tolerance_of(const tmoe_attention_shape &shape) {
    const bool tf32 = shape.compute_type == TMOE_FLOAT32 && (shape.options & TMOE_ALLOW_TF32) != 0;
    const double products = tf32 || shape.compute_type == TMOE_FLOAT16 ? 1e-3 : shape.compute_type == TMOE_FLOAT32 ? 3e-6 : 7e-3;
    return products + unit_roundoff(tmoe_type(shape.io_type));
}

// What rows beyond the points hold before and after.
constexpr float kUntouched = 7.0f;

// [heads, rows, head_dim] out of [heads, capacity, head_dim].
std::vector<float> first_rows(const std::vector<float> &values, std::int64_t heads, std::int64_t capacity, std::int64_t rows, int head_dim) {
    std::vector<float> result;
    for (std::int64_t head = 0; head < heads; ++head) {
        const auto from = values.begin() + head * capacity * head_dim;
        result.insert(result.end(), from, from + rows * head_dim);
    }
    return result;
}

// The reverse, with kUntouched in the other rows.
std::vector<float> with_capacity(const std::vector<float> &values, std::int64_t heads, std::int64_t rows, std::int64_t capacity, int head_dim) {
    std::vector<float> result;
    for (std::int64_t head = 0; head < heads; ++head) {
        const auto from = values.begin() + head * rows * head_dim;
        result.insert(result.end(), from, from + rows * head_dim);
        result.insert(result.end(), std::size_t((capacity - rows) * head_dim), kUntouched);
    }
    return result;
}

// Rows of several tensors side by side: [rows, widths[0] + widths[1] ..].
std::vector<float> side_by_side(std::vector<const std::vector<float> *> parts, std::vector<std::int64_t> widths) {
    std::vector<float> result;
    const std::size_t rows = parts[0]->size() / std::size_t(widths[0]);
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t part = 0; part < parts.size(); ++part) {
            const auto from = parts[part]->begin() + std::ptrdiff_t(row) * widths[part];
            result.insert(result.end(), from, from + widths[part]);
        }
    }
    return result;
}

// Elements from the beginning of a tensor, `size` bytes each.
const void *behind(const TypedBuffer &tensor, std::int64_t elements, std::size_t size) {
    return static_cast<const unsigned char *>(tensor.data()) + std::size_t(elements) * size;
}

struct Answer {
    std::vector<float> y, present_key, present_value;
};

Answer call(Run &run, const AttentionProblem &problem, bool in_place, Packing packing = Packing::None) {
    const tmoe_attention_shape &shape = problem.shape;
    const std::int64_t heads = shape.batch * shape.kv_heads;
    const auto io = tmoe_type(shape.io_type), cache = tmoe_type(shape.cache_type);
    const std::int64_t width = std::int64_t(shape.heads) * shape.head_dim, kv_width = std::int64_t(shape.kv_heads) * shape.head_dim;
    const std::vector<float> packed = packing == Packing::All ? side_by_side({&problem.q, &problem.k, &problem.v}, {width, kv_width, kv_width})
                                                              : side_by_side({&problem.k, &problem.v}, {kv_width, kv_width});
    const bool all = packing == Packing::All, apart = packing == Packing::None;
    const TypedBuffer q_tensor(io, all ? packed : problem.q), k_tensor(io, apart ? problem.k : packed), v_tensor(io, problem.v);
    const TypedBuffer y(io, problem.q.size());
    const std::size_t size = io == TMOE_FLOAT32 ? 4 : 2;
    const void *const q = q_tensor.data();
    const void *const k = all ? behind(q_tensor, width, size) : k_tensor.data();
    const void *const v = all ? behind(q_tensor, width + kv_width, size) : apart ? v_tensor.data() : behind(k_tensor, kv_width, size);
    const DeviceBuffer<std::int64_t> mask(problem.mask);
    const auto present = [&](const std::vector<float> &past) {
        const std::vector<float> nothing;
        return TypedBuffer(cache, with_capacity(in_place ? past : nothing, heads, in_place ? shape.past : 0, shape.present_capacity, shape.head_dim));
    };
    const TypedBuffer present_key = present(problem.past_key), present_value = present(problem.past_value);
    const TypedBuffer past_key(cache, with_capacity(problem.past_key, heads, shape.past, shape.past_capacity, shape.head_dim));
    const TypedBuffer past_value(cache, with_capacity(problem.past_value, heads, shape.past, shape.past_capacity, shape.head_dim));
    const DeviceBuffer<unsigned char> workspace(tmoe_flash_attention_workspace(&shape));
    // Both ways to say that the past lies there already.
    const bool null = in_place && run.random.below(2) == 0;
    const void *from_key = null ? nullptr : in_place ? present_key.data() : past_key.data();
    const void *from_value = null ? nullptr : in_place ? present_value.data() : past_value.data();
    run.expect_ok("status", tmoe_flash_attention(&shape, q, k, v, from_key, from_value, mask.data(), y.data(),
                                                 present_key.data(), present_value.data(), workspace.data(), workspace.bytes(), nullptr));
    return {y.download(), present_key.download(), present_value.download()};
}

void check(Run &run, const Attention &attention) {
    const AttentionProblem problem = make_attention_problem(attention.shape, attention.masking, run.random);
    const tmoe_attention_shape &shape = problem.shape;
    const AttentionSolution expected = solve(problem);
    const Answer answer = call(run, problem, attention.in_place, attention.packing);

    run.expect_close("y", answer.y, expected.y, {tolerance_of(shape)});

    const std::int64_t heads = shape.batch * shape.kv_heads, total = problem.total();
    const auto cache = tmoe_type(shape.cache_type);
    const auto rows = [&](const std::vector<float> &values) { return first_rows(values, heads, shape.present_capacity, total, shape.head_dim); };
    std::vector<float> value;
    for (double x : expected.present_value) value.push_back(rounded(cache, float(x)));
    run.expect_equal("present_value", rows(answer.present_value), value);
    // Garbage cannot be compared once it is rotated.
    std::vector<double> key, found_key = doubles(rows(answer.present_key));
    for (std::size_t i = 0; i < found_key.size(); ++i) {
        const std::int64_t row = std::int64_t(i) / shape.head_dim, point = row % total, series = row / total / shape.kv_heads;
        const bool compared = point < shape.past || problem.real(series, point);
        key.push_back(compared ? rounded(cache, float(expected.present_key[i])) : 0.0);
        if (!compared) found_key[i] = 0.0;
    }
    run.expect_close("present_key", found_key, key, {cache == TMOE_FLOAT32 ? 1e-6 : unit_roundoff(cache)});

    for (const std::vector<float> *present : {&answer.present_key, &answer.present_value}) {
        const auto again = with_capacity(rows(*present), heads, total, shape.present_capacity, shape.head_dim);
        run.expect_equal("rows beyond the points", *present, again);
    }
}

void add(Cases &cases, const Attention &attention) {
    const bool needs_80 = attention.shape.compute_type == TMOE_BFLOAT16;
    cases.add(describe(attention), needs_80 ? 80 : 0, [=](Run &run) { check(run, attention); });
}

// Every combination of types, for few queries and for many.
TMOE_CASES(cases) {
    Random random(1);
    const std::int32_t types[] = {TMOE_FLOAT32, TMOE_FLOAT16, TMOE_BFLOAT16};
    for (std::int32_t io : types) {
        for (std::int32_t cache : types) {
            for (std::int32_t compute : types) {
                for (bool few : {true, false}) {
                    tmoe_attention_shape shape = usual_shape();
                    shape.io_type = io;
                    shape.cache_type = cache;
                    shape.compute_type = compute;
                    shape.rotary_rounding = types[random.below(3)];
                    shape.head_dim = random.below(2) ? 32 : 64;
                    shape.sequence = few ? 3 : 70;
                    shape.queries = few ? 1 : 70;
                    shape.past = 40;
                    shape.heads = few ? 4 : 2;
                    add(cases, {finished(shape, 3), few ? Masking::Holes : Masking::LeftPadding, random.below(2) == 0});
                }
            }
        }
    }
}

// Random shapes of every kind.
TMOE_CASES(cases) {
    Random random(2);
    const int head_dims[] = {8, 16, 24, 32, 40, 48, 56, 64, 72, 88, 96, 120, 128, 2, 6, 10, 34, 66};
    for (int i = 0; i < 120; ++i) {
        tmoe_attention_shape shape = usual_shape();
        shape.batch = 1 + random.below(3);
        shape.kv_heads = int(1 + random.below(2));
        shape.heads = shape.kv_heads * int(1 + random.below(3));
        shape.head_dim = head_dims[random.below(18)];
        shape.past = random.below(3) ? random.below(200) : 0;
        shape.sequence = 1 + random.below(random.below(2) ? 100 : 8);
        shape.queries = random.below(3) ? shape.sequence : random.below(shape.sequence + 1);
        shape.compute_type = int(random.below(3));
        shape.io_type = random.below(2) ? TMOE_FLOAT32 : int(random.below(3));
        shape.cache_type = random.below(5) ? shape.compute_type : int(random.below(3));
        shape.rotary_rounding = int(random.below(3));
        shape.rope_theta = random.below(2) ? 10000.0f : 100.25f;
        if (random.below(4) == 0) shape.scale = 0.37f;
        if (random.below(2)) shape.options = TMOE_ALLOW_TF32;
        const Masking masking = Masking(random.below(5));
        add(cases, {finished(shape, random.below(20)), masking, random.below(2) == 0});
    }
}

// q, k and v as parts of the rows of a projection.
TMOE_CASES(cases) {
    Random random(4);
    const int head_dims[] = {32, 64, 128, 16, 20, 2, 6};
    for (int i = 0; i < 40; ++i) {
        const Packing packing = i % 2 == 0 ? Packing::All : Packing::KeyValue;
        tmoe_attention_shape shape = usual_shape();
        shape.batch = 1 + random.below(3);
        shape.kv_heads = int(1 + random.below(3));
        shape.heads = shape.kv_heads * int(1 + random.below(2));
        shape.head_dim = head_dims[random.below(7)];
        shape.past = random.below(2) ? random.below(100) : 0;
        shape.sequence = 1 + random.below(random.below(2) ? 80 : 4);
        shape.queries = packing == Packing::All ? shape.sequence : 1;
        shape.compute_type = int(random.below(3));
        shape.io_type = int(random.below(3));
        shape.cache_type = int(random.below(3));
        add(cases, {finished(shape, random.below(5), packing), Masking(random.below(5)), random.below(2) == 0, packing});
    }
}

// Keys divided over blocks: 512 or more of them, and few rows.
TMOE_CASES(cases) {
    Random random(3);
    for (std::int32_t compute : {TMOE_FLOAT32, TMOE_FLOAT16, TMOE_BFLOAT16}) {
        for (int head_dim : {32, 64, 128, 20}) {
            for (Masking masking : {Masking::Nothing, Masking::LeftPadding, Masking::MostlyHoles}) {
                tmoe_attention_shape shape = usual_shape();
                shape.head_dim = head_dim;
                shape.compute_type = shape.cache_type = compute;
                shape.options = random.below(2) ? TMOE_ALLOW_TF32 : 0;
                shape.kv_heads = 1;
                shape.heads = int(1 + random.below(2));
                shape.sequence = shape.queries = random.below(2) ? 1 + random.below(6) : 20 + random.below(40);
                shape.past = 500 + random.below(500);
                add(cases, {finished(shape, 5), masking, true});
            }
        }
    }
}

// Blocks of 128 rows, which take many series or heads.
TMOE_CASES(cases) {
    for (std::int32_t compute : {TMOE_FLOAT16, TMOE_BFLOAT16}) {
        for (int head_dim : {32, 64}) {
            tmoe_attention_shape shape = usual_shape();
            shape.batch = 16;
            shape.heads = shape.kv_heads = 8;
            shape.head_dim = head_dim;
            shape.compute_type = shape.cache_type = compute;
            shape.sequence = shape.queries = 130;
            add(cases, {finished(shape), head_dim == 32 ? Masking::Holes : Masking::Nothing, true});
        }
    }
}

// What comes later may be anything: infinities and NaN in the new points' keys and values reach no query before them.
TMOE_CASES(cases) {
    for (std::int32_t compute : {TMOE_FLOAT32, TMOE_FLOAT16, TMOE_BFLOAT16}) {
        for (bool tf32 : {false, true}) {
            if (tf32 && compute != TMOE_FLOAT32) continue;
            for (std::int64_t sequence : {3, 40}) {
                tmoe_attention_shape shape = usual_shape();
                shape.compute_type = shape.cache_type = compute;
                shape.options = tf32 ? TMOE_ALLOW_TF32 : 0;
                shape.sequence = shape.queries = sequence;
                shape.past = 21;
                shape.heads = 4;
                shape = finished(shape);
                const std::string name = "later points do not matter: " + describe({shape, Masking::Holes, true});
                cases.add(name, compute == TMOE_BFLOAT16 ? 80 : 0, [=](Run &run) {
                    AttentionProblem problem = make_attention_problem(shape, Masking::Holes, run.random);
                    const std::int64_t first = sequence / 2, row = std::int64_t(shape.kv_heads) * shape.head_dim;
                    for (std::size_t i = std::size_t(first * row); i < problem.k.size(); ++i) {
                        problem.k[i] = garbage(run.random);
                        problem.v[i] = garbage(run.random);
                    }
                    std::vector<double> expected = solve(problem).y;
                    std::vector<float> found = call(run, problem, true).y;
                    expected.resize(std::size_t(first * shape.heads * shape.head_dim));
                    found.resize(expected.size());
                    run.expect_close("y before", found, expected, {tolerance_of(shape)});
                });
            }
        }
    }
}

TMOE_CASE("large positions keep the precision of their angles") {
    tmoe_attention_shape shape = usual_shape();
    shape.past = 3000;
    shape.sequence = shape.queries = 2;
    shape.heads = shape.kv_heads = 1;
    shape.head_dim = 16;
    check(run, {finished(shape), Masking::Nothing, true});
}

TMOE_CASE("nothing to do is no error") {
    tmoe_attention_shape shape = usual_shape();
    for (int which = 0; which < 3; ++which) {
        tmoe_attention_shape empty = shape;
        if (which == 0) empty.batch = 0;
        if (which == 1) empty.queries = 0;
        if (which == 2) empty.queries = empty.sequence = 0, empty.past = 5;
        for (bool in_place : {true, false}) check(run, {finished(empty), Masking::Nothing, in_place});
    }
}

TMOE_CASE("products of a type that the device lacks are done in float32") {
    for (std::int32_t wanted : {TMOE_FLOAT32, TMOE_FLOAT16, TMOE_BFLOAT16}) {
        tmoe_attention_shape shape = usual_shape();
        run.expect_ok("status", tmoe_attention_compute_type(wanted, &shape.compute_type));
        const bool lacks = wanted == TMOE_BFLOAT16 && run.capability < 80;
        run.expect_status("compute_type", shape.compute_type, lacks ? TMOE_FLOAT32 : wanted);
        check(run, {finished(shape), Masking::Nothing, true});
    }
    std::int32_t compute_type = 0;
    run.expect_status("no such type", tmoe_attention_compute_type(3, &compute_type), TMOE_INVALID_ARGUMENT);
    run.expect_status("no place", tmoe_attention_compute_type(TMOE_FLOAT32, nullptr), TMOE_INVALID_ARGUMENT);
}

TMOE_CASE("wrong arguments are refused") {
    const tmoe_attention_shape good = finished(usual_shape());
    const DeviceBuffer<float> x(1024);
    const DeviceBuffer<std::int64_t> mask(std::vector<std::int64_t>(1, 1));
    const DeviceBuffer<unsigned char> workspace(4096);
    const auto status = [&](const tmoe_attention_shape &shape, const float *q, std::size_t bytes) {
        return tmoe_flash_attention(&shape, q, x.data(), x.data(), nullptr, nullptr, mask.data(), x.data(), x.data(), x.data(), workspace.data(), bytes, nullptr);
    };
    const auto changed = [&](auto change) {
        tmoe_attention_shape shape = good;
        change(shape);
        return status(shape, x.data(), workspace.bytes());
    };
    run.expect_status("no q", status(good, nullptr, workspace.bytes()), TMOE_INVALID_ARGUMENT);
    run.expect_status("q not aligned", status(good, x.data() + 1, workspace.bytes()), TMOE_INVALID_ARGUMENT);
    run.expect_status("no workspace", status(good, x.data(), 0), TMOE_WORKSPACE_TOO_SMALL);
    run.expect_status("odd head_dim", changed([](auto &s) { s.head_dim = 31; }), TMOE_INVALID_ARGUMENT);
    run.expect_status("large head_dim", changed([](auto &s) { s.head_dim = 130; }), TMOE_UNSUPPORTED);
    run.expect_status("heads", changed([](auto &s) { s.heads = 3; }), TMOE_INVALID_ARGUMENT);
    run.expect_status("queries", changed([](auto &s) { s.queries = 2; }), TMOE_INVALID_ARGUMENT);
    run.expect_status("present_capacity", changed([](auto &s) { s.present_capacity = 0; }), TMOE_INVALID_ARGUMENT);
    run.expect_status("q_stride", changed([](auto &s) { s.q_stride = 63; }), TMOE_INVALID_ARGUMENT);
    run.expect_status("k_stride", changed([](auto &s) { s.k_stride = 63; }), TMOE_INVALID_ARGUMENT);
    run.expect_status("v_stride not aligned", changed([](auto &s) { s.v_stride = 65; }), TMOE_INVALID_ARGUMENT);
    run.expect_status("type", changed([](auto &s) { s.io_type = 3; }), TMOE_INVALID_ARGUMENT);
    run.expect_status("points", changed([](auto &s) { s.past = s.present_capacity = std::int64_t(1) << 40; }), TMOE_UNSUPPORTED);
    run.expect_status("bfloat16", changed([](auto &s) { s.compute_type = TMOE_BFLOAT16; }), run.capability >= 80 ? TMOE_OK : TMOE_UNSUPPORTED);
    run.expect_status("nothing wrong", changed([](auto &) {}), TMOE_OK);
}

}  // namespace
}  // namespace tmoe::test
