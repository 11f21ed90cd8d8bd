//! A TCP proxy that misbehaves as a test says: between a replica and its primary.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a pump looks whether something has changed.
const LOOK: Duration = Duration::from_millis(5);
/// What a pump moves at once.
const CHUNK: usize = 16 << 10;

/// How connections are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// As a wire should.
    Fair,
    /// Every connection is closed, and every new one, too.
    Cut,
    /// Nothing is closed, nothing is forwarded: half-open.
    Frozen,
    /// What the primary says is dropped; what the replica says arrives.
    Deaf,
    /// Each chunk waits for so long.
    Slow(Duration),
    /// At most so many bytes a second from the primary, on each connection.
    Throttled(u64),
}

/// What happens once to the bytes from the primary, after so many more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accident {
    /// A byte is changed.
    Corrupt(u64),
    /// The connection ends in the middle.
    Truncate(u64),
}

struct State {
    target: AtomicU16,
    weather: Mutex<Weather>,
    accident: Mutex<Option<Accident>>,
    over: AtomicBool,
    connections: AtomicU64,
    /// Bytes from the primary that were passed on.
    down: AtomicU64,
    /// A socket of each connection, in their order.
    sockets: Mutex<Vec<TcpStream>>,
}

/// The proxy; its threads end when it is dropped.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// One that forwards to a port of this machine.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let state = Arc::new(State {
            target: AtomicU16::new(target),
            weather: Mutex::new(Weather::Fair),
            accident: Mutex::new(None),
            over: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            down: AtomicU64::new(0),
            sockets: Mutex::default(),
        });
        let own = Arc::clone(&state);
        let acceptor = std::thread::spawn(move || accept(&listener, &own));
        Self { port, state, acceptor: Some(acceptor) }
    }

    /// Forwards new connections to another port.
    pub fn retarget(&self, target: u16) {
        self.state.target.store(target, Ordering::SeqCst);
    }

    pub fn set(&self, weather: Weather) {
        *self.state.weather.lock().unwrap() = weather;
    }

    pub fn arrange(&self, accident: Accident) {
        *self.state.accident.lock().unwrap() = Some(accident);
    }

    /// Whether the accident has happened.
    pub fn has_happened(&self) -> bool {
        self.state.accident.lock().unwrap().is_none()
    }

    /// Bytes from the primary that were passed on.
    pub fn passed(&self) -> u64 {
        self.state.down.load(Ordering::SeqCst)
    }

    /// Ends one connection, by its number in their order.
    pub fn kill(&self, nth: u64) {
        // It may be over already.
        let _ = self.state.sockets.lock().unwrap()[nth as usize].shutdown(Shutdown::Both);
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl State {
    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    let mut pumps = Vec::new();
    while !state.is_over() {
        match listener.accept() {
            Ok((client, _)) if state.weather() != Weather::Cut => {
                state.sockets.lock().unwrap().push(client.try_clone().unwrap());
                state.connections.fetch_add(1, Ordering::SeqCst);
                let target = state.target.load(Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
                    let _ = client.shutdown(Shutdown::Both);
                    continue;
                };
                client.set_nonblocking(false).unwrap();
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                    stream.set_read_timeout(Some(LOOK)).unwrap();
                    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
                }
                let (up, down) = ((client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client));
                let own = Arc::clone(state);
                pumps.push(std::thread::spawn(move || pump(&own, up.0, up.1, Way::Up)));
                let own = Arc::clone(state);
                pumps.push(std::thread::spawn(move || pump(&own, down.0, down.1, Way::Down)));
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(LOOK),
        }
    }
    pumps.into_iter().for_each(|pump| drop(pump.join()));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the primary.
    Up,
    /// From the primary.
    Down,
}

fn pump(state: &State, mut from: TcpStream, mut to: TcpStream, way: Way) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match state.weather() {
            _ if state.is_over() => break,
            Weather::Cut => break,
            Weather::Frozen => {
                std::thread::sleep(LOOK);
                continue;
            }
            Weather::Fair | Weather::Deaf | Weather::Slow(_) | Weather::Throttled(_) => {}
        }
        let got = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => break,
        };
        let mut chunk = &mut buffer[..got];
        match (state.weather(), way) {
            (Weather::Deaf, Way::Down) => continue,
            (Weather::Slow(time), _) => std::thread::sleep(time),
            (weather @ Weather::Throttled(rate), Way::Down) => {
                let until = Instant::now() + Duration::from_secs_f64(got as f64 / rate as f64);
                while Instant::now() < until && state.weather() == weather && !state.is_over() {
                    std::thread::sleep(LOOK);
                }
            }
            (Weather::Fair | Weather::Cut | Weather::Frozen | Weather::Deaf | Weather::Throttled(_), _) => {}
        }
        let ends = way == Way::Down && happen(state, &mut chunk);
        if to.write_all(chunk).is_err() {
            break;
        }
        if way == Way::Down {
            state.down.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        }
        if ends {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Has the accident happen to a chunk if its time has come. Answers whether the connection ends with it.
fn happen(state: &State, chunk: &mut &mut [u8]) -> bool {
    let mut accident = state.accident.lock().unwrap();
    let len = chunk.len() as u64;
    match *accident {
        None => false,
        Some(Accident::Corrupt(after)) if after >= len => {
            *accident = Some(Accident::Corrupt(after - len));
            false
        }
        Some(Accident::Truncate(after)) if after >= len => {
            *accident = Some(Accident::Truncate(after - len));
            false
        }
        Some(Accident::Corrupt(after)) => {
            chunk[after as usize] ^= 0x55;
            *accident = None;
            false
        }
        Some(Accident::Truncate(after)) => {
            let whole = std::mem::take(chunk);
            *chunk = &mut whole[..after as usize];
            *accident = None;
            true
        }
    }
}
