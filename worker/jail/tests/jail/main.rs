//! Real jails, started as the worker starts them, and real commands in them. Needs root and this host's cgroups.

mod evidence;
mod files;
mod harness;
mod hostile;
mod learn;
mod leftovers;
mod limits;
mod network;
mod ready;
mod sandbox;
mod shown;
