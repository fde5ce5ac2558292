#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "support/test.h"

namespace tmoe::test {

Cases &cases() {
    static Cases all;
    return all;
}

bool Run::expect(bool condition, const char *format, ...) {
    if (condition) return true;
    failed_ = true;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    messages_ += "        ";
    messages_ += line;
    messages_ += '\n';
    return false;
}

bool Run::expect_status(const char *what, int status, int expected) {
    return expect(status == expected, "%s: status %d (%s), expected %d (%s)", what, status, tmoe_status_text(status), expected,
                  tmoe_status_text(expected));
}

bool Run::close(const char *what, const std::vector<double> &actual, const std::vector<double> &expected, Tolerance tolerance) {
    if (!expect(actual.size() == expected.size(), "%s: %zu values, expected %zu", what, actual.size(), expected.size())) return false;
    double difference_squared = 0.0, expected_squared = 0.0, maximum = 0.0;
    std::size_t worst = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        if (std::isnan(expected[i]) && std::isnan(actual[i])) continue;
        if (std::isinf(expected[i]) && actual[i] == expected[i]) continue;
        const double difference = std::fabs(actual[i] - expected[i]);
        if (!std::isfinite(difference))
            return expect(false, "%s[%zu] is %g, expected %g", what, i, actual[i], expected[i]);
        if (difference > maximum) {
            maximum = difference;
            worst = i;
        }
        difference_squared += difference * difference;
        expected_squared += expected[i] * expected[i];
    }
    const double relative = difference_squared == 0.0 ? 0.0 : std::sqrt(difference_squared / expected_squared);
    compared_ = true;
    worst_relative_ = std::max(worst_relative_, relative);
    worst_maximum_ = std::max(worst_maximum_, maximum);
    return expect(relative <= tolerance.relative && maximum <= tolerance.maximum,
                  "%s: relative error %.3g (limit %.3g), largest difference %.3g (limit %.3g) at [%zu]: %.9g, expected %.9g", what,
                  relative, tolerance.relative, maximum, tolerance.maximum, worst, actual.empty() ? 0.0 : actual[worst],
                  expected.empty() ? 0.0 : expected[worst]);
}

bool Run::equal(const char *what, const std::vector<double> &actual, const std::vector<double> &expected) {
    if (!expect(actual.size() == expected.size(), "%s: %zu values, expected %zu", what, actual.size(), expected.size())) return false;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const bool same = actual[i] == expected[i] || (std::isnan(actual[i]) && std::isnan(expected[i]));
        if (!expect(same, "%s[%zu] is %.9g, expected %.9g", what, i, actual[i], expected[i])) return false;
    }
    return true;
}

}  // namespace tmoe::test
