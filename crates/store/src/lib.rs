//! netfault-store
