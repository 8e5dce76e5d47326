//! Many datagrams in one system call, and the error queue of a socket.
//!
//! The only file of this crate that may use `unsafe`. nix has both calls, but its `sendmmsg` tells how many
//! datagrams went out only through an iterator that reads addresses nobody has written, so both are made here.
//! Headers are built for each call on the stack and point only at what the call borrows.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Datagrams in one call. Beyond this the price of a call no longer shows.
pub(super) const BATCH: usize = 32;
/// More than a server may send us (1232), so that one that sends more is heard all the same.
pub(super) const DATAGRAM: usize = 4096;
/// Room for an address of either family: that of IPv6 is the larger one, and both are aligned to four bytes. (`sockaddr_storage` is five times as
/// large, and there are many of them to clear.)
type Name = libc::sockaddr_in6;
const NAME_LEN: libc::socklen_t = size_of::<Name>() as libc::socklen_t;
const _: () = assert!(size_of::<libc::sockaddr_in>() <= size_of::<Name>());
const _: () = assert!(align_of::<libc::sockaddr_in>() <= align_of::<Name>());

/// Room for one batch of received datagrams.
pub(super) struct Received {
    bytes: Box<[[u8; DATAGRAM]; BATCH]>,
    from: [Name; BATCH],
    lens: [usize; BATCH],
}

impl Received {
    pub fn new() -> Self {
        let bytes = vec![[0; DATAGRAM]; BATCH].into_boxed_slice();
        Received {
            bytes: bytes
                .try_into()
                .unwrap_or_else(|_| Box::new([[0; DATAGRAM]; BATCH])),
            from: [no_name(); BATCH],
            lens: [0; BATCH],
        }
    }

    /// Takes what is there, at most [`BATCH`] datagrams, and says how many. `WouldBlock` if there is nothing.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|n| libc::iovec {
            iov_base: self.bytes[n].as_mut_ptr().cast(),
            iov_len: DATAGRAM,
        });
        let mut headers: [libc::mmsghdr; BATCH] =
            std::array::from_fn(|n| header(&mut self.from[n], NAME_LEN, &mut parts[n]));
        // SAFETY: each header points at one name and one buffer of `self` and one element of `parts`, with their
        // true sizes; all of them outlive the call, and nobody else holds them.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (len, header) in self.lens.iter_mut().zip(&headers[..count.min(BATCH)]) {
            *len = (header.msg_len as usize).min(DATAGRAM);
        }
        Ok(count)
    }

    /// Datagram `n` of the last batch. `None`: its sender has no IP address.
    pub fn get(&self, n: usize) -> Option<(SocketAddr, &[u8])> {
        Some((addr_of(&self.from[n])?, &self.bytes[n][..self.lens[n]]))
    }
}

/// Sends at most [`BATCH`] datagrams; says how many went out. An error is that of the first one.
pub(super) fn send<'a>(
    socket: BorrowedFd<'_>,
    datagrams: impl ExactSizeIterator<Item = (SocketAddr, &'a [u8])>,
) -> io::Result<usize> {
    let count = datagrams.len().min(BATCH);
    let mut names = [no_name(); BATCH];
    let mut parts = [libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }; BATCH];
    let mut lens = [0; BATCH];
    for (n, (to, bytes)) in datagrams.take(count).enumerate() {
        lens[n] = write_name(&mut names[n], to);
        // The kernel only reads from it, though the field is not const.
        parts[n].iov_base = bytes.as_ptr().cast_mut().cast();
        parts[n].iov_len = bytes.len();
    }
    let mut headers: [libc::mmsghdr; BATCH] =
        std::array::from_fn(|n| header(&mut names[n], lens[n], &mut parts[n]));
    // SAFETY: the first `count` headers point at names, parts and (borrowed for 'a) bytes that outlive the call,
    // with their true sizes; the kernel only reads through them.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// What the network said about a datagram of ours (an ICMP message, seen by the kernel).
pub(super) struct NetworkError {
    pub error: io::Error,
    /// Where the datagram was to go.
    pub to: SocketAddr,
    quoted: ([u8; 12], usize),
}

impl NetworkError {
    /// As much of the datagram as the message quoted, at most 12 bytes; routers may quote nothing of it (RFC 792).
    pub fn quoted(&self) -> &[u8] {
        &self.quoted.0[..self.quoted.1]
    }
}

