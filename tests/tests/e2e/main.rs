//! The whole service, end to end: the real binary, real sandboxes, the real API.

mod bad_input;
mod blobs;
mod cancel;
mod capabilities;
mod command_line;
mod configuration;
mod doctor;
mod examples;
mod exit_status;
mod explain;
mod files;
mod foreign_client;
mod idempotency;
mod images;
mod large;
mod learn;
mod list;
mod observers;
mod pipes;
mod profiles;
mod run;
mod stdin;
mod steps;
mod submit;
mod watch;
mod workers;
