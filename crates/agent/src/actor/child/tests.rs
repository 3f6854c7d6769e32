use super::confine::{Files, Unconfined, Wish, judge};

#[test]
fn a_kernel_that_cannot_confine_files_says_so_and_the_wish_decides() {
    let confined = judge(Wish::Preferred, Files::Not).unwrap();
    assert_eq!((confined.files, confined.privileges), (Files::Not, true));
    assert!(matches!(judge(Wish::Required, Files::Not), Err(Unconfined::Required(Files::Not))));
    for files in [Files::Fully, Files::Partly, Files::Program] {
        assert!(judge(Wish::Required, files).is_ok(), "{files:?}");
    }
    assert!(!judge(Wish::Required, Files::Program).unwrap().privileges);
}
