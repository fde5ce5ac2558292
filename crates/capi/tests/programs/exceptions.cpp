// The C++ interface: errors as exceptions, views of any container, values as those of C. Prints what was not as expected, and ends with
// 1 then.
#include <array>
#include <cmath>
#include <functional>
#include <iostream>
#include <string>
#include <tmoe.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

int failures = 0;

void check(bool holds, const std::string &what) {
    if (!holds) {
        std::cout << what << '\n';
        failures += 1;
    }
}

void throws(tmoe_code code, const std::string &text, const std::function<void()> &call) {
    try {
        call();
        check(false, "no error with " + text);
    } catch (const tmoe::error &error) {
        check(error.code() == code, "another code: " + std::string(error.what()));
        check(std::string(error.what()).find(text) != std::string::npos, text + " is not in " + error.what());
    }
}

static_assert(std::is_move_constructible_v<tmoe::forecaster> && !std::is_copy_constructible_v<tmoe::forecaster>);
static_assert(std::is_constructible_v<tmoe::span<const double>, std::vector<double> &>);
static_assert(std::is_constructible_v<tmoe::span<const double>, const std::array<double, 3> &>);
static_assert(!std::is_constructible_v<tmoe::span<double>, const std::vector<double> &>);
static_assert(!std::is_constructible_v<tmoe::span<const double>, std::vector<float> &>);

void forecasts(const tmoe::forecaster &forecaster) {
    const std::vector<double> series = {1.0, 2.0, std::nan(""), 4.0, 3.0};
    const std::array<double, 2> other = {5.0, 6.0};
    const double array[] = {5.0, 6.0};
    const std::vector<float> one = forecaster.forecast(series, 9);
    check(one.size() == 9, "as many points as the horizon");
    check(forecaster.forecast(other, 3) == forecaster.forecast(array, 3), "views of the same points");
    const std::vector<std::vector<double>> many = {series, {5.0, 6.0}};
    const auto both = forecaster.forecast(many, 9);
    check(both.size() == 2 && both[0].size() == 9, "a forecast for each series");
    for (std::size_t step = 0; step < one.size(); ++step) {
        check(std::fabs(both[0][step] - one[step]) <= 1e-4f * std::fabs(one[step]), "a series' forecast depends on no other");
    }
    check(forecaster.forecast(std::vector<std::vector<double>>(), 9).empty(), "no forecast for no series");

    tmoe::cancel_token token;
    check(forecaster.forecast(series, 9, &token) == one && !token.is_cancelled(), "a token that is not cancelled");
    token.cancel();
    throws(TMOE_ERROR_CANCELLED, "cancelled", [&] { forecaster.forecast(series, 9, &token); });
    throws(TMOE_ERROR_HORIZON, "is too long", [&] { forecaster.forecast(series, static_cast<std::size_t>(-1)); });
    throws(TMOE_ERROR_HORIZON, "is 0", [&] { forecaster.forecast(series, 0); });
    throws(TMOE_ERROR_SERIES, "is empty", [&] { forecaster.forecast(std::vector<double>(), 9); });
    std::array<float, 8> room = {};
    const tmoe::span<const double> view(series);
    throws(TMOE_ERROR_LENGTH, "room for 8 numbers, expected 9", [&] { forecaster.forecast_into({&view, 1}, 9, room); });
}

void streams(const std::string &package, const tmoe::forecaster &normalizes) {
    throws(TMOE_ERROR_STATE, "normalisation none", [&] { tmoe::stream stream(normalizes); });
    const tmoe::forecaster forecaster(package, tmoe::options().provider("tract").normalization("none").context(8));
    tmoe::stream stream(forecaster);
    std::vector<double> points;
    for (int index = 0; index < 8; ++index) {
        points.push_back(std::sin(index));
        stream.push(points.back());
        const std::vector<float> found = stream.forecast(9), expected = forecaster.forecast(points, 9);
        for (std::size_t step = 0; step < found.size(); ++step) {
            check(std::fabs(found[step] - expected[step]) <= 1e-4f, "a stream gives what the whole window gives");
        }
    }
    // One new point for each forecast, and the 8 that its last one continues from.
    check(stream.computed() == 8 + 8 * 8, "computed " + std::to_string(stream.computed()));
    throws(TMOE_ERROR_STREAM_FULL, "restart it", [&] { stream.push(0.5); });
    throws(TMOE_ERROR_HORIZON, "is too long", [&] { stream.forecast(static_cast<std::size_t>(-1)); });
    stream.restart(2);
    check(stream.size() == 2 && stream.most() == 8, "two points are kept");
    tmoe::stream moved = std::move(stream);
    check(moved.forecast(1).size() == 1, "a stream that was moved");
}

void logs(const std::string &package) {
    std::vector<std::string> told;
    tmoe::set_log([&](tmoe_log_level, std::string_view target, std::string_view message) {
        told.push_back(std::string(target) + ": " + std::string(message));
        throw std::runtime_error("dropped");
    });
    tmoe::forecaster(package, tmoe::options().provider("tract"));
    tmoe::set_log(nullptr);
    tmoe::forecaster(package, tmoe::options().provider("tract"));
    check(told.size() == 1 && told[0] == "tmoe_capi::log: opened " + package + ": graph standard in fp32 on tract",
          told.empty() ? "nothing was told" : told[0]);
}

} // namespace

int main(int count, char **arguments) {
    if (count != 2) {
        return 2;
    }
    const std::string package = arguments[1];
    const tmoe::forecaster forecaster(package, tmoe::options().provider("tract").threads(2).spinning(false));
    check(forecaster.provider() == "tract" && forecaster.graph() == "standard" && forecaster.precision() == "fp32", "facts");
    check(forecaster.horizon_lengths() == std::vector<std::size_t>({1, 8, 32, 64}), "the heads");
    check(forecaster.max_horizon() == 511 && forecaster.passed_over().empty(), "limits");
    throws(TMOE_ERROR_OPTION, "no provider `gpu`", [] { tmoe::options().provider("gpu"); });
    throws(TMOE_ERROR_PACKAGE, "does not exist", [] { tmoe::forecaster("/no/such/package"); });
    forecasts(forecaster);
    streams(package, forecaster);
    logs(package);
    return failures == 0 ? 0 : 1;
}
