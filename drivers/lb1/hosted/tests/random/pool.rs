//! The objects that users hold, a few of each kind, and whose they are.

use std::any::Any;

use super::values::Pick;

/// Which device something is of: the machine, and the device's number there, which is nobody else's while it is held.
pub(crate) type DeviceId = (usize, u32);

/// Most objects of a kind.
const LIMIT: usize = 12;

pub(crate) struct Owned<T> {
    pub(crate) of: DeviceId,
    pub(crate) it: T,
}

pub(crate) struct Pool<T> {
    objects: Vec<Owned<T>>,
    /// Whose turn it is to make room.
    oldest: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { objects: Vec::new(), oldest: 0 }
    }
}

impl<T> Pool<T> {
    /// Adds one. If there are too many, another one goes.
    pub(crate) fn put(&mut self, of: DeviceId, it: T) -> Option<Owned<T>> {
        let new = Owned { of, it };
        if self.objects.len() < LIMIT {
            self.objects.push(new);
            return None;
        }
        self.oldest = (self.oldest + 1) % LIMIT;
        Some(std::mem::replace(&mut self.objects[self.oldest], new))
    }

    fn position(&self, pick: Pick, fits: impl Fn(&Owned<T>) -> bool) -> Option<usize> {
        pick.among(&self.objects.iter().map(fits).collect::<Vec<_>>())
    }

    /// One, if possible one that fits.
    pub(crate) fn get(&self, pick: Pick, fits: impl Fn(&Owned<T>) -> bool) -> Option<&Owned<T>> {
        Some(&self.objects[self.position(pick, fits)?])
    }

    pub(crate) fn get_mut(&mut self, pick: Pick, fits: impl Fn(&Owned<T>) -> bool) -> Option<&mut Owned<T>> {
        let at = self.position(pick, fits)?;
        Some(&mut self.objects[at])
    }

    pub(crate) fn take(&mut self, pick: Pick, fits: impl Fn(&Owned<T>) -> bool) -> Option<Owned<T>> {
        let at = self.position(pick, fits)?;
        Some(self.objects.swap_remove(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Owned<T>> {
        self.objects.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Owned<T>> {
        self.objects.iter_mut()
    }
}

impl<T: 'static> Pool<T> {
    /// All of them, to be dropped in any order with those of other kinds.
    pub(crate) fn into_boxes(self) -> impl Iterator<Item = Box<dyn Any>> {
        self.objects.into_iter().map(|object| Box::new(object.it) as Box<dyn Any>)
    }
}
