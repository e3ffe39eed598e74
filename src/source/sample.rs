//! The built-in sample: what is served when nothing else is named.

/// Two items.
pub(super) const JSON: &[u8] = br#"[{"id":1,"name":"Item One"},{"id":2,"name":"Item Two"}]"#;
