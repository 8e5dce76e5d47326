//! A name server of a few lines that can be told to refuse.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Answers A with 192.0.2.1 and everything else with nothing, with authority; after so many questions it refuses. Lives until the process
/// ends.
pub fn server(refuses_after: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((len, client)) = socket.recv_from(&mut buffer) {
            let refuses = count.fetch_add(1, SeqCst) >= refuses_after;
            let _ = socket.send_to(&answer(&buffer[..len], refuses), client);
        }
    });
    (addr, asked)
}

fn answer(query: &[u8], refuses: bool) -> Vec<u8> {
    let name = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let mut message = query[..name + 4].to_vec();
    message[10..12].fill(0);
    message[2] = 0x84;
    message[3] = if refuses { 5 } else { 0 };
    let is_a = query[name..name + 2] == [0, 1];
    if is_a && !refuses {
        message[7] = 1;
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    message
}
