//! Users of `edu`s.

use std::sync::Arc;

use fastrand::Rng;
use lifeboat_pci::HostMemory;

use super::Edu;
use crate::torture::{self, Kind, waiter};
use crate::torture::{Nobody, Role};
use crate::untidy::Untidy;

type Desk<'a> = torture::Desk<'a, Edu>;
type Work<'a> = torture::Work<'a, Nobody>;

/// Who works in a lane.
pub(super) const CAST: &[Role<Edu>] = &[ASKER, ASKER, role("mover", move_bytes), role("waiter", waiter::work)];

/// Has factorials computed, and looks whether they are right.
const ASKER: Role<Edu> = Role { name: "asker", work: ask, keeps_seat: true };

const fn role(name: &'static str, work: fn(&Desk<'_>, &mut Rng)) -> Role<Edu> {
    Role { name, work, keeps_seat: false }
}

fn ask(desk: &Desk<'_>, random: &mut Rng) {
    let may_be_garbled = desk.round.kind.loses_writes() || desk.round.kind == Kind::Untidy(Untidy::Garbage);
    while desk.goes_on() {
        let number = random.u32(..20);
        let Some(answer) = desk.call("factorial", || desk.device().factorial(number)) else { continue };
        desk.round.share(&answer.fence);
        if desk.settle(&answer.fence, Work::default()).is_err() || may_be_garbled {
            continue;
        }
        let right = (1..=number).fold(1, u32::wrapping_mul);
        if answer.value.get() != Some(&right) {
            desk.wrong(format!("the factorial of {number} is {:?}, and not {right}", answer.value.get()));
        }
    }
}

/// Copies memory to the device and back.
fn move_bytes(desk: &Desk<'_>, random: &mut Rng) {
    let Ok(memory) = HostMemory::new(u64::from(random.u32(1..4096))).map(Arc::new) else { return };
    while desk.goes_on() {
        let to_memory = random.bool();
        if let Some(answer) = desk.call("transfer", || desk.device().transfer(to_memory, &memory)) {
            desk.round.share(&answer.fence);
            let _ = desk.settle(&answer.fence, Work::default());
        }
    }
}
