//! Each limit stops (or refuses) just over it and not just under it, with the right outcome and evidence, while a
//! neighbour beside the offender is untouched.

mod cpu;
mod explained;
mod files;
mod memory;
mod neighbour;
mod output;
mod pids;
mod stubborn;
mod wall;
