//! The limits of values: changed at any time, the same for the whole of a run.

use keyspace::Limits;

use super::Rig;

#[test]
fn a_run_keeps_its_limits_and_the_next_has_the_new_ones() {
    let mut rig = Rig::new();
    let new = Limits { intset_entries: 3, ..Limits::default() };
    let instance = rig.instance().clone();
    rig.on(&["k"], |view| {
        let old = *view.limits();
        instance.set_limits(new);
        assert_eq!(*view.limits(), old);
        Ok(())
    });
    rig.on(&["k"], |view| {
        assert_eq!(*view.limits(), new);
        Ok(())
    });
    drop(instance);
    // Another instance, the same thread's memory.
    rig.kill();
    rig.open();
    let expected = rig.options.limits;
    rig.on(&["k"], |view| {
        assert_eq!(*view.limits(), expected);
        Ok(())
    });
}
