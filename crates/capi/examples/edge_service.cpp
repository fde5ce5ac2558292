// An edge service in C++: reads points from standard input, one a line, keeps a rolling window of them, and after every `every`
// points prints the forecast from there on as one line: the number of points so far, and the forecast.
//
//   edge_service PACKAGE HORIZON CONTEXT EVERY [MEAN DEVIATION]
//
// With two arguments more it is incremental: points are scaled by these numbers, which stay, and not by their window. Then a
// forecast computes only the points that are new since the one before it, until the window is full and begins anew with the newest
// half of its points. Without them each forecast computes its whole window.
//
// An empty line, or `nan`, is a missing point.
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tmoe.hpp>
#include <vector>

namespace {

// Points come in, forecasts come out.
class edge_service {
public:
    virtual ~edge_service() = default;
    virtual void take(double value) = 0;
    virtual std::vector<float> forecast(std::size_t horizon) = 0;
};

// Every forecast computes its whole window, which slides and is normalised by its own mean and deviation.
class sliding : public edge_service {
public:
    sliding(const std::string &package, std::size_t context)
        : forecaster_(package, tmoe::options().context(context)), context_(context) {}

    void take(double value) override {
        if (window_.size() == context_) {
            window_.erase(window_.begin());
        }
        window_.push_back(value);
    }

    std::vector<float> forecast(std::size_t horizon) override { return forecaster_.forecast(window_, horizon); }

private:
    tmoe::forecaster forecaster_;
    std::size_t context_;
    std::vector<double> window_;
};

// Every forecast computes the points that are new, scaled by numbers that stay.
class incremental : public edge_service {
public:
    incremental(const std::string &package, std::size_t context, double mean, double deviation)
        : forecaster_(package, tmoe::options().context(context).normalization("none")), stream_(forecaster_), mean_(mean),
          deviation_(deviation) {}

    ~incremental() override { std::cerr << "computed " << stream_.computed() << " points\n"; }

    void take(double value) override {
        if (stream_.size() == stream_.most()) {
            stream_.restart(stream_.most() / 2);
        }
        stream_.push((value - mean_) / deviation_);
    }

    std::vector<float> forecast(std::size_t horizon) override {
        std::vector<float> values = stream_.forecast(horizon);
        for (float &value : values) {
            value = static_cast<float>(static_cast<double>(value) * deviation_ + mean_);
        }
        return values;
    }

private:
    tmoe::forecaster forecaster_;
    tmoe::stream stream_;
    double mean_, deviation_;
};

// The forecast, unless there is nothing to forecast from: a window of missing points only.
std::optional<std::vector<float>> forecast(edge_service &of, std::size_t horizon) {
    try {
        return of.forecast(horizon);
    } catch (const tmoe::error &error) {
        if (error.code() != TMOE_ERROR_SERIES) {
            throw;
        }
        std::cerr << "no forecast: " << error.what() << '\n';
        return std::nullopt;
    }
}

void serve(edge_service &service, std::size_t horizon, std::size_t every) {
    std::string line;
    for (std::size_t points = 1; std::getline(std::cin, line); ++points) {
        char *end = nullptr;
        const double read = std::strtod(line.c_str(), &end);
        service.take(end == line.c_str() ? std::nan("") : read);
        if (points % every != 0) {
            continue;
        }
        if (const auto values = forecast(service, horizon)) {
            std::cout << points;
            for (const float value : *values) {
                std::cout << ' ' << std::setprecision(7) << value;
            }
            std::cout << std::endl;
        }
    }
}

int run(const std::vector<std::string> &arguments) {
    tmoe::set_log([](tmoe_log_level level, std::string_view target, std::string_view message) {
        std::cerr << (level <= TMOE_LOG_WARN ? "warning " : "info ") << target << ": " << message << '\n';
    });
    const std::string &package = arguments[0];
    const std::size_t horizon = std::stoull(arguments[1]), context = std::stoull(arguments[2]), every = std::stoull(arguments[3]);
    std::unique_ptr<edge_service> service;
    if (arguments.size() == 6) {
        service = std::make_unique<incremental>(package, context, std::stod(arguments[4]), std::stod(arguments[5]));
    } else {
        service = std::make_unique<sliding>(package, context);
    }
    serve(*service, horizon, every != 0 ? every : 1);
    service.reset();
    tmoe::set_log(nullptr);
    return 0;
}

} // namespace

int main(int count, char **arguments) {
    if (count != 5 && count != 7) {
        std::cerr << "usage: " << arguments[0] << " PACKAGE HORIZON CONTEXT EVERY [MEAN DEVIATION]\n";
        return 2;
    }
    try {
        return run(std::vector<std::string>(arguments + 1, arguments + count));
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}
