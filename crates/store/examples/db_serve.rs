//! `netfault db serve` without the rest of netfault: used by the tests of the embedded engine.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let served = runtime.block_on(async {
        let options = netfault_store::embedded::parse_args(std::env::args_os().skip(1))?;
        netfault_store::embedded::serve(options).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    served.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("db_serve: {error}");
    ExitCode::from(69)
}
