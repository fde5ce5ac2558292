/* Provokes every error code that a caller can cause. Prints what was not as expected, and ends with 1 then. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tmoe.h>

static int failures = 0;

static void check(int holds, const char *what, int line) {
    if (!holds) {
        printf("line %d: %s\n", line, what);
        failures += 1;
    }
}
#define CHECK(condition) check(condition, #condition, __LINE__)

/* That a call gave this code, and an error object of the same code whose message contains that. */
static void expect(tmoe_code code, tmoe_error *error, tmoe_code expected, const char *text, int line) {
    check(code == expected, "the code", line);
    check(tmoe_error_code(error) == code, "the code of the error", line);
    check((error == NULL) == (code == TMOE_OK), "there is an error when there is one", line);
    if (strstr(tmoe_error_message(error), text) == NULL) {
        printf("line %d: \"%s\" is not in \"%s\"\n", line, text, tmoe_error_message(error));
        failures += 1;
    }
    tmoe_error_free(error);
}
/* `error` is not NULL before, so that a call that forgets it is found out. */
#define EXPECT(expected, text, call)                          \
    do {                                                      \
        tmoe_error *error = (tmoe_error *)1;                  \
        const tmoe_code code = call;                          \
        expect(code, error, expected, text, __LINE__);        \
    } while (0)

static void options_are_checked(tmoe_options *options) {
    EXPECT(TMOE_ERROR_POINTER, "`options` is NULL", tmoe_options_set_threads(NULL, 1, &error));
    EXPECT(TMOE_ERROR_POINTER, "`name` is NULL", tmoe_options_set_provider(options, NULL, &error));
    EXPECT(TMOE_ERROR_UTF8, "`name` is not UTF-8", tmoe_options_set_provider(options, "tr\xff", &error));
    EXPECT(TMOE_ERROR_UTF8, "`path` is not UTF-8", tmoe_options_set_operators(options, "\xc3", &error));
    EXPECT(TMOE_ERROR_OPTION, "no provider `gpu`; choose one of auto", tmoe_options_set_provider(options, "gpu", &error));
    EXPECT(TMOE_ERROR_OPTION, "`sparse`", tmoe_options_set_graph(options, "sparse", &error));
    EXPECT(TMOE_ERROR_OPTION, "choose window or none", tmoe_options_set_normalization(options, "zscore", &error));
    EXPECT(TMOE_OK, "", tmoe_options_set_provider(options, "tract", &error));
    EXPECT(TMOE_OK, "", tmoe_options_set_context(options, 16, &error));
}

static void opening_is_checked(const char *package, tmoe_options *options) {
    tmoe_forecaster *forecaster = NULL;
    EXPECT(TMOE_ERROR_POINTER, "`package` is NULL", tmoe_forecaster_open(NULL, options, &forecaster, &error));
    EXPECT(TMOE_ERROR_POINTER, "`forecaster` is NULL", tmoe_forecaster_open(package, options, NULL, &error));
    EXPECT(TMOE_ERROR_UTF8, "`package` is not UTF-8", tmoe_forecaster_open("\xf0\x9f", options, &forecaster, &error));
    EXPECT(TMOE_ERROR_PACKAGE, "/no/such/package does not exist; ", tmoe_forecaster_open("/no/such/package", options, &forecaster, &error));
    EXPECT(TMOE_ERROR_PACKAGE, "is not a package", tmoe_forecaster_open("/", options, &forecaster, &error));
    EXPECT(TMOE_OK, "", tmoe_options_set_graph(options, "plugin", &error));
    EXPECT(TMOE_ERROR_PROVIDER, "tract cannot run the graph `plugin`", tmoe_forecaster_open(package, options, &forecaster, &error));
    EXPECT(TMOE_OK, "", tmoe_options_set_provider(options, "cpu", &error));
    EXPECT(TMOE_ERROR_PROVIDER, "pip install onnxruntime", tmoe_forecaster_open(package, options, &forecaster, &error));
    EXPECT(TMOE_OK, "", tmoe_options_set_provider(options, "tract", &error));
    EXPECT(TMOE_OK, "", tmoe_options_set_graph(options, "auto", &error));
    CHECK(forecaster == NULL);
    /* Who asks for no error gets the code alone. */
    CHECK(tmoe_forecaster_open("/no/such/package", NULL, &forecaster, NULL) == TMOE_ERROR_PACKAGE);
}

