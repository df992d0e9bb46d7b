//! Progress bars on a terminal; nothing where standard error is not one.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use storage::Progress;

/// The bar of the step that is under way.
pub(super) struct Bars(Mutex<ProgressBar>);

impl Bars {
    pub(super) fn new() -> Self {
        Self(Mutex::new(ProgressBar::hidden()))
    }

    /// A step begins.
    pub(super) fn begin(&self, what: &str, total: Option<u64>) {
        let template = match total {
            Some(_) => "{msg:>28} {wide_bar} {human_pos}/{human_len} {eta}",
            None => "{msg:>28} {spinner} {human_pos} {per_sec}",
        };
        // The templates are ours: were one wrong, the default would do.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        // A bar draws on standard error, and not at all where that is no terminal.
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_style(style);
        bar.set_message(what.to_owned());
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), bar);
        before.finish();
    }

    /// So many units more are done.
    pub(super) fn add(&self, units: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).inc(units);
    }

    /// The end: the outcome is printed next.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).finish();
    }
}

impl Progress for Bars {
    fn step(&self, what: &'static str, total: Option<u64>) {
        self.begin(what, total);
    }

    fn advance(&self, units: u64) {
        self.add(units);
    }
}
