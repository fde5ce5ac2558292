//! The server as clients meet it: over a socket on loopback, with a model that counts.

mod access;
mod client;
mod delivery;
mod fixture;
mod forecast;
mod grpc;
mod hostile;
mod hostile_bodies;
mod hostile_calls;
mod inference;
mod lifecycle;
mod models;
mod replacing;
mod stand_in;
mod timeseries;
mod tls;
