//! The snapshot: everything that a request can ask for, made once and never changed.
//!
//! Input is a [`Collection`](crate::items::Collection); output is a [`Snapshot`] that one atomic pointer swap
//! publishes. Nothing here names a socket, a file or a clock that a request depends on.

mod compile;
mod encode;
mod head;
mod publish;
mod representation;

pub use crate::coding::Coding;
pub use compile::{Item, Settings, Snapshot, compile};
pub use encode::{LENGTH_DENSE_MAX, LENGTH_MAX, LENGTH_MIN, encode};
pub use head::{Head, HeadBuilder};
pub use publish::{Publisher, Reader};
pub use representation::{ItemTemplate, Representation, Resource, Span, item_entity_tag};
