//! A user of an `edu`, with what its calls need.

use std::cell::RefCell;
use std::sync::Arc;

use lifeboat::{CallError, Fence, Minor};
use lifeboat_edu_hosted::{Answer, Device};
use lifeboat_pci::HostMemory;

use crate::subject::{self, Wrong};

/// Bytes of a transfer.
const BYTES: u64 = 64;

/// See the [module documentation](self).
pub struct World {
    device: Device,
    memory: Arc<HostMemory>,
    done: Fence,
    stock: RefCell<Stock>,
}

#[derive(Default)]
struct Stock {
    owed: Vec<Fence>,
    last: Option<Fence>,
    transfers: u32,
}

impl World {
    pub(super) fn new(device: Device) -> Result<Self, CallError> {
        let memory = HostMemory::new(BYTES).map_err(|_| CallError::Exhausted("memory"))?;
        let done = device.factorial(3)?.fence;
        Ok(Self { device, memory: Arc::new(memory), done, stock: RefCell::default() })
    }

    fn asked(&self, answer: Result<Answer, CallError>) -> Result<(), CallError> {
        let fence = answer?.fence;
        let mut stock = self.stock.borrow_mut();
        stock.owed.push(fence.clone());
        stock.last = Some(fence);
        Ok(())
    }
}

impl subject::World for World {
    fn call(&self, name: &str) -> Result<Result<(), CallError>, Wrong> {
        // One thing at a time: the device is busy with what was asked for last.
        if let Some(last) = self.last_job() {
            let _ = last.wait(super::LIMIT);
        }
        let answer = match name {
            "factorial" => self.device.factorial(5),
            "transfer" => {
                let to_memory = {
                    let mut stock = self.stock.borrow_mut();
                    stock.transfers += 1;
                    stock.transfers.is_multiple_of(2)
                };
                self.device.transfer(to_memory, &self.memory)
            }
            unknown => return Err(Wrong::UnknownCall(unknown.to_owned())),
        };
        Ok(self.asked(answer))
    }

    fn minor(&self) -> Minor {
        self.device.minor()
    }

    fn done(&self) -> &Fence {
        &self.done
    }

    fn last_job(&self) -> Option<Fence> {
        self.stock.borrow_mut().last.take()
    }

    fn owed(&self) -> Vec<Fence> {
        self.stock.borrow().owed.clone()
    }

    fn take_owed(&self) -> Vec<Fence> {
        std::mem::take(&mut self.stock.borrow_mut().owed)
    }

    fn miscounted(&self, _: bool) -> Option<String> {
        None
    }
}
