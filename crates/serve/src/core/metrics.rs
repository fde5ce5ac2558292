//! What the server counts, and its text for Prometheus (exposition format 0.0.4).

mod instruments;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use instruments::{Counter, Gauge, Histogram};
use text::Text;

use super::model::Facts;
use super::name::{ModelName, Version};

/// Seconds, from a cached answer to a long queue.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Rows of a batch.
const ROWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What is counted of one version of a model, over all the times that it was loaded.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Rows that wait.
    pub queue_rows: Gauge,
    /// Points of context that wait.
    pub queue_points: Gauge,
    /// Seconds from a row's arrival to its batch.
    pub queue_seconds: Histogram,
    /// Rows per batch.
    pub batch_rows: Histogram,
    /// Seconds per batch.
    pub batch_seconds: Histogram,
    /// Batches that were stopped because nobody waited for them any more.
    pub batches_cancelled: Counter,
    /// Batches that the model failed on.
    pub batches_failed: Counter,
    /// Points of context that the model was given, without padding.
    pub context_points: Counter,
    /// Points that rows were padded with: wasted work.
    pub padding_points: Counter,
    /// Points that were forecast.
    pub forecast_points: Counter,
}

impl Default for ModelMetrics {
    fn default() -> Self {
        Self {
            queue_rows: Gauge::default(),
            queue_points: Gauge::default(),
            queue_seconds: Histogram::new(SECONDS),
            batch_rows: Histogram::new(ROWS),
            batch_seconds: Histogram::new(SECONDS),
            batches_cancelled: Counter::default(),
            batches_failed: Counter::default(),
            context_points: Counter::default(),
            padding_points: Counter::default(),
            forecast_points: Counter::default(),
        }
    }
}

/// What is counted of requests of one kind.
#[derive(Debug)]
struct RouteMetrics {
    seconds: Histogram,
    codes: BTreeMap<u16, u64>,
}

type Routes = BTreeMap<String, RouteMetrics>;
type Models = BTreeMap<(ModelName, Version), (Arc<ModelMetrics>, Option<Facts>)>;

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that are open.
    pub connections: Gauge,
    /// Requests that are being worked on.
    pub requests: Gauge,
    /// Requests that were refused because there was too much to do.
    pub refused: Counter,
    /// Requests whose client went away before the answer.
    pub abandoned: Counter,
    routes: Mutex<Routes>,
    models: Mutex<Models>,
}