/// Takes one error off the error queue (`IP_RECVERR`). `None`: it is empty, or what was there names no address.
pub(super) fn network_error(socket: BorrowedFd<'_>) -> io::Result<Option<NetworkError>> {
    let mut name = no_name();
    let mut quoted = [0u8; 12];
    // Two control messages of an error and the address of who said it; u64 for the alignment of cmsghdr.
    let mut control = [0u64; 32];
    let mut part = libc::iovec {
        iov_base: quoted.as_mut_ptr().cast(),
        iov_len: quoted.len(),
    };
    let mut message = header(&mut name, NAME_LEN, &mut part).msg_hdr;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer in `message` is to a local that outlives the call, with its true size.
    let len = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &mut message,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let Some(errno) = extended_error(&message) else {
        return Ok(None);
    };
    Ok(addr_of(&name).map(|to| NetworkError {
        error: io::Error::from_raw_os_error(errno),
        to,
        quoted: (quoted, len.min(quoted.len())),
    }))
}

/// `ee_errno` of the first extended error among the control messages of a message that was just received.
fn extended_error(message: &libc::msghdr) -> Option<i32> {
    // SAFETY: the kernel has filled `msg_control` up to `msg_controllen`, and the CMSG functions stay within; the
    // payload is checked to hold what is read, and is read unaligned.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(message);
        while let Some(head) = at.as_ref() {
            let is_error = matches!(
                (head.cmsg_level, head.cmsg_type),
                (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR)
            );
            let size = size_of::<libc::sock_extended_err>();
            if is_error && head.cmsg_len >= libc::CMSG_LEN(size as libc::c_uint) as _ {
                let error: libc::sock_extended_err = libc::CMSG_DATA(at)
                    .cast::<libc::sock_extended_err>()
                    .read_unaligned();
                return Some(error.ee_errno as i32);
            }
            at = libc::CMSG_NXTHDR(message, at);
        }
    }
    None
}

/// Questions are sent unfragmented (RFC 9715), whatever anybody says about the path; they fit every one.
pub(super) fn never_fragment(socket: BorrowedFd<'_>) {
    let probe: libc::c_int = libc::IP_PMTUDISC_PROBE;
    for (level, option) in [
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    ] {
        // Of the two one is for this family, and the other is refused, which does no harm.
        // SAFETY: the kernel reads one c_int.
        unsafe {
            let value = std::ptr::from_ref(&probe).cast();
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                option,
                value,
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
}

/// Datagrams that this socket's receive buffer had no room for, since it was opened.
pub(super) fn dropped(socket: BorrowedFd<'_>) -> u32 {
    const SK_MEMINFO_DROPS: usize = 8;
    let mut figures = [0u32; 16];
    let mut len = size_of_val(&figures) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, the true size of `figures`.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            figures.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if failed == 0 { figures[SK_MEMINFO_DROPS] } else { 0 }
}

fn header(name: &mut Name, name_len: libc::socklen_t, part: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all of these C structs are valid when zero (null pointers, no lengths).
    let mut header: libc::mmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
    header.msg_hdr.msg_namelen = name_len;
    header.msg_hdr.msg_iov = part;
    header.msg_hdr.msg_iovlen = 1;
    header
}

fn no_name() -> Name {
    // SAFETY: plain integers; all zero is AF_UNSPEC.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn write_name(name: &mut Name, addr: SocketAddr) -> libc::socklen_t {
    match addr {
        SocketAddr::V4(addr) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: addr.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(addr.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: a `Name` is at least as large and as aligned (asserted above), and any bits are a valid one.
            unsafe { std::ptr::from_mut(name).cast::<libc::sockaddr_in>().write(raw) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(addr) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: addr.port().to_be(),
                sin6_flowinfo: addr.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: addr.ip().octets(),
                },
                sin6_scope_id: addr.scope_id(),
            };
            *name = raw;
            NAME_LEN
        }
    }
}

fn addr_of(name: &Name) -> Option<SocketAddr> {
    match libc::c_int::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: as large and as aligned (asserted above), and all bits are valid integers.
            let raw = unsafe { std::ptr::from_ref(name).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id).into())
        }
        _ => None,
    }
}
