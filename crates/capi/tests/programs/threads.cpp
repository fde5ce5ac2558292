// One forecaster, one stream, one token and the log, used by many threads at once. Prints what was not as expected, and ends with 1
// then.
#include <atomic>
#include <cmath>
#include <iostream>
#include <string>
#include <thread>
#include <tmoe.hpp>
#include <vector>

namespace {

std::atomic<int> failures{0};

void check(bool holds, const char *what) {
    if (!holds && failures++ == 0) {
        std::cout << what << std::endl;
    }
}

constexpr int threads = 8, rounds = 6;
constexpr std::size_t horizon = 9;

std::vector<double> series(int number) {
    std::vector<double> points;
    for (int index = 0; index < 12 + number; ++index) {
        points.push_back(number + std::sin(index * 0.7 * (number + 1)));
    }
    return points;
}

template <typename Function>
void on_threads(Function function) {
    std::vector<std::thread> running;
    for (int number = 0; number < threads; ++number) {
        running.emplace_back([number, &function] { function(number); });
    }
    for (std::thread &thread : running) {
        thread.join();
    }
}

// Every thread has a series of its own, and gets what it got when it was alone.
void one_forecaster(const tmoe::forecaster &forecaster) {
    std::vector<std::vector<float>> expected;
    for (int number = 0; number < threads; ++number) {
        expected.push_back(forecaster.forecast(series(number), horizon));
    }
    on_threads([&](int number) {
        for (int round = 0; round < rounds; ++round) {
            const std::size_t index = static_cast<std::size_t>(number);
            check(forecaster.forecast(series(number), horizon) == expected[index], "a thread got another forecast");
        }
    });
}

// All threads push to one stream and forecast from it; every point is there in the end, and its cache is right.
void one_stream(const tmoe::forecaster &forecaster) {
    tmoe::stream stream(forecaster);
    on_threads([&](int) {
        for (int round = 0; round < rounds; ++round) {
            stream.push(0.5);
            check(stream.forecast(horizon).size() == horizon, "no forecast from the stream");
        }
    });
    const std::vector<double> points(threads * rounds, 0.5);
    check(stream.size() == points.size(), "a point was lost");
    const std::vector<float> found = stream.forecast(horizon), expected = forecaster.forecast(points, horizon);
    for (std::size_t step = 0; step < horizon; ++step) {
        check(std::fabs(found[step] - expected[step]) <= 1e-4f, "the stream's cache is wrong");
    }
}

// Every thread has a stream of its own, and the forecaster goes before the streams do.
void many_streams(const std::string &package) {
    std::vector<tmoe::stream> streams;
    {
        const tmoe::forecaster forecaster(package, tmoe::options().provider("tract").normalization("none"));
        for (int number = 0; number < threads; ++number) {
            streams.emplace_back(forecaster);
        }
    }
    on_threads([&](int number) {
        tmoe::stream &stream = streams[static_cast<std::size_t>(number)];
        stream.push(series(number));
        check(stream.forecast(1).size() == 1, "no forecast from a stream");
    });
}

// One token stops all threads, which would forecast for ever.
void one_token(const tmoe::forecaster &forecaster) {
    const tmoe::cancel_token token;
    std::atomic<int> cancelled{0}, started{0};
    std::thread canceller([&] {
        while (started < threads) {
            std::this_thread::yield();
        }
        token.cancel();
    });
    on_threads([&](int number) {
        try {
            for (;;) {
                forecaster.forecast(series(number), horizon, &token);
                started++;
            }
        } catch (const tmoe::error &error) {
            cancelled += error.code() == TMOE_ERROR_CANCELLED;
        }
    });
    canceller.join();
    check(cancelled == threads, "a thread was not cancelled");
}

// Packages are opened, and tell it, while the callback is set and taken back.
void the_log(const std::string &package) {
    std::atomic<int> told{0};
    on_threads([&](int number) {
        if (number % 2 == 0) {
            tmoe::set_log([&](tmoe_log_level, std::string_view, std::string_view) { told++; });
        }
        tmoe::forecaster(package, tmoe::options().provider("tract"));
        if (number == 0) {
            tmoe::set_log(nullptr);
        }
    });
    tmoe::set_log(nullptr);
    const int before = told;
    tmoe::forecaster(package, tmoe::options().provider("tract"));
    check(told == before, "told after the callback was taken back");
}

} // namespace

int main(int count, char **arguments) {
    if (count != 2) {
        return 2;
    }
    const std::string package = arguments[1];
    const tmoe::forecaster forecaster(package, tmoe::options().provider("tract").normalization("none"));
    one_forecaster(forecaster);
    one_stream(forecaster);
    many_streams(package);
    one_token(forecaster);
    the_log(package);
    return failures == 0 ? 0 : 1;
}
