#[allow(dead_code, unused_imports)] // until the commands that use it are here
mod config;
#[allow(dead_code, unused_imports)] // until the commands that use it are here
mod render;

fn main() {}
