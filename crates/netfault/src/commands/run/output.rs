//! Standard output of a service: where it fails (a full disk, a reader that has gone), detection goes on.

use std::io::{self, Stdout, Write};

/// Says once that it fails, and takes everything.
pub struct Forgiving {
    out: Stdout,
    failed: bool,
}

impl Forgiving {
    pub fn stdout() -> Self {
        Forgiving {
            out: io::stdout(),
            failed: false,
        }
    }

    fn forgive<T>(&mut self, done: io::Result<T>, instead: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                if !self.failed {
                    tracing::error!(%error, "standard output fails: what is decided is not printed, all else goes on");
                }
                self.failed = true;
                Ok(instead)
            }
            // A write into the buffer succeeds even on a full disk: success proves nothing.
            Ok(value) => Ok(value),
        }
    }
}

impl Write for Forgiving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes);
        self.forgive(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.out.flush();
        self.forgive(done, ())
    }
}
