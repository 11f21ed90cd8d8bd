//! A full disk stops writes, not reads, and is forgiven when there is room.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use engine::fault::FaultKind;
use engine::store::StoreHealth;

/// A file system of 24 MiB in memory, for as long as this lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_stops_writes_until_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no file system can be mounted here, so no disk can be full");
        return;
    };
    let (place, ballast) = (disk.0.path().join("shard"), disk.0.path().join("ballast"));
    let store = open(&place);
    store.write(&[put(b"k", b"flushed"), system("settled", b"1")]).unwrap();
    store.flush().unwrap();
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}

    let value = vec![1; 100_000];
    store.write(&[put(b"large", &value), system("settled", b"2")]).unwrap();
    let fault = store.flush().unwrap_err();
    assert_eq!((fault.kind, fault.path.as_deref()), (FaultKind::NoSpace, Some(&*place)), "{fault}");
    assert!(matches!(store.health(), StoreHealth::Stopped { no_space: true, .. }), "{:?}", store.health());
    assert_eq!(store.write(&[put(b"x", b"x")]).map_err(|fault| fault.kind), Err(FaultKind::NoSpace));
    assert_eq!(record(&*store, b"k"), Some(b"flushed".to_vec()));
    assert_eq!(record(&*store, b"large").map(|value| value.len()), Some(100_000));
    assert_eq!(record(&*store, b"x"), None);
    assert_eq!(store.resume().map_err(|fault| fault.kind), Err(FaultKind::NoSpace));
    assert!(matches!(store.health(), StoreHealth::Stopped { no_space: true, .. }), "{:?}", store.health());

    drop(file);
    fs::remove_file(&ballast).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while let Err(fault) = store.resume() {
        assert!(Instant::now() < end, "{fault}");
        std::thread::yield_now();
    }
    assert_eq!(store.health(), StoreHealth::Ok);
    store.write(&[put(b"x", b"x"), system("settled", b"3")]).unwrap();
    store.flush().unwrap();
    drop(store);
    let store = open(&place);
    assert_eq!(store.system("settled").unwrap(), Some(b"3".to_vec()));
    assert_eq!(record(&*store, b"large").map(|value| value.len()), Some(100_000));
    drop(store);
}