impl Metrics {
    /// The counts of a version of a model; they go on when it is loaded again.
    pub fn model(&self, name: &ModelName, version: &Version) -> Arc<ModelMetrics> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&models.entry((name.clone(), version.clone())).or_default().0)
    }

    /// Says which facts a version has now; `None` once it is unloaded.
    pub fn loaded(&self, name: &ModelName, version: &Version, facts: Option<&Facts>) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.entry((name.clone(), version.clone())).or_default().1 = facts.cloned();
    }

    /// Counts an answer: of which kind of request, with which HTTP status or gRPC code, after how long.
    pub fn answered(&self, route: &str, code: u16, after: Duration) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let route = routes
            .entry(route.to_owned())
            .or_insert_with(|| RouteMetrics { seconds: Histogram::new(SECONDS), codes: BTreeMap::new() });
        route.seconds.observe(after.as_secs_f64());
        *route.codes.entry(code).or_default() += 1;
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = Text::default();
        text.single("tmoe_connections", "gauge", "Open connections.", self.connections.get() as f64);
        text.single(
            "tmoe_requests_in_flight",
            "gauge",
            "Requests that are being worked on.",
            self.requests.get() as f64,
        );
        let refused = "Requests refused because there was too much to do.";
        text.single("tmoe_requests_refused_total", "counter", refused, self.refused.get() as f64);
        let abandoned = "Requests whose client went away before the answer.";
        text.single("tmoe_requests_abandoned_total", "counter", abandoned, self.abandoned.get() as f64);
        if let Some(bytes) = resident_memory() {
            text.single("process_resident_memory_bytes", "gauge", "Resident memory in bytes.", bytes);
        }
        self.routes_text(&mut text);
        self.models_text(&mut text);
        text.finish()
    }

    fn routes_text(&self, text: &mut Text) {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        text.family("tmoe_requests_total", "counter", "Answers by kind of request and status or gRPC code.");
        for (route, metrics) in &*routes {
            for (code, count) in &metrics.codes {
                let code = code.to_string();
                text.sample("tmoe_requests_total", &[("route", route), ("code", &code)], *count as f64);
            }
        }
        text.family("tmoe_request_seconds", "histogram", "Seconds from a request's head to its answer.");
        for (route, metrics) in &*routes {
            text.histogram("tmoe_request_seconds", &[("route", route)], &metrics.seconds);
        }
    }

    fn models_text(&self, text: &mut Text) {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        text.family("tmoe_model_info", "gauge", "Versions that are loaded, and what runs them.");
        for ((name, version), (_, facts)) in &*models {
            let Some(facts) = facts else { continue };
            let labels = [
                ("model", name.as_str()),
                ("version", version.as_str()),
                ("provider", &facts.provider),
                ("graph", &facts.graph),
                ("precision", &facts.precision),
            ];
            text.sample("tmoe_model_info", &labels, 1.0);
        }
        type Read<T> = fn(&ModelMetrics) -> T;
        let values: [(&str, &str, &str, Read<f64>); 7] = [
            ("tmoe_queue_rows", "gauge", "Rows that wait for a batch.", |m| m.queue_rows.get() as f64),
            ("tmoe_queue_points", "gauge", "Points of context that wait for a batch.", |m| {
                m.queue_points.get() as f64
            }),
            ("tmoe_batches_cancelled_total", "counter", "Batches stopped as nobody waited for them.", |m| {
                m.batches_cancelled.get() as f64
            }),
            ("tmoe_batches_failed_total", "counter", "Batches that the model failed on.", |m| {
                m.batches_failed.get() as f64
            }),
            ("tmoe_context_points_total", "counter", "Points of context given to the model.", |m| {
                m.context_points.get() as f64
            }),
            ("tmoe_padding_points_total", "counter", "Points that rows were padded with.", |m| {
                m.padding_points.get() as f64
            }),
            ("tmoe_forecast_points_total", "counter", "Points that were forecast.", |m| {
                m.forecast_points.get() as f64
            }),
        ];
        for (family, kind, help, value) in values {
            text.family(family, kind, help);
            for ((name, version), (metrics, _)) in &*models {
                let labels = [("model", name.as_str()), ("version", version.as_str())];
                text.sample(family, &labels, value(metrics));
            }
        }
        type Part = fn(&ModelMetrics) -> &Histogram;
        let histograms: [(&str, &str, Part); 3] = [
            ("tmoe_queue_seconds", "Seconds from a row's arrival to its batch.", |m| &m.queue_seconds),
            ("tmoe_batch_rows", "Rows per batch.", |m| &m.batch_rows),
            ("tmoe_batch_seconds", "Seconds per batch.", |m| &m.batch_seconds),
        ];
        for (family, help, histogram) in histograms {
            text.family(family, "histogram", help);
            for ((name, version), (metrics, _)) in &*models {
                let labels = [("model", name.as_str()), ("version", version.as_str())];
                text.histogram(family, &labels, histogram(metrics));
            }
        }
    }
}

/// Bytes of memory that the process holds; `None` where the system does not say so in `/proc`.
fn resident_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_family_once_with_its_samples_below() {
        let metrics = Metrics::default();
        let (name, version) = ("demo".parse().unwrap(), Version::first());
        let of_model = metrics.model(&name, &version);
        of_model.padding_points.add(3);
        of_model.batch_rows.observe(3.0);
        metrics.answered("forecast", 200, Duration::from_millis(30));
        metrics.answered("forecast", 429, Duration::from_millis(1));
        let text = metrics.text();
        for line in [
            "tmoe_requests_total{route=\"forecast\",code=\"429\"} 1",
            "tmoe_request_seconds_count{route=\"forecast\"} 2",
            "tmoe_padding_points_total{model=\"demo\",version=\"1\"} 3",
            "tmoe_batch_rows_bucket{model=\"demo\",version=\"1\",le=\"2\"} 0",
            "tmoe_batch_rows_bucket{model=\"demo\",version=\"1\",le=\"4\"} 1",
            "tmoe_batch_rows_bucket{model=\"demo\",version=\"1\",le=\"+Inf\"} 1",
            "tmoe_batch_rows_sum{model=\"demo\",version=\"1\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
        }
        let mut families: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        let all = families.len();
        families.dedup();
        assert_eq!(families.len(), all);
    }

    #[test]
    fn counts_go_on_when_a_version_is_loaded_again() {
        let metrics = Metrics::default();
        let (name, version) = ("demo".parse().unwrap(), Version::first());
        metrics.model(&name, &version).forecast_points.add(5);
        metrics.loaded(&name, &version, None);
        assert_eq!(metrics.model(&name, &version).forecast_points.get(), 5);
        assert!(!metrics.text().contains("tmoe_model_info{"));
    }
}
