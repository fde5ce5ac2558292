//! The server as clients meet it: over a socket on loopback, with a model that counts.

mod access;
mod client;
mod fixture;
mod forecast;
mod grpc;
mod hostile;
mod inference;
mod lifecycle;
mod models;
mod timeseries;
mod tls;
