//! Each ring of a device has the credits that its driver gives it (SCHED-11).

use std::sync::Arc;

use lifeboat::sched::{NewJob, RingIndex, SubmitError};
use lifeboat::subsystem::Notes;
use lifeboat::{Listeners, Module};
use lifeboat_core::sched::Priority;
use lifeboat_core::unplug::Loss;
use lifeboat_lb1::command::Work;

use crate::driver::{Armed, At, NONSENSE};
use crate::machine::{Job, LONG, Plain, device, options, plugged, turn};

#[test]
fn sched_11_a_small_ring_makes_no_other_smaller() {
    let _turn = turn();
    let (_card, function) = plugged();
    let mut module = Module::new();
    module.register::<Plain>(());
    let armed = Armed::new(At::RingCredits, NONSENSE);
    let binding = module.probe(&function, &options(), Listeners::none()).unwrap();
    drop(armed);
    let base = device::<Plain>(&binding);
    let of_four_credits = |ring| {
        let queue = base.scheduler().queue(RingIndex(ring), Priority::Normal).unwrap();
        let job = Arc::new(Job { work: [Work::Nop], notes: Notes::default() });
        let fence = queue.submit(NewJob { cost: 4, ..NewJob::new(job) })?;
        assert_eq!(fence.wait(LONG), Ok(()));
        Ok(())
    };
    assert_eq!(of_four_credits(0), Ok(()));
    assert_eq!(of_four_credits(1), Err(SubmitError::TooLarge));
    binding.unplug(Loss::Unbound).unwrap();
    drop((base, binding));
    module.unload().unwrap();
}
