//! What happens to devices, and time that passes.

use std::time::Duration;

use super::operation::Operation;
use super::world::World;

impl World {
    pub(super) fn happen(&mut self, operation: &Operation) -> Option<()> {
        match *operation {
            Operation::Inject { machine, mishap } => self.machines[usize::from(machine)].card()?.inject(mishap.into()),
            Operation::Schedule { machine, when, mishap } => {
                self.machines[usize::from(machine)].card()?.schedule(when.into(), mishap.into());
            }
            Operation::Pull { machine, wait } => {
                let machine = &self.machines[usize::from(machine)];
                machine.pull();
                if wait {
                    machine.wait_until(<[_]>::is_empty);
                }
            }
            Operation::Plug { machine, wait } => {
                let machine = &mut self.machines[usize::from(machine)];
                machine.plug();
                if wait {
                    machine.wait_until(|devices| !devices.is_empty());
                }
            }
            Operation::Unbind { machine } => self.machines[usize::from(machine)].unbind(),
            Operation::Pause { microseconds } => {
                std::thread::sleep(Duration::from_micros(u64::from(microseconds) * 32));
            }
            _ => {}
        }
        Some(())
    }
}
