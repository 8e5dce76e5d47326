#![allow(dead_code, unused_imports)]
#[path = "../src/config/mod.rs"]
mod config;
#[path = "../src/render/mod.rs"]
mod render;
fn main() {}
