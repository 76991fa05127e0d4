//! What was measured of one target at one moment.

/// Each is `None` when it was not measured, or cannot be there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: i64,
    /// Percent of one core.
    pub cpu: Option<f64>,
    /// Bytes, without the page cache.
    pub memory: Option<f64>,
    /// Bytes: the limit, or what the machine has.
    pub memory_limit: Option<f64>,
    pub disk_free: Option<f64>,
    pub disk_size: Option<f64>,
    /// Counts up; a smaller value than before means that it began anew.
    pub restarts: Option<u64>,
    pub replicas_running: Option<u64>,
    pub replicas_desired: Option<u64>,
    /// In a row.
    pub probe_failed: Option<u64>,
    pub unhealthy: Option<bool>,
}
