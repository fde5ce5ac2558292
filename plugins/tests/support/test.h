// Named cases, and what a case is given to work with.
//
//     TMOE_CASE("sums of no rows are zero") { run.expect_equal("sum", actual, expected); }
//     TMOE_CASE_NEEDS(80, "bfloat16 products are exact") { ... }
//     TMOE_CASES(cases) {
//         for (int rows : {0, 1, 17}) cases.add("sums of " + std::to_string(rows) + " rows", 0, [=](Run &run) { ... });
//     }
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "support/device_buffer.h"
#include "support/element_types.h"
#include "support/random.h"

namespace tmoe::test {

// What two vectors may differ by; a limit of infinity is no limit.
struct Tolerance {
    double relative;              // ||actual - expected|| / ||expected||
    double maximum = INFINITY;    // max |actual - expected|
};

// One run of a case.
class Run {
public:
    Run(std::uint64_t seed, int capability) : random(seed), capability(capability) {}

    // Seeded by the case's name.
    Random random;
    // Of the device in use: 75, 80, 90 ...
    const int capability;

    // Fails, and goes on, unless `condition` holds.
    __attribute__((format(printf, 3, 4))) bool expect(bool condition, const char *format, ...);

    // A tmoe_status of 0.
    bool expect_ok(const char *what, int status) { return expect_status(what, status, 0); }
    bool expect_status(const char *what, int status, int expected);

    // Any element types that convert to double, or float16 and bfloat16. NaN matches nothing but NaN, infinity only itself.
    template <class A, class B>
    bool expect_close(const char *what, const std::vector<A> &actual, const std::vector<B> &expected, Tolerance tolerance) {
        return close(what, doubles(actual), doubles(expected), tolerance);
    }
    template <class A, class B>
    bool expect_equal(const char *what, const std::vector<A> &actual, const std::vector<B> &expected) {
        return equal(what, doubles(actual), doubles(expected));
    }

    // What is known so far.
    bool failed() const { return failed_; }
    const std::string &messages() const { return messages_; }
    double worst_relative() const { return worst_relative_; }
    double worst_maximum() const { return worst_maximum_; }
    bool compared() const { return compared_; }

private:
    bool close(const char *what, const std::vector<double> &actual, const std::vector<double> &expected, Tolerance tolerance);
    bool equal(const char *what, const std::vector<double> &actual, const std::vector<double> &expected);

    bool failed_ = false;
    bool compared_ = false;
    double worst_relative_ = 0.0;
    double worst_maximum_ = 0.0;
    std::string messages_;
};

struct Case {
    std::string name;
    int capability;   // the least that it needs
    std::function<void(Run &)> body;
};

class Cases {
public:
    void add(std::string name, int capability, std::function<void(Run &)> body) {
        all_.push_back({std::move(name), capability, std::move(body)});
    }
    const std::vector<Case> &all() const { return all_; }

private:
    std::vector<Case> all_;
};

// The process's cases.
Cases &cases();

// Adds to the process's cases while the program starts.
struct Registration {
    Registration(const char *name, int capability, void (*body)(Run &)) { cases().add(name, capability, body); }
    explicit Registration(void (*add)(Cases &)) { add(cases()); }
};

}  // namespace tmoe::test

#define TMOE_JOIN_(a, b) a##b
#define TMOE_JOIN(a, b) TMOE_JOIN_(a, b)
#define TMOE_CASE_NEEDS_(capability, name, id)                                                                \
    static void TMOE_JOIN(tmoe_case_, id)([[maybe_unused]] ::tmoe::test::Run & run);                          \
    static const ::tmoe::test::Registration TMOE_JOIN(tmoe_registration_, id)(name, capability,               \
                                                                             TMOE_JOIN(tmoe_case_, id));      \
    static void TMOE_JOIN(tmoe_case_, id)([[maybe_unused]] ::tmoe::test::Run & run)
#define TMOE_CASE_NEEDS(capability, name) TMOE_CASE_NEEDS_(capability, name, __LINE__)
#define TMOE_CASE(name) TMOE_CASE_NEEDS(0, name)
#define TMOE_CASES_(parameter, id)                                                                            \
    static void TMOE_JOIN(tmoe_cases_, id)(::tmoe::test::Cases & parameter);                                  \
    static const ::tmoe::test::Registration TMOE_JOIN(tmoe_registration_, id)(TMOE_JOIN(tmoe_cases_, id));    \
    static void TMOE_JOIN(tmoe_cases_, id)(::tmoe::test::Cases & parameter)
#define TMOE_CASES(parameter) TMOE_CASES_(parameter, __LINE__)
