//! netfault-alerts
