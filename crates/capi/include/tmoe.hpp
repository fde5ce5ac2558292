// The C++ interface of tmoe, C++17: handles that free themselves, views in place of pointers and lengths, exceptions in place of
// codes. Header only, over tmoe.h, whose comments say what each call does.
#ifndef TMOE_HPP
#define TMOE_HPP

#include "tmoe.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tmoe {

// Elements that lie one after the other and belong to somebody else: what std::span is in C++20. Made of a pointer and a length, of
// an array, or of a container with data() and size().
template <typename T>
class span {
public:
    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N>
    constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    template <typename Container,
              typename Element = std::remove_pointer_t<decltype(std::declval<Container &>().data())>,
              typename = std::enable_if_t<std::is_convertible_v<Element (*)[], T (*)[]>>>
    constexpr span(Container &&container) noexcept : data_(container.data()), size_(container.size()) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t index) const noexcept { return data_[index]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

// What a call throws when it fails: what() says where and what to do.
class error : public std::runtime_error {
public:
    error(tmoe_code code, const std::string &message) : std::runtime_error(message), code_(code) {}
    tmoe_code code() const noexcept { return code_; }

private:
    tmoe_code code_;
};

namespace detail {

struct deleter {
    void operator()(tmoe_error *handle) const noexcept { tmoe_error_free(handle); }
    void operator()(tmoe_options *handle) const noexcept { tmoe_options_free(handle); }
    void operator()(tmoe_forecaster *handle) const noexcept { tmoe_forecaster_free(handle); }
    void operator()(tmoe_stream *handle) const noexcept { tmoe_stream_free(handle); }
    void operator()(tmoe_cancel_token *handle) const noexcept { tmoe_cancel_token_free(handle); }
};

template <typename T>
using handle = std::unique_ptr<T, deleter>;

// Calls a function with its last argument, the error, and throws what it left there.
template <typename Function, typename... Arguments>
void call(Function function, Arguments... arguments) {
    tmoe_error *raw = nullptr;
    const tmoe_code code = function(arguments..., &raw);
    const handle<tmoe_error> failure(raw);
    if (code != TMOE_OK) {
        throw error(code, raw != nullptr ? tmoe_error_message(raw) : "tmoe failed without a message");
    }
}

template <typename T>
T *made(T *handle) {
    if (handle == nullptr) {
        throw std::bad_alloc();
    }
    return handle;
}

inline std::string text(const char *text) { return text != nullptr ? text : ""; }

} // namespace detail

// How a forecaster is opened. Each setter gives the options back, so that they can be written one behind the other.
class options {
public:
    options() : handle_(detail::made(tmoe_options_new())) {}

    options &provider(const std::string &name) { return set(tmoe_options_set_provider, name.c_str()); }
    options &graph(const std::string &name) { return set(tmoe_options_set_graph, name.c_str()); }
    options &normalization(const std::string &name) { return set(tmoe_options_set_normalization, name.c_str()); }
    options &threads(std::size_t count) { return set(tmoe_options_set_threads, count); }
    options &spinning(bool on) { return set(tmoe_options_set_spinning, on); }
    options &device(std::size_t index) { return set(tmoe_options_set_device, index); }
    options &operators(const std::string &path) { return set(tmoe_options_set_operators, path.c_str()); }
    options &context(std::size_t points) { return set(tmoe_options_set_context, points); }
    options &token_budget(std::size_t points) { return set(tmoe_options_set_token_budget, points); }
    options &check_hashes(bool on) { return set(tmoe_options_set_check_hashes, on); }

    const tmoe_options *get() const noexcept { return handle_.get(); }

private:
    template <typename Setter, typename Value>
    options &set(Setter setter, Value value) {
        detail::call(setter, handle_.get(), value);
        return *this;
    }

    detail::handle<tmoe_options> handle_;
};

// Stops calls from another thread.
class cancel_token {
public:
    cancel_token() : handle_(detail::made(tmoe_cancel_token_new())) {}

    void cancel() const noexcept { tmoe_cancel_token_cancel(handle_.get()); }
    bool is_cancelled() const noexcept { return tmoe_cancel_token_is_cancelled(handle_.get()); }
    const tmoe_cancel_token *get() const noexcept { return handle_.get(); }

private:
    detail::handle<tmoe_cancel_token> handle_;
};

// A package, loaded on a provider. Any number of threads may use it at once.
class forecaster {
public:
    explicit forecaster(const std::string &package, const options &how = options()) {
        if (tmoe_abi_version() != TMOE_ABI_VERSION) {
            throw error(TMOE_ERROR_STATE, "libtmoe has another interface than the header that this program was compiled with");
        }
        tmoe_forecaster *raw = nullptr;
        detail::call(tmoe_forecaster_open, package.c_str(), how.get(), &raw);
        handle_.reset(raw);
    }

    // The forecast of one series. NaN is a missing point.
    std::vector<float> forecast(span<const double> series, std::size_t horizon, const cancel_token *cancel = nullptr) const {
        std::vector<float> values(checked(1, horizon));
        forecast_into({&series, 1}, horizon, values, cancel);
        return values;
    }

    // The forecasts of many series, one after the other.
    std::vector<std::vector<float>> forecast(span<const std::vector<double>> series, std::size_t horizon,
                                             const cancel_token *cancel = nullptr) const {
        std::vector<span<const double>> views(series.begin(), series.end());
        std::vector<float> values(checked(series.size(), horizon));
        forecast_into(views, horizon, values, cancel);
        std::vector<std::vector<float>> forecasts;
        forecasts.reserve(series.size());
        for (std::size_t index = 0; index < series.size(); ++index) {
            const float *first = values.data() + index * horizon;
            forecasts.emplace_back(first, first + horizon);
        }
        return forecasts;
    }

    // The same, to memory of the caller's, which is as long as all forecasts together.
    void forecast_into(span<const span<const double>> series, std::size_t horizon, span<float> values,
                       const cancel_token *cancel = nullptr) const {
        std::vector<tmoe_series> raw;
        raw.reserve(series.size());
        for (const span<const double> &one : series) {
            raw.push_back(tmoe_series{one.data(), one.size()});
        }
        const tmoe_cancel_token *token = cancel != nullptr ? cancel->get() : nullptr;
        detail::call(tmoe_forecaster_forecast, get(), raw.data(), raw.size(), horizon, token, values.data(), values.size());
    }

    std::string provider() const { return detail::text(tmoe_forecaster_provider(get())); }
    std::string passed_over() const { return detail::text(tmoe_forecaster_passed_over(get())); }
    std::string graph() const { return detail::text(tmoe_forecaster_graph(get())); }
    std::string precision() const { return detail::text(tmoe_forecaster_precision(get())); }
    std::size_t threads() const noexcept { return tmoe_forecaster_threads(get()); }
    std::size_t max_batch() const noexcept { return tmoe_forecaster_max_batch(get()); }
    std::size_t max_positions() const noexcept { return tmoe_forecaster_max_positions(get()); }
    std::size_t max_horizon() const noexcept { return tmoe_forecaster_max_horizon(get()); }

    std::vector<std::size_t> horizon_lengths() const {
        std::vector<std::size_t> lengths(tmoe_forecaster_horizon_lengths(get(), nullptr, 0));
        tmoe_forecaster_horizon_lengths(get(), lengths.data(), lengths.size());
        return lengths;
    }

    const tmoe_forecaster *get() const noexcept { return handle_.get(); }

private:
    // Room is only made for what the model can forecast.
    std::size_t checked(std::size_t count, std::size_t horizon) const {
        return horizon <= max_horizon() ? count * horizon : 0;
    }

    detail::handle<tmoe_forecaster> handle_;
};

// One series that grows, forecast again and again from the points that are new. Needs a forecaster with the normalization "none".
class stream {
public:
    explicit stream(const forecaster &of) : max_horizon_(of.max_horizon()) {
        tmoe_stream *raw = nullptr;
        detail::call(tmoe_stream_open, of.get(), &raw);
        handle_.reset(raw);
    }

    void push(span<const double> values) { detail::call(tmoe_stream_push, get(), values.data(), values.size()); }
    void push(double value) { push(span<const double>(&value, 1)); }
    void restart(std::size_t keep) { detail::call(tmoe_stream_restart, get(), keep); }

    std::vector<float> forecast(std::size_t horizon, const cancel_token *cancel = nullptr) {
        // Room is only made for what the model can forecast.
        std::vector<float> values(horizon <= max_horizon_ ? horizon : 0);
        forecast_into(horizon, values, cancel);
        return values;
    }

    // The same, to memory of the caller's, which is as long as the horizon.
    void forecast_into(std::size_t horizon, span<float> values, const cancel_token *cancel = nullptr) {
        const tmoe_cancel_token *token = cancel != nullptr ? cancel->get() : nullptr;
        detail::call(tmoe_stream_forecast, get(), horizon, token, values.data(), values.size());
    }

    std::size_t size() const noexcept { return tmoe_stream_length(get()); }
    std::size_t most() const noexcept { return tmoe_stream_most(get()); }
    std::uint64_t computed() const noexcept { return tmoe_stream_computed(get()); }
    const tmoe_stream *get() const noexcept { return handle_.get(); }

private:
    std::size_t max_horizon_;
    detail::handle<tmoe_stream> handle_;
};

using log_function = std::function<void(tmoe_log_level level, std::string_view target, std::string_view message)>;

namespace detail {

inline void log_to_function(tmoe_log_level level, const char *target, const char *message, void *user) noexcept {
    try {
        (*static_cast<const log_function *>(user))(level, target, message);
    } catch (...) {
        // Nothing may be thrown through the library.
    }
}

} // namespace detail

// Sends what happens in the library to a function, which any thread may call, several at once; an empty function ends that. What the
// function throws is dropped.
inline void set_log(log_function function, tmoe_log_level max_level = TMOE_LOG_INFO) {
    static std::mutex mutex;
    static std::unique_ptr<log_function> current;
    const std::lock_guard<std::mutex> lock(mutex);
    std::unique_ptr<log_function> next;
    if (function) {
        next = std::make_unique<log_function>(std::move(function));
        detail::call(tmoe_log_set, detail::log_to_function, static_cast<int32_t>(max_level), static_cast<void *>(next.get()));
    } else {
        detail::call(tmoe_log_set, nullptr, 0, nullptr);
    }
    // The one before is not running any more.
    current = std::move(next);
}

} // namespace tmoe

#endif // TMOE_HPP
