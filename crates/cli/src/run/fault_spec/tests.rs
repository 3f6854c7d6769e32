use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<FaultSpec, FaultSpecError> {
    text.parse()
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0..=60_000_u64).prop_map(Duration::from_millis),
        (0..=60_000_000_000_u64).prop_map(Duration::from_nanos)
    ]
}

fn any_spec() -> impl Strategy<Value = FaultSpec> {
    let number = (1..=u64::MAX).prop_map(|n| NonZeroU64::new(n).unwrap());
    let at = prop_oneof![
        (0..=100_u8).prop_map(|n| Trigger::Progress(Percent::new(n).unwrap())),
        number.clone().prop_map(Trigger::Access),
        number.clone().prop_map(Trigger::Job),
        number.prop_map(Trigger::Reset),
    ];
    let what = prop_oneof![
        (0..PLAIN.len()).prop_map(|n| PLAIN[n].1),
        ((0..TIMED.len()), any_duration()).prop_map(|(n, time)| TIMED[n].1(time)),
        ((0..LASTING.len()), proptest::option::of(any_duration()))
            .prop_map(|(n, time)| LASTING[n].1(time.map_or(Lasts::UntilReset, Lasts::For))),
    ];
    (what, at, proptest::option::of(any_duration()))
        .prop_filter("must be allowed", |(what, at, _)| what.allows(*at))
        .prop_map(|(what, at, replug)| FaultSpec { what, at, replug })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(spec in any_spec()) {
        let text = spec.to_string();
        prop_assert!(!text.contains(' '), "{text}");
        prop_assert_eq!(parse(&text), Ok(spec));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z@%:,0-9 ]{0,30}|\\PC{0,20}") {
        if let Ok(spec) = parse(&text) {
            prop_assert_eq!(parse(&spec.to_string()), Ok(spec));
        }
    }
}

#[test]
fn the_documented_examples() {
    let n = |n| NonZeroU64::new(n).unwrap();
    let ms = Duration::from_millis;
    let spec = |what, at, replug| Ok(FaultSpec { what, at, replug });
    assert_eq!(parse("unplug@40%"), spec(FaultKind::Unplug, Trigger::Progress(Percent(40)), None));
    assert_eq!(
        parse("unplug@access:1234,replug:200ms"),
        spec(FaultKind::Unplug, Trigger::Access(n(1234)), Some(ms(200)))
    );
    assert_eq!(parse("hang@job:17"), spec(FaultKind::Hang, Trigger::Job(n(17)), None));
    let garbage = |lasts| spec(FaultKind::Garbage(lasts), Trigger::Access(n(9)), None);
    assert_eq!(parse("garbage@access:9"), garbage(Lasts::UntilReset));
    assert_eq!(parse("garbage:50ms@access:9"), garbage(Lasts::For(ms(50))));
    assert_eq!(parse("link-down:200ms@40%"), spec(FaultKind::LinkDown(ms(200)), Trigger::Progress(Percent(40)), None));
    assert_eq!(parse("swap-size@reset:2"), spec(FaultKind::SwapSize, Trigger::Reset(n(2)), None));
    assert_eq!(parse("slow:5ms@job:3"), spec(FaultKind::Slow(ms(5)), Trigger::Job(n(3)), None));
    assert_eq!(
        parse("failed-reset@reset:1,replug:1s"),
        spec(FaultKind::FailedReset, Trigger::Reset(n(1)), Some(ms(1000)))
    );
}

#[test]
fn each_mistake_has_its_own_explanation() {
    for (text, says) in [
        ("", "WHAT@WHEN"),
        ("unplug", "WHAT@WHEN"),
        ("meteor@40%", "unknown fault \"meteor\""),
        ("slow@job:1", "slow:DURATION"),
        ("slow:x@job:1", "\"x\" is not a duration"),
        ("slow:2m@job:1", "up to 1m"),
        ("unplug@", "unknown time \"\""),
        ("unplug@101%", "0 to 100"),
        ("unplug@-1%", "0 to 100"),
        ("unplug@job:0", "counts from 1"),
        ("unplug@tile:3", "unknown time \"tile:3\""),
        ("hang@access:5", "hang cannot happen at access:5: give it N% or job:N"),
        ("link-down@job:1", "link-down:DURATION"),
        ("hang:5ms@job:1", "unknown fault \"hang:5ms\""),
        ("garbage:soon@job:1", "\"soon\" is not a duration"),
        ("lying-reset@job:1", "lying-reset cannot happen at job:1: give it reset:N"),
        ("failed-reset@40%", "failed-reset cannot happen at 40%: give it reset:N"),
        ("unplug@40%,", "unknown option \"\""),
        ("unplug@40%,replug", "only replug:DURATION"),
        ("unplug@40%,replug:1s,replug:2s", "once"),
        ("unplug@40%,replug:later", "\"later\" is not a duration"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn a_share_is_rounded_up_and_never_exceeds_the_whole() {
    assert_eq!(Percent(40).of(10), 4);
    assert_eq!(Percent(40).of(11), 5);
    assert_eq!(Percent(0).of(11), 0);
    assert_eq!(Percent(100).of(u64::MAX), u64::MAX);
}

#[test]
fn the_message_and_the_help_name_every_fault() {
    let unknown = parse("meteor@40%").unwrap_err().to_string();
    let help = crate::args::FAULT_HELP;
    let names = PLAIN.iter().map(|(name, _)| *name);
    let names = names.chain(TIMED.iter().map(|(name, _)| *name)).chain(LASTING.iter().map(|(name, _)| *name));
    for name in names {
        assert!(unknown.contains(name) && help.contains(name), "{name}: {unknown}");
    }
}
