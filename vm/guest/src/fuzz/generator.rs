//! The sequence of operations: a function of the seed and the thread, and of nothing else.
//!
//! An operation holds numbers that choose: what they choose among (handles, files) is there when it is carried out.

use fastrand::Rng;

use crate::fuzz::calls;
use crate::fuzz::shape::{Gives, Meaning, Shape};

/// What a thread does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A call with a structure.
    Call(Call),
    /// Opens a node.
    Open(u64),
    /// Closes a file.
    Close(u64),
    /// Opens the node of a file by the file's name in `/proc`.
    Reopen(u64),
    /// Maps a buffer into memory.
    Map(u64),
    /// Removes such a map.
    Unmap(u64),
    /// Reads and writes a map.
    Touch(u64),
    /// Polls a file, and reads what is said of it.
    Poll(u64),
    /// Polls a descriptor, or closes it.
    Descriptor(u64),
    /// Changes the program's own pages that buffers were made of.
    Pages(u64),
}

/// A call with a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which, by its place among all.
    pub shape: usize,
    /// Chooses the file or the descriptor.
    pub target: u64,
    /// Chooses each field's value.
    pub values: Vec<u64>,
    /// What is wrong with it.
    pub oddity: Oddity,
}

/// What is wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing.
    None,
    /// The field of this index has a value that it must not have.
    Field(usize),
    /// A bit of a field is the other one.
    Flip(usize, u32),
    /// The structure is shorter, in bytes.
    Shorter(usize),
    /// It is longer, with zeroes or something else at its end.
    Longer(usize, u8),
    /// The address of the structure leads nowhere.
    Hole(u64),
    /// The number has another direction.
    Direction(u32),
    /// The number has another command, which no call has.
    Command(u32),
}

/// Operations without end.
#[derive(Debug)]
pub struct Generator {
    random: Rng,
    /// Of each call, by its place, and then of the other operations.
    weights: Vec<u32>,
}

/// Weights of the operations that are no calls, in the order of [`Operation`]. A file lives for some thousand of them.
const OTHERS: [u32; 9] = [3, 1, 1, 60, 30, 150, 20, 40, 40];
/// What the weights of calls are multiplied with.
const CALLS: u32 = 16;

/// Of so many calls, one has an oddity.
const ODD: u32 = 4;

/// Numbers of calls that nothing has: behind the last one of the driver's own, before the next of the kernel's.
const NO_COMMANDS: std::ops::Range<u32> = 0x4c..0xa0;

impl Generator {
    /// The operations of a thread.
    pub fn new(seed: u64, thread: u32) -> Self {
        // The constant is that of SplitMix64: seeds side by side lead to sequences that have nothing in common.
        let seed = seed ^ u64::from(thread).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let weights = calls::all().map(|shape| CALLS * shape.weight).chain(OTHERS).collect();
        Self { random: Rng::with_seed(seed), weights }
    }

    /// The next one.
    pub fn draw(&mut self) -> Operation {
        let calls = self.weights.len() - OTHERS.len();
        let chosen = self.choose();
        if let Some(shape) = calls::all().nth(chosen) {
            return Operation::Call(self.call(chosen, shape));
        }
        let operation = [
            Operation::Open,
            Operation::Close,
            Operation::Reopen,
            Operation::Map,
            Operation::Unmap,
            Operation::Touch,
            Operation::Poll,
            Operation::Descriptor,
            Operation::Pages,
        ][chosen - calls];
        operation(self.random.u64(..))
    }

    fn choose(&mut self) -> usize {
        let mut at = self.random.u32(..self.weights.iter().sum::<u32>());
        let position = self.weights.iter().position(|weight| {
            let here = at < *weight;
            at = at.wrapping_sub(*weight);
            here
        });
        position.unwrap_or(0)
    }

    fn call(&mut self, place: usize, shape: &Shape) -> Call {
        let target = self.random.u64(..);
        let values = shape.fields.iter().map(|_| self.random.u64(..)).collect();
        let oddity = if self.random.u32(..ODD) == 0 { self.oddity(shape) } else { Oddity::None };
        Call { shape: place, target, values, oddity }
    }

    fn oddity(&mut self, shape: &Shape) -> Oddity {
        let random = &mut self.random;
        let field = random.usize(..shape.fields.len());
        // Descriptors that the kernel cannot tell would stay open.
        let most = if matches!(shape.gives, Gives::Descriptor(_)) { 7 } else { 12 };
        match random.u32(..most) {
            0..5 => Oddity::Field(field),
            5..7 => Oddity::Flip(field, random.u32(..64)),
            7 => Oddity::Shorter(random.usize(1..=shape.bytes())),
            8 => Oddity::Longer(random.usize(1..200), 0),
            9 => Oddity::Longer(random.usize(1..200), random.u8(1..)),
            10 => Oddity::Hole(random.u64(..)),
            _ if shape.is_own() && random.bool() => Oddity::Command(random.u32(NO_COMMANDS)),
            _ => Oddity::Direction(random.u32(1..4)),
        }
    }
}

impl Call {
    /// What is known of it.
    pub fn shape(&self) -> Option<&'static Shape> {
        calls::all().nth(self.shape)
    }

    /// Whether the kernel must refuse it, whatever the state of the device. `elements` says how many of them a field of this index
    /// counts.
    pub fn must_be_refused(&self, shape: &Shape, elements: impl Fn(usize) -> u64) -> bool {
        if !shape.is_own() {
            return false;
        }
        let field = |index: usize| shape.fields.get(index).map(|field| field.meaning);
        match self.oddity {
            Oddity::None | Oddity::Flip(..) | Oddity::Shorter(_) | Oddity::Longer(_, 0) => false,
            Oddity::Longer(..) | Oddity::Hole(_) | Oddity::Direction(_) | Oddity::Command(_) => true,
            Oddity::Field(index) => match field(index) {
                // A place that can be read may have a good element.
                Some(Meaning::Array(_, count)) => elements(count) > 0 && !self.values[index].is_multiple_of(5),
                Some(Meaning::Out | Meaning::Point | Meaning::Below(_) | Meaning::Time) | None => false,
                Some(_) => true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sequence(seed: u64, thread: u32, length: usize) -> Vec<Operation> {
        let mut generator = Generator::new(seed, thread);
        (0..length).map(|_| generator.draw()).collect()
    }

    #[test]
    fn a_sequence_is_that_of_its_seed_and_thread() {
        let one = sequence(7, 0, 5000);
        assert_eq!(one, sequence(7, 0, 5000));
        assert_ne!(one, sequence(7, 1, 5000));
        assert_ne!(one, sequence(8, 0, 5000));
    }

    #[test]
    fn all_calls_and_oddities_come() {
        let all = sequence(1, 0, 50_000);
        let calls: Vec<_> =
            all.iter().filter_map(|each| if let Operation::Call(call) = each { Some(call) } else { None }).collect();
        let shapes: BTreeSet<_> = calls.iter().map(|call| call.shape).collect();
        assert_eq!(shapes.len(), calls::all().count());
        let sound = calls.iter().filter(|call| call.oddity == Oddity::None).count();
        assert!(sound * 3 > calls.len() * 2, "{sound} of {}", calls.len());
        let oddities: BTreeSet<_> = calls
            .iter()
            .map(|call| format!("{:?}", call.oddity).split('(').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(oddities.len(), 8, "{oddities:?}");
        let others: BTreeSet<_> = all.iter().map(std::mem::discriminant).map(|each| format!("{each:?}")).collect();
        assert_eq!(others.len(), 10);
    }
}
