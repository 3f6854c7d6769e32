//! Jobs that take too long, and one that only seems to.

use super::mock::Spec;
use super::*;
use crate::errno::Errno;

#[test]
fn drm_sched_basic_timeout() {
    let mut mock = Mock::with_timeout(4, 1, UNLIMITED, TIMEOUT);
    let queue = mock.queue(0, Priority::Normal);
    let hung = mock.submit(queue, Spec::blocking());
    assert!(mock.scheduled(hung));
    mock.run_until(mock.now.plus(TIMEOUT / 2));
    assert_eq!((mock.result(hung), mock.resets.len()), (None, 0));
    mock.run_until(mock.now.plus(TIMEOUT / 2));
    assert_eq!((mock.result(hung), mock.resets.as_slice()), (None, &[RingIndex(0)][..]));
    mock.run_until(mock.now.plus(TIMEOUT * 2));
    assert_eq!(mock.resets.len(), 1, "it is being reset already");
    assert!(!mock.is_released(hung));
    mock.reset(0);
    assert_eq!(mock.result(hung), Some(Err(FenceError::Guilty)));
    assert_eq!(Errno::from(mock.result(hung).unwrap().unwrap_err()), Errno::ETIME);
    assert!(mock.is_released(hung));
    // The queue and the ring live on.
    let next = mock.submit(queue, job(1000));
    mock.run();
    assert_eq!(mock.result(next), Some(Ok(())));
    mock.assert_nothing_left();
}

#[test]
fn drm_sched_skip_reset() {
    let mut mock = Mock::with_timeout(4, 1, UNLIMITED, TIMEOUT);
    let queue = mock.queue(0, Priority::Normal);
    let slow = mock.submit(queue, Spec::blocking());
    let next = mock.submit(queue, Spec::blocking());
    // Overdue, and then it completes before the reset has begun.
    mock.now = mock.now.plus(TIMEOUT);
    mock.scheduler.tick(mock.now);
    assert_eq!(mock.advance(0, 1), 1);
    assert_eq!(mock.result(slow), Some(Ok(())));
    assert!(mock.resets.is_empty(), "a false hang");
    // The next one is not blamed for the time that the slow one took.
    assert_eq!(mock.scheduler.next_deadline(), Some(mock.now.plus(TIMEOUT)));
    mock.run_until(mock.now.plus(TIMEOUT / 2));
    assert!(mock.resets.is_empty());
    assert_eq!(mock.advance(0, 1), 1);
    assert_eq!(mock.result(next), Some(Ok(())));
    mock.assert_all_done();
}
