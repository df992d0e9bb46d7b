//! What only the PostgreSQL engine has to show: several nodes at once, a server that stops, answers that are lost, and
//! servers it cannot use. Skipped, with a printed reason, where PostgreSQL is not installed.

mod bad_input;
mod crash;
mod lost_answers;
mod nodes;
mod outage;
pub(crate) mod proxy;
pub(crate) mod server;
mod speed;
