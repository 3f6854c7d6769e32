use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn what_is_recorded_by_several_threads_comes_out_in_order() {
    let timeline = Timeline::start();
    let origin = timeline.origin;
    std::thread::scope(|scope| {
        for client in [2, 1] {
            let timeline = &timeline;
            scope.spawn(move || {
                for start in [30, 10, 20] {
                    let (start, end) = (origin + ms(start), origin + ms(start + 5));
                    timeline.span(Track::Client(client), "job", start, end, Outcome::Done);
                }
            });
        }
    });
    timeline.mark("late", origin + ms(90), MarkKind::Fault);
    timeline.mark("early", origin + ms(80), MarkKind::Fault);
    let recording = timeline.finish();
    let tracks: Vec<_> =
        recording.tracks().map(|(track, spans)| (track, spans.iter().map(|s| s.start).collect())).collect();
    let starts = vec![ms(10), ms(20), ms(30)];
    assert_eq!(tracks, [(Track::Client(1), starts.clone()), (Track::Client(2), starts)]);
    assert_eq!(recording.marks.iter().map(|mark| mark.at).collect::<Vec<_>>(), [ms(80), ms(90)]);
    assert_eq!(recording.end(), ms(90));
}

#[test]
fn a_timeline_that_is_off_records_nothing() {
    let timeline = Timeline::off();
    timeline.span(Track::Device, "up", timeline.origin, timeline.origin + ms(1), Outcome::Present);
    timeline.mark("unplug", timeline.origin, MarkKind::Unplug);
    assert_eq!(timeline.finish(), Recording::default());
}

#[test]
fn times_that_run_backwards_are_harmless() {
    let timeline = Timeline::start();
    let origin = timeline.origin;
    timeline.span(Track::Device, "up", origin + ms(5), origin, Outcome::Present);
    let recording = timeline.finish();
    assert_eq!((recording.spans[0].start, recording.spans[0].end), (ms(5), ms(5)));
}

#[test]
fn a_full_timeline_still_takes_what_went_wrong() {
    let timeline = Timeline::start();
    let origin = timeline.origin;
    for _ in 0..SPAN_LIMIT + 10 {
        timeline.span(Track::Client(1), "job", origin, origin, Outcome::Done);
    }
    timeline.span(Track::Client(1), "job", origin, origin, Outcome::Lost);
    let recording = timeline.finish();
    assert_eq!((recording.spans.len(), recording.left_out), (SPAN_LIMIT + 1, 10));
    assert!(recording.spans.iter().any(|span| span.outcome == Outcome::Lost));
}

#[test]
fn an_outage_lasts_from_unplug_to_replug() {
    let timeline = Timeline::start();
    for (at, kind) in [
        (1, MarkKind::Replug),
        (2, MarkKind::Unplug),
        (3, MarkKind::Unplug),
        (4, MarkKind::Fault),
        (5, MarkKind::Replug),
        (6, MarkKind::Replug),
        (7, MarkKind::Unplug),
    ] {
        timeline.mark("", timeline.origin + ms(at), kind);
    }
    let outages = timeline.finish().outages();
    assert_eq!(outages, [Outage { start: ms(2), end: Some(ms(5)) }, Outage { start: ms(7), end: None }]);
}
