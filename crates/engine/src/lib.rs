//! netfault-engine
