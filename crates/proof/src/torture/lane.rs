//! A lane: one machine, its clients, and the conductor, which lets one thing after the other happen to them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lifeboat::{Module, SlotState};
use parking_lot::Mutex;

use super::activity::{Activities, Activity};
use super::clients;
use super::kind::{Kind, Plain};
use super::machine::{Machine, Occupant, Seat};
use super::plan::{Gust, Help, Plan};
use super::round::{Round, Stage};
use super::tally::Tally;
use super::tortured::Tortured;
use crate::subject::{Card as _, Slot as _};

/// How long to wait for news of the bus before looking at the cards.
const LOOK: Duration = Duration::from_millis(1);
/// Between two looks at something that tells nobody.
const POLL: Duration = Duration::from_micros(100);
/// How long a storm waits for a loss that may not come.
const STORM_PAUSE: Duration = Duration::from_millis(60);
/// Longer than anything lasts: the watchdog finds what does not end.
const FOREVER: Duration = Duration::from_hours(24);
/// What is left of clients that have ended: so long it may take until threads have let go of it.
const LEFT_LIMIT: Duration = Duration::from_secs(10);

/// What all lanes have in common.
pub(super) struct Common {
    pub(super) seed: u64,
    pub(super) lanes: u64,
    /// The first cycle, and that after the last one.
    pub(super) cycles: std::ops::Range<u64>,
    pub(super) kinds: Vec<Kind>,
    /// How long a thread may stand still, and devices may take to work again.
    pub(super) limit: Duration,
    pub(super) tally: Tally,
    pub(super) activities: Activities,
    /// No further cycle is to begin.
    pub(super) stop: AtomicBool,
    /// Lanes that are still at it.
    pub(super) running: AtomicUsize,
}

/// Starts a lane. It ends when its cycles are over, or it is to stop.
pub(super) fn start<S: Tortured>(number: u64, common: &Arc<Common>) -> io::Result<JoinHandle<()>> {
    let common = common.clone();
    common.running.fetch_add(1, SeqCst);
    thread::Builder::new().name(format!("conductor {number}")).spawn(move || {
        let _running = Running(&common);
        if let Err(error) = conduct::<S>(number, &common) {
            common.tally.failed(number, format!("lane {number} cannot go on: {error}"));
        }
    })
}

/// A lane that runs. It does no more if it panics, and whoever joins it sees that.
struct Running<'a>(&'a Common);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

fn conduct<S: Tortured>(number: u64, common: &Arc<Common>) -> io::Result<()> {
    let stage = Arc::new(Stage::<S>::default());
    let mut threads = Vec::new();
    for (who, client) in S::CAST.iter().enumerate() {
        let name = format!("{} {number}.{who}", client.name);
        let activity = common.activities.register(name.clone());
        let (stage, common) = (stage.clone(), common.clone());
        stage.join();
        let run = move || clients::run(client, who, &stage, &activity, &common.tally);
        threads.push(thread::Builder::new().name(name).spawn(run)?);
    }
    let activity = common.activities.register(format!("conductor {number}"));
    let mut lane =
        Lane { number, common, stage: &stage, activity: &activity, machine: Machine::new(number, &common.kinds)? };
    lane.restore(None, Help::NewCard)?;
    // Its share of the cycles.
    let first = common.cycles.start + (number + common.lanes - common.cycles.start % common.lanes) % common.lanes;
    let mut cycle = first;
    while common.cycles.contains(&cycle) && !common.stop.load(SeqCst) {
        lane.cycle(cycle)?;
        cycle += common.lanes;
    }
    activity.does("ends the lane");
    stage.close();
    for thread in threads {
        // It contains its clients' panics.
        let _ = thread.join();
    }
    lane.machine.shut_down(&stage, &common.tally);
    for wrong in stage.take_wrongs() {
        common.tally.failed(cycle.saturating_sub(common.lanes), format!("at the end: {wrong}"));
    }
    activity.rests();
    Ok(())
}

struct Lane<'a, S: Tortured> {
    number: u64,
    common: &'a Arc<Common>,
    stage: &'a Stage<S>,
    activity: &'a Activity,
    machine: Machine<S>,
}

