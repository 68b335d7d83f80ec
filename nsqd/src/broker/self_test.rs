//! The test of the data path that lets health return without a publish (extensions spec 7.6).

use super::Broker;
use nsq_storage::{Disk, os_text};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Between two tests while a write or a sync stands as failed.
const EVERY: Duration = Duration::from_secs(5);
/// One page: the smallest amount for which the file system needs room.
const BYTES: [u8; 4096] = [0; 4096];
/// A name that is no queue's. One that a crash left behind goes with the next test.
const FILE_NAME: &str = "nsqd.self-test.tmp";

impl Broker {
    /// Tests the data path every few seconds while there is a cause, for ever.
    pub(super) async fn keep_healthy(&self) {
        loop {
            self.health.failing().await;
            tokio::time::sleep(EVERY).await;
            if self.health.is_ok() {
                continue;
            }
            let failures = self.health.failures();
            let (disk, dir) = (self.disk.clone(), self.options.data_path.clone());
            let tested = self.engine.workers.call(0, move || test(&*disk, &dir)).await;
            match tested {
                Some(Ok(())) => {
                    self.health.passed_test(failures);
                    tracing::info!("NSQ: the data path can be written again");
                }
                Some(Err(e)) => tracing::warn!("NSQ: the data path cannot be written yet - {}", os_text(&e)),
                None => return,
            }
        }
    }
}

/// Creates a file, writes, syncs, deletes it.
fn test(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let path = dir.join(FILE_NAME);
    match disk.remove(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = disk.create_new(&path)?;
    let written = file.append(&BYTES).and_then(|()| file.fdatasync());
    // Also when there was no room for it: then it would take what is left.
    let removed = disk.remove(&path);
    written.and(removed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use nsq_storage::{FailingDisk, MemoryDisk};

    #[test]
    fn the_test_fails_with_any_of_its_steps_and_leaves_nothing() {
        let dir = Path::new("/data");
        let memory = MemoryDisk::new();
        memory.create_dir_all(dir).unwrap();
        let (disk, switch) = FailingDisk::new(memory.clone());
        for step in 0..5 {
            switch.fail_at(step);
            let error = test(&disk, dir).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "step {step}");
            switch.heal();
            test(&disk, dir).unwrap();
            assert!(memory.list(dir).unwrap().is_empty(), "step {step}");
        }
        switch.fail_at(5);
        test(&disk, dir).unwrap();
    }
}
