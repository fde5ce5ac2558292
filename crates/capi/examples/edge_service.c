/* An edge service in C: reads points from standard input, one a line, keeps a rolling window of them, and after every `every`
 * points prints the forecast from there on as one line: the number of points so far, and the forecast.
 *
 *   edge_service PACKAGE HORIZON CONTEXT EVERY [MEAN DEVIATION]
 *
 * With two arguments more it is incremental: points are scaled by these numbers, which stay, and not by their window. Then a
 * forecast computes only the points that are new since the one before it, until the window is full and begins anew with the newest
 * half of its points. Without them each forecast computes its whole window.
 *
 * An empty line, or `nan`, is a missing point. The program ends with the input, or on SIGINT or SIGTERM.
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tmoe.h>
#include <unistd.h>

/* A window of the newest points, and what forecasts from it. */
struct service {
    size_t horizon, context, every;
    double mean, deviation;
    tmoe_forecaster *forecaster;
    tmoe_stream *stream; /* NULL: not incremental */
    double *window;      /* room for `context` points */
    size_t length;
    float *forecast; /* room for `horizon` points */
};

static tmoe_cancel_token *stop;

/* A forecast that runs is cancelled. A read that waits is interrupted, as the handler is set without SA_RESTART; one that is only
 * about to wait finds its input closed. */
static void on_signal(int number) {
    (void)number;
    tmoe_cancel_token_cancel(stop);
    close(STDIN_FILENO);
}

static void handle_signals(void (*handler)(int)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void on_log(tmoe_log_level level, const char *target, const char *message, void *user) {
    (void)user;
    fprintf(stderr, "%s %s: %s\n", level <= TMOE_LOG_WARN ? "warning" : "info", target, message);
}

/* Whether a call did what it is there for; says what went wrong if not. */
static bool done(tmoe_code code, tmoe_error *error) {
    if (code != TMOE_OK) {
        fprintf(stderr, "error %d: %s\n", (int)code, tmoe_error_message(error));
    }
    tmoe_error_free(error);
    return code == TMOE_OK;
}

static bool open_service(struct service *service, const char *package, bool incremental) {
    tmoe_error *error = NULL;
    tmoe_options *options = tmoe_options_new();
    if (options == NULL) {
        return false;
    }
    bool ok = done(tmoe_options_set_context(options, service->context, &error), error) &&
              done(tmoe_options_set_normalization(options, incremental ? "none" : "window", &error), error) &&
              done(tmoe_forecaster_open(package, options, &service->forecaster, &error), error) &&
              (!incremental || done(tmoe_stream_open(service->forecaster, &service->stream, &error), error));
    tmoe_options_free(options);
    if (!ok) {
        return false;
    }
    fprintf(stderr, "%s: graph %s in %s, %zu threads, horizons up to %zu\n", tmoe_forecaster_provider(service->forecaster),
            tmoe_forecaster_graph(service->forecaster), tmoe_forecaster_precision(service->forecaster),
            tmoe_forecaster_threads(service->forecaster), tmoe_forecaster_max_horizon(service->forecaster));
    if (service->horizon > tmoe_forecaster_max_horizon(service->forecaster)) {
        fprintf(stderr, "HORIZON is too long\n");
        return false;
    }
    service->window = malloc(service->context * sizeof *service->window);
    service->forecast = malloc(service->horizon * sizeof *service->forecast);
    return service->window != NULL && service->forecast != NULL;
}

static void close_service(struct service *service) {
    tmoe_stream_free(service->stream);
    tmoe_forecaster_free(service->forecaster);
    free(service->window);
    free(service->forecast);
}

/* Takes one point into the window. */
static bool take(struct service *service, double value) {
    tmoe_error *error = NULL;
    if (service->stream != NULL) {
        const double scaled = (value - service->mean) / service->deviation;
        if (tmoe_stream_length(service->stream) == tmoe_stream_most(service->stream) &&
            !done(tmoe_stream_restart(service->stream, service->context / 2, &error), error)) {
            return false;
        }
        return done(tmoe_stream_push(service->stream, &scaled, 1, &error), error);
    }
    if (service->length == service->context) {
        service->length -= 1;
        memmove(service->window, service->window + 1, service->length * sizeof *service->window);
    }
    service->window[service->length++] = value;
    return true;
}

/* Forecasts from the window, and prints that. */
static tmoe_code forecast(struct service *service, size_t points) {
    tmoe_error *error = NULL;
    const size_t horizon = service->horizon;
    const tmoe_series series = {service->window, service->length};
    tmoe_code code = service->stream != NULL
                         ? tmoe_stream_forecast(service->stream, horizon, stop, service->forecast, horizon, &error)
                         : tmoe_forecaster_forecast(service->forecaster, &series, 1, horizon, stop, service->forecast, horizon, &error);
    if (!done(code, error)) {
        return code;
    }
    printf("%zu", points);
    for (size_t step = 0; step < horizon; ++step) {
        printf(" %.7g", (double)service->forecast[step] * service->deviation + service->mean);
    }
    printf("\n");
    fflush(stdout);
    return code;
}

static tmoe_code serve(struct service *service) {
    char line[128];
    for (size_t points = 1; fgets(line, sizeof line, stdin) != NULL; ++points) {
        char *end = line;
        const double read = strtod(line, &end);
        if (!take(service, end == line ? (double)NAN : read)) {
            return TMOE_ERROR_SERIES;
        }
        if (points % service->every == 0) {
            const tmoe_code code = forecast(service, points);
            /* A window of missing points only: there may be others later. */
            if (code != TMOE_OK && code != TMOE_ERROR_SERIES) {
                return code;
            }
        }
    }
    if (service->stream != NULL) {
        fprintf(stderr, "computed %llu points\n", (unsigned long long)tmoe_stream_computed(service->stream));
    }
    return TMOE_OK;
}

int main(int count, char **arguments) {
    if (count != 5 && count != 7) {
        fprintf(stderr, "usage: %s PACKAGE HORIZON CONTEXT EVERY [MEAN DEVIATION]\n", arguments[0]);
        return 2;
    }
    struct service service = {.mean = 0.0, .deviation = 1.0};
    service.horizon = strtoull(arguments[2], NULL, 10);
    service.context = strtoull(arguments[3], NULL, 10);
    service.every = strtoull(arguments[4], NULL, 10);
    if (count == 7) {
        service.mean = strtod(arguments[5], NULL);
        service.deviation = strtod(arguments[6], NULL);
    }
    if (service.horizon == 0 || service.context == 0 || service.every == 0 || !(service.deviation > 0.0)) {
        fprintf(stderr, "HORIZON, CONTEXT and EVERY are at least 1, DEVIATION is more than 0\n");
        return 2;
    }
    stop = tmoe_cancel_token_new();
    if (stop == NULL) {
        return 1;
    }
    handle_signals(on_signal);
    tmoe_error *error = NULL;
    tmoe_code code = TMOE_ERROR_PACKAGE;
    if (done(tmoe_log_set(on_log, TMOE_LOG_INFO, NULL, &error), error) && open_service(&service, arguments[1], count == 7)) {
        code = serve(&service);
    }
    close_service(&service);
    tmoe_log_set(NULL, 0, NULL, NULL);
    handle_signals(SIG_DFL);
    tmoe_cancel_token_free(stop);
    return code == TMOE_OK || code == TMOE_ERROR_CANCELLED ? 0 : 1;
}