/// What was armed on a card, and when it has happened.
#[derive(Clone, Default)]
struct Armed {
    left: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<Instant>>>,
}

impl<S: Tortured> Lane<'_, S> {
    /// One fault, and the full return of the devices.
    fn cycle(&mut self, cycle: u64) -> io::Result<()> {
        let plan = Plan::new(self.common.seed, cycle, &self.common.kinds);
        self.activity.does(format!("cycle {cycle}: {}", plan.kind));
        let Some(devices) = self.machine.devices() else {
            return Err(io::Error::other("the devices that were there are not"));
        };
        self.machine.begin();
        let round = Arc::new(Round::new(self.common.seed, cycle, plan.kind, devices));
        let armed = Armed::default();
        if !matches!(plan.kind, Kind::Plain(Plain::RemovalInProbe | Plain::FailedProbe)) {
            armed.arm(&plan, &self.machine.seats[plan.seat], self.common);
        }
        self.stage.open(round.clone());
        let (struck, module) = self.strike(&plan, &armed, &round)?;
        self.restore(Some(&round), plan.help)?;
        let happened = armed.left() == 0;
        if !happened {
            // The device was lost in some other way, and what has not happened would happen in another cycle.
            self.machine.plug(plan.seat, |_| ())?;
            self.restore(Some(&round), plan.help)?;
        }
        let recovered = struck.elapsed();
        round.end();
        self.activity.does(format!("waits for the clients of cycle {cycle}: {}", plan.kind));
        self.stage.empty();
        drop(round);
        self.check(module, plan.help)?;
        self.common.tally.cycle(cycle, plan.kind, happened, Some(recovered), self.stage.take_wrongs());
        Ok(())
    }

    /// Lets it happen. Gives the moment, and the module if that was to be unloaded.
    fn strike(&mut self, plan: &Plan, armed: &Armed, round: &Round<S>) -> io::Result<(Instant, Option<Module>)> {
        if armed.left() > 0 {
            self.provoke(plan, armed, &round.devices[plan.seat]);
            match plan.kind {
                // Until somebody resets it.
                kind if kind.waits_for_reset() => {
                    self.let_work(round, plan.after);
                    self.machine.rebind(plan.seat);
                }
                // It works, and is found out.
                kind if kind.ends_binding() && armed.left() == 0 => self.machine.expect_loss(plan.seat),
                _ => {}
            }
            return Ok((armed.happened().unwrap_or_else(Instant::now), None));
        }
        self.let_work(round, plan.after);
        if !matches!(plan.kind, Kind::Plain(Plain::RemovalInProbe | Plain::FailedProbe)) {
            self.common.tally.met(plan.kind, self.machine.seats[plan.seat].slot_state.get());
        }
        let struck = Instant::now();
        let Plan { kind, seat, reversed, .. } = *plan;
        self.activity.does(format!("cycle {}: strikes: {kind}", round.cycle));
        match kind {
            Kind::Plain(Plain::RemovalOfBoth) => {
                for seat in if reversed { [1, 0] } else { [0, 1] } {
                    self.machine.seats[seat].slot.remove();
                }
            }
            Kind::Plain(Plain::RemovalInProbe | Plain::FailedProbe) => {
                let state = self.machine.seats[seat].slot_state.clone();
                self.machine.plug(seat, |card| armed.arm_card::<S>(plan, card, &state, self.common))?;
            }
            Kind::Plain(Plain::Rebind) => self.machine.rebind(seat),
            Kind::Plain(Plain::RebindInRemoval) if reversed => {
                self.machine.seats[seat].slot.remove();
                self.machine.rebind(seat);
            }
            Kind::Plain(Plain::RebindInRemoval) => {
                self.machine.rebind(seat);
                thread::sleep(Duration::from_micros(50 * plan.at));
                self.machine.seats[seat].slot.remove();
            }
            Kind::Plain(Plain::ForcedUnbind) => self.machine.unbind_all(),
            Kind::Plain(Plain::Storm) => {
                self.storm(plan)?;
                // Whatever the bus makes of all this, this comes last.
                self.machine.plug(seat, |_| ())?;
            }
            Kind::Plain(Plain::Unload) => {
                self.storm(plan)?;
                let before = std::mem::replace(&mut self.machine, Machine::new(self.number, &self.common.kinds)?);
                return Ok((struck, before.unload_in_use(round, self.stage, &self.common.tally)));
            }
            _ => self.machine.seats[seat].slot.remove(),
        }
        if !self.machine.seats[seat].card.is_present() {
            thread::sleep(plan.replug);
        }
        Ok((struck, None))
    }

    /// One thing right after the other.
    fn storm(&mut self, plan: &Plan) -> io::Result<()> {
        let seat = plan.seat;
        for gust in S::storm(plan) {
            match gust {
                Gust::Remove => self.machine.seats[seat].slot.remove(),
                Gust::Plug(armed) => {
                    self.machine
                        .plug(seat, |card| armed.into_iter().for_each(|strike| card.strike(strike, Box::new(|| ()))))?;
                }
                Gust::Rebind => self.machine.rebind(seat),
                Gust::Unbind => self.machine.unbind_all(),
                Gust::Bind => self.machine.bind_unasked(seat),
                Gust::Dump => self.machine.dump(seat),
                Gust::Break(fault) => self.machine.seats[seat].card.inject(fault),
                Gust::AwaitLoss => {
                    let began = Instant::now();
                    while self.machine.is_live(seat) && began.elapsed() < STORM_PAUSE {
                        thread::sleep(POLL);
                    }
                }
                Gust::Pause(time) => thread::sleep(time),
            }
        }
        Ok(())
    }

    /// Waits until clients have made so many steps more.
    fn let_work(&self, round: &Round<S>, steps: u64) {
        self.activity.does("lets clients work");
        let goal = round.steps() + steps;
        while round.steps() < goal {
            thread::sleep(POLL);
        }
    }

    /// Waits until what is armed has happened, and sees to it that it does: by jobs, which touch the device too.
    fn provoke(&self, plan: &Plan, armed: &Armed, device: &S::Device) {
        self.activity.does(format!("waits until it has happened: {}", plan.kind));
        let mut user = None;
        while armed.left() > 0 && S::is_live(device) {
            thread::sleep(POLL);
            if user.is_none() {
                user = S::user(device);
            }
            let jobs = user.as_ref().map(S::jobs).unwrap_or_default();
            if jobs.len() < S::JOBS {
                // The context is refused, or the device lost.
                user = None;
            }
            for job in jobs {
                // However it ends. Until then the watchdog knows what is waited for.
                while armed.left() > 0 && job.wait(LOOK).is_err() && job.status().is_none() {}
            }
        }
    }

    /// Waits until all devices are there and work, and helps where nothing comes of itself.
    fn restore(&mut self, round: Option<&Round<S>>, help: Help) -> io::Result<()> {
        let mut works = [false; 2];
        // Who acts on old news makes the bus make more of them.
        let mut heard = true;
        let mut began = Instant::now();
        self.tell();
        loop {
            if began.elapsed() > self.common.limit {
                self.give_up(works)?;
                began = Instant::now();
            }
            for (seat, works) in works.iter_mut().enumerate() {
                self.help(seat, help, works, !heard)?;
            }
            if works == [true; 2] {
                return Ok(());
            }
            heard = self.machine.hear(LOOK, round, self.stage, &self.common.tally);
            if heard {
                while self.machine.hear(Duration::ZERO, round, self.stage, &self.common.tally) {}
                // Whatever it was: what has worked may be gone.
                works = [false; 2];
                self.tell();
            }
        }
    }

    /// Devices do not come to work again of themselves: that is wrong, and new cards do.
    fn give_up(&mut self, works: [bool; 2]) -> io::Result<()> {
        for (seat, _) in works.iter().enumerate().filter(|(_, works)| !**works) {
            let what = self.machine.seats[seat].describe();
            self.stage.wrong(format!("not working again within {:?}: {what}", self.common.limit));
            self.machine.plug(seat, |_| ())?;
        }
        Ok(())
    }

    /// What is known of the devices, for the watchdog.
    fn tell(&self) {
        let [one, other] = &self.machine.seats;
        self.activity.does(format!("waits for devices: {}; {}", one.describe(), other.describe()));
    }

    /// Does what is needed next for one of them; where nothing comes of itself, only when the bus is quiet.
    fn help(&mut self, seat: usize, help: Help, works: &mut bool, quiet: bool) -> io::Result<()> {
        let it = &self.machine.seats[seat];
        let is_there = it.card.is_present();
        match &it.state {
            // If it is gone, the bus is going to say so.
            Occupant::Live(_) => *works = *works || it.device().is_some_and(|device| self.does_work(device)),
            Occupant::Coming if is_there => {}
            Occupant::Empty if is_there && !quiet => {}
            Occupant::Empty if is_there && help == Help::Rebind => {
                if !self.machine.bind(seat) {
                    self.machine.plug(seat, |_| ())?;
                }
            }
            Occupant::Coming | Occupant::Empty => self.machine.plug(seat, |_| ())?,
            Occupant::Wedged(_) if help == Help::Rebind => {
                if !it.is_rebinding() {
                    self.machine.rebind(seat);
                }
                // And if it is pulled out before that, the bus says so.
            }
            Occupant::Wedged(_) if is_there => it.slot.remove(),
            Occupant::Wedged(_) => {}
        }
        Ok(())
    }

    /// Whether a device does what it is asked for.
    fn does_work(&self, device: &S::Device) -> bool {
        let Some(user) = S::user(device) else { return false };
        let jobs = S::jobs(&user);
        let ends = jobs.iter().map(|job| {
            self.activity.waits_for("asks whether the device works:", job);
            job.wait(FOREVER)
        });
        let works = jobs.len() == S::JOBS && ends.flatten().count() == S::JOBS;
        self.tell();
        works
    }

    /// When nobody uses anything any more.
    fn check(&mut self, module: Option<Module>, help: Help) -> io::Result<()> {
        let began = Instant::now();
        loop {
            // A device may be taken for hung just now.
            if self.machine.hear(Duration::ZERO, None, self.stage, &self.common.tally) {
                self.restore(None, help)?;
            }
            self.activity.does("looks for what is left of the clients");
            self.machine.let_go();
            let mut left = self.machine.left();
            for (kind, count) in module.iter().flat_map(Module::counts) {
                *left.entry(kind).or_default() += count;
            }
            if left.is_empty() {
                break;
            }
            if began.elapsed() > LEFT_LIMIT {
                self.stage.wrong(format!("clients have ended, and there are still {left:?}"));
                break;
            }
            thread::sleep(POLL);
        }
        if let Some(Err(holders)) = module.map(Module::unload) {
            self.stage.wrong(format!("the module cannot be unloaded: {holders}"));
        }
        self.machine.look_at_cards(self.stage);
        Ok(())
    }
}

impl Armed {
    fn arm<S: Tortured>(&self, plan: &Plan, seat: &Seat<S>, common: &Arc<Common>) {
        self.arm_card::<S>(plan, &seat.card, &seat.slot_state, common);
    }

    /// The same, on a card that is about to be plugged in.
    fn arm_card<S: Tortured>(&self, plan: &Plan, card: &S::Card, state: &SlotState, common: &Arc<Common>) {
        let kind = plan.kind;
        for strike in S::armed(plan) {
            self.left.fetch_add(1, SeqCst);
            let (armed, state, common) = (self.clone(), state.clone(), common.clone());
            let tell = move || {
                common.tally.met(kind, state.get());
                *armed.last.lock() = Some(Instant::now());
                armed.left.fetch_sub(1, SeqCst);
            };
            card.strike(strike, Box::new(tell));
        }
    }

    /// How much has not happened yet.
    fn left(&self) -> usize {
        self.left.load(SeqCst)
    }

    fn happened(&self) -> Option<Instant> {
        *self.last.lock()
    }
}
