//! The shared sockets: some for each address family, opened when first needed, replaced now and then.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{setsockopt, sockopt};

use super::sys;

/// A burst of answers must fit while this thread waits for a core; the system's limit may cut it short.
const RECEIVE_BUFFER: usize = 4 << 20;

pub(super) struct Socket {
    pub socket: UdpSocket,
    /// Questions (their places in the table) that are still to be sent.
    pub queue: VecDeque<u32>,
    /// Questions that are to be sent or not answered yet.
    pub open: u32,
    /// There may be something to receive.
    pub readable: bool,
    replace_at: Instant,
    retired: bool,
}

pub(super) struct Sockets {
    registry: Registry,
    all: Vec<Option<Socket>>,
    /// The ones to use for IPv4 and for IPv6, as indices into `all`.
    active: [Vec<u16>; 2],
    per_family: usize,
    age: Duration,
    /// Of sockets that are closed.
    dropped: u64,
    pub opened: u64,
}

impl Sockets {
    /// `per_family` sockets, each used for between half of `age` and all of it.
    pub fn new(registry: Registry, per_family: usize, age: Duration) -> Self {
        Sockets {
            registry,
            all: Vec::new(),
            active: [Vec::new(), Vec::new()],
            per_family: per_family.clamp(1, 256),
            age,
            dropped: 0,
            opened: 0,
        }
    }

    /// A socket for a question to `server`, at random. Fails if not even one can be opened.
    pub fn pick(&mut self, server: SocketAddr, now: Instant) -> io::Result<u16> {
        let family = usize::from(server.is_ipv6());
        while self.active[family].len() < self.per_family {
            match self.open(family, now) {
                Ok(index) => self.active[family].push(index),
                Err(error) if self.active[family].is_empty() => return Err(error),
                Err(_) => break, // fewer will do
            }
        }
        let n = usize::from(rand::random::<u16>()) % self.active[family].len();
        let index = self.active[family][n];
        if self.get(index).is_some_and(|socket| socket.replace_at > now) {
            return Ok(index);
        }
        let Ok(fresh) = self.open(family, now) else {
            return Ok(index); // better an old port than none
        };
        self.active[family][n] = fresh;
        if let Some(socket) = self.get_mut(index) {
            socket.retired = true;
        }
        self.close_if_done(index);
        Ok(fresh)
    }

    pub fn get(&self, index: u16) -> Option<&Socket> {
        self.all.get(usize::from(index))?.as_ref()
    }

    pub fn get_mut(&mut self, index: u16) -> Option<&mut Socket> {
        self.all.get_mut(usize::from(index))?.as_mut()
    }

    pub fn indices(&self) -> std::ops::Range<u16> {
        0..self.all.len() as u16 // at most 512 active ones, and as many retired
    }

    /// A question on this socket has ended.
    pub fn leave(&mut self, index: u16) {
        if let Some(socket) = self.get_mut(index) {
            socket.open = socket.open.saturating_sub(1);
        }
        self.close_if_done(index);
    }

    /// Datagrams that the kernel had no room for, over all sockets there have been.
    pub fn dropped(&self) -> u64 {
        let open = self
            .all
            .iter()
            .flatten()
            .map(|socket| u64::from(sys::dropped(socket.socket.as_fd())));
        self.dropped + open.sum::<u64>()
    }

    /// A retired socket is heard until its last question has ended.
    fn close_if_done(&mut self, index: u16) {
        let Some(place) = self.all.get_mut(usize::from(index)) else {
            return;
        };
        if let Some(socket) = place.take_if(|socket| socket.retired && socket.open == 0) {
            self.dropped += u64::from(sys::dropped(socket.socket.as_fd()));
            let _ = self
                .registry
                .deregister(&mut SourceFd(&socket.socket.as_raw_fd()));
        }
    }

    fn open(&mut self, family: usize, now: Instant) -> io::Result<u16> {
        let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()][family];
        // Port 0: the kernel takes one at random out of its ephemeral range, and keeps clear of reserved ones.
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        prepare(&socket, family);
        let index = match self.all.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.all.push(None);
                self.all.len() - 1
            }
        };
        self.registry.register(
            &mut SourceFd(&socket.as_raw_fd()),
            Token(index),
            Interest::READABLE,
        )?;
        let half = self.age / 2;
        self.all[index] = Some(Socket {
            socket,
            queue: VecDeque::new(),
            open: 0,
            readable: false,
            replace_at: now + half + half.mul_f64(rand::random::<f64>()),
            retired: false,
        });
        self.opened += 1;
        u16::try_from(index).map_err(io::Error::other)
    }
}

fn prepare(socket: &UdpSocket, family: usize) {
    // Only root may go beyond the system's limit.
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
    sys::never_fragment(socket.as_fd());
    // Without this Linux keeps ICMP errors from a socket that is not connected, and dead servers look silent.
    let set = match family {
        0 => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
        _ => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
    };
    if let Err(error) = set {
        tracing::warn!(%error, "IP_RECVERR refused: unreachable servers will look silent");
    }
}
