//! Why a series is refused.

/// Why a series is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is not one of the Prometheus data model.
    #[error("{name:?} is not a metric name: it must match [a-zA-Z_:][a-zA-Z0-9_:]*")]
    InvalidName {
        /// The name refused.
        name: String,
    },
    /// A label's name is not one of the data model, is reserved, or is given twice.
    #[error("metric {name}: label {label:?} must match [a-zA-Z_][a-zA-Z0-9_]*, be given once and not be reserved")]
    InvalidLabel {
        /// Name of the metric.
        name: String,
        /// Name of the label refused.
        label: String,
    },
    /// The name, or one that its samples would have, belongs to another metric.
    #[error("metric {name} cannot be a {kind}: the name {taken} belongs to {owner}, a {owner_kind}")]
    Conflict {
        /// Name of the metric.
        name: String,
        /// Kind asked for.
        kind: String,
        /// The name that is taken already.
        taken: String,
        /// The metric that took it.
        owner: String,
        /// The kind of that metric.
        owner_kind: String,
    },
    /// The bound on series is reached.
    #[error("metric {name}: no more than {limit} series are kept; is a label's set of values open?")]
    Full {
        /// Name of the metric.
        name: String,
        /// The bound.
        limit: usize,
    },
}
