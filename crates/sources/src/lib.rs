//! netfault-sources