static void forecasts_are_checked(const tmoe_forecaster *forecaster) {
    const double points[4] = {1.0, 2.0, (double)NAN, 4.0};
    const double missing[2] = {(double)NAN, (double)NAN};
    const double endless[2] = {1.0, (double)INFINITY};
    const tmoe_series good = {points, 4}, none = {NULL, 0}, null = {NULL, 3}, crooked = {(const double *)((const char *)points + 1), 1};
    const tmoe_series all_missing = {missing, 2}, infinite = {endless, 2}, too_long = {points, (size_t)-1};
    float values[8];
    for (size_t index = 0; index < 8; ++index) {
        values[index] = 77.0f;
    }
    EXPECT(TMOE_ERROR_POINTER, "`forecaster` is NULL", tmoe_forecaster_forecast(NULL, &good, 1, 8, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_POINTER, "`series` is NULL", tmoe_forecaster_forecast(forecaster, NULL, 1, 8, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_POINTER, "`values` is NULL", tmoe_forecaster_forecast(forecaster, &good, 1, 8, NULL, NULL, 8, &error));
    EXPECT(TMOE_ERROR_POINTER, "`series.values` is NULL", tmoe_forecaster_forecast(forecaster, &null, 1, 8, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_POINTER, "`series.values` is not aligned", tmoe_forecaster_forecast(forecaster, &crooked, 1, 8, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_LENGTH, "`series.values` has", tmoe_forecaster_forecast(forecaster, &too_long, 1, 8, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_LENGTH, "`values` has room for 7 numbers, expected 8", tmoe_forecaster_forecast(forecaster, &good, 1, 8, NULL, values, 7, &error));
    EXPECT(TMOE_ERROR_LENGTH, "room for 8 numbers, expected 4", tmoe_forecaster_forecast(forecaster, &good, 1, 4, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_HORIZON, "the horizon is 0", tmoe_forecaster_forecast(forecaster, &good, 1, 0, NULL, values, 0, &error));
    EXPECT(TMOE_ERROR_HORIZON, "ask for at most 511", tmoe_forecaster_forecast(forecaster, &good, 1, 512, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_HORIZON, "is too long", tmoe_forecaster_forecast(forecaster, &good, 1, (size_t)-1, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_SERIES, "is empty", tmoe_forecaster_forecast(forecaster, &none, 1, 8, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_SERIES, "all of its 2 points are missing", tmoe_forecaster_forecast(forecaster, &all_missing, 1, 8, NULL, values, 8, &error));
    EXPECT(TMOE_ERROR_SERIES, "has the value inf at position 1", tmoe_forecaster_forecast(forecaster, &infinite, 1, 8, NULL, values, 8, &error));
    tmoe_cancel_token *token = tmoe_cancel_token_new();
    tmoe_cancel_token_cancel(token);
    CHECK(tmoe_cancel_token_is_cancelled(token));
    EXPECT(TMOE_ERROR_CANCELLED, "cancelled", tmoe_forecaster_forecast(forecaster, &good, 1, 8, token, values, 8, &error));
    tmoe_cancel_token_free(token);
    for (size_t index = 0; index < 8; ++index) {
        CHECK(values[index] == 77.0f);
    }
    EXPECT(TMOE_OK, "", tmoe_forecaster_forecast(forecaster, &good, 1, 8, NULL, values, 8, &error));
    CHECK(values[0] != 77.0f && isfinite(values[7]));
    EXPECT(TMOE_OK, "", tmoe_forecaster_forecast(forecaster, NULL, 0, 8, NULL, NULL, 0, &error));
}

static void facts_are_there(const tmoe_forecaster *forecaster) {
    size_t lengths[5] = {0, 0, 0, 0, 99};
    CHECK(strcmp(tmoe_forecaster_provider(forecaster), "tract") == 0);
    CHECK(strcmp(tmoe_forecaster_graph(forecaster), "standard") == 0);
    CHECK(strcmp(tmoe_forecaster_precision(forecaster), "fp32") == 0);
    CHECK(tmoe_forecaster_passed_over(forecaster) == NULL);
    CHECK(tmoe_forecaster_threads(forecaster) == 1);
    CHECK(tmoe_forecaster_max_batch(forecaster) == 0);
    CHECK(tmoe_forecaster_max_positions(forecaster) == 512);
    CHECK(tmoe_forecaster_max_horizon(forecaster) == 511);
    CHECK(tmoe_forecaster_horizon_lengths(forecaster, NULL, 0) == 4);
    CHECK(tmoe_forecaster_horizon_lengths(forecaster, lengths, 5) == 4);
    CHECK(lengths[0] == 1 && lengths[1] == 8 && lengths[2] == 32 && lengths[3] == 64 && lengths[4] == 99);
    CHECK(tmoe_forecaster_horizon_lengths(forecaster, lengths + 3, 1) == 4 && lengths[3] == 1);
    CHECK(tmoe_forecaster_provider(NULL) == NULL && tmoe_forecaster_max_horizon(NULL) == 0);
}

static void streams_are_checked(const char *package, const tmoe_forecaster *normalizes, tmoe_options *options) {
    tmoe_stream *stream = NULL;
    tmoe_forecaster *forecaster = NULL;
    double points[20] = {0.0};
    float values[511];
    EXPECT(TMOE_ERROR_STATE, "needs a forecaster with the normalisation none", tmoe_stream_open(normalizes, &stream, &error));
    EXPECT(TMOE_ERROR_POINTER, "`forecaster` is NULL", tmoe_stream_open(NULL, &stream, &error));
    CHECK(stream == NULL);
    EXPECT(TMOE_OK, "", tmoe_options_set_normalization(options, "none", &error));
    EXPECT(TMOE_OK, "", tmoe_options_set_check_hashes(options, false, &error));
    EXPECT(TMOE_OK, "", tmoe_forecaster_open(package, options, &forecaster, &error));
    EXPECT(TMOE_ERROR_POINTER, "`stream` is NULL", tmoe_stream_open(forecaster, NULL, &error));
    EXPECT(TMOE_OK, "", tmoe_stream_open(forecaster, &stream, &error));
    /* A stream outlives what it was opened on. */
    tmoe_forecaster_free(forecaster);
    EXPECT(TMOE_ERROR_SERIES, "the series `stream` is empty", tmoe_stream_forecast(stream, 1, NULL, values, 1, &error));
    EXPECT(TMOE_ERROR_STREAM_FULL, "20 more are too many: it holds 16", tmoe_stream_push(stream, points, 20, &error));
    EXPECT(TMOE_ERROR_POINTER, "`values` is NULL", tmoe_stream_push(stream, NULL, 1, &error));
    points[1] = -(double)INFINITY;
    EXPECT(TMOE_ERROR_SERIES, "-inf at position 1", tmoe_stream_push(stream, points, 2, &error));
    points[1] = 0.5;
    CHECK(tmoe_stream_length(stream) == 0 && tmoe_stream_most(stream) == 16);
    EXPECT(TMOE_OK, "", tmoe_stream_push(stream, points, 16, &error));
    EXPECT(TMOE_ERROR_HORIZON, "the horizon is 0", tmoe_stream_forecast(stream, 0, NULL, values, 0, &error));
    EXPECT(TMOE_ERROR_HORIZON, "too long", tmoe_stream_forecast(stream, 512, NULL, values, 511, &error));
    EXPECT(TMOE_ERROR_STREAM_FULL, "511 more are too many: it holds 512", tmoe_stream_forecast(stream, 511, NULL, values, 511, &error));
    EXPECT(TMOE_ERROR_LENGTH, "room for 2 numbers, expected 1", tmoe_stream_forecast(stream, 1, NULL, values, 2, &error));
    tmoe_cancel_token *token = tmoe_cancel_token_new();
    EXPECT(TMOE_OK, "", tmoe_stream_forecast(stream, 1, token, values, 1, &error));
    tmoe_cancel_token_cancel(token);
    EXPECT(TMOE_ERROR_CANCELLED, "cancelled", tmoe_stream_forecast(stream, 1, token, values, 1, &error));
    tmoe_cancel_token_free(token);
    CHECK(tmoe_stream_computed(stream) == 16);
    EXPECT(TMOE_OK, "", tmoe_stream_restart(stream, 4, &error));
    CHECK(tmoe_stream_length(stream) == 4);
    tmoe_stream_free(stream);
}

static void change_the_callback(tmoe_log_level level, const char *target, const char *message, void *user) {
    (void)level;
    (void)target;
    (void)message;
    EXPECT(TMOE_ERROR_STATE, "cannot be changed by the log callback", tmoe_log_set(NULL, 0, NULL, &error));
    *(int *)user += 1;
}

static void logs_are_checked(const char *package, const tmoe_options *options) {
    int told = 0;
    tmoe_forecaster *forecaster = NULL;
    EXPECT(TMOE_ERROR_OPTION, "there is no log level 0", tmoe_log_set(change_the_callback, 0, &told, &error));
    EXPECT(TMOE_OK, "", tmoe_log_set(change_the_callback, TMOE_LOG_INFO, &told, &error));
    EXPECT(TMOE_OK, "", tmoe_forecaster_open(package, options, &forecaster, &error));
    tmoe_forecaster_free(forecaster);
    CHECK(told == 1);
    EXPECT(TMOE_OK, "", tmoe_log_set(NULL, 0, NULL, &error));
    EXPECT(TMOE_OK, "", tmoe_forecaster_open(package, options, &forecaster, &error));
    tmoe_forecaster_free(forecaster);
    CHECK(told == 1);
}

int main(int count, char **arguments) {
    if (count != 2) {
        return 2;
    }
    CHECK(tmoe_abi_version() == TMOE_ABI_VERSION);
    CHECK(strlen(tmoe_version()) >= 5);
    tmoe_options *options = tmoe_options_new();
    tmoe_forecaster *forecaster = NULL;
    options_are_checked(options);
    opening_is_checked(arguments[1], options);
    EXPECT(TMOE_OK, "", tmoe_forecaster_open(arguments[1], options, &forecaster, &error));
    facts_are_there(forecaster);
    forecasts_are_checked(forecaster);
    streams_are_checked(arguments[1], forecaster, options);
    logs_are_checked(arguments[1], options);
    tmoe_forecaster_free(forecaster);
    tmoe_options_free(options);
    tmoe_options_free(NULL);
    tmoe_forecaster_free(NULL);
    tmoe_stream_free(NULL);
    tmoe_cancel_token_free(NULL);
    tmoe_error_free(NULL);
    return failures == 0 ? 0 : 1;
}
