#![no_main]
//! The simulated world with the fuzzer as the one who decides: it looks for a story in which an
//! acknowledged write is lost or the nodes do not agree in the end.

use freehold_sim::{Bytes, Choose, LogWorld, Options, ReplicaWorld, run};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let choose = &mut Bytes::new(data);
    let failure = if choose.below(2) == 0 {
        let options = Options::swarm(choose);
        run(&mut LogWorld::new(options, choose), choose).err()
    } else {
        let options = Options::swarm(choose);
        run(&mut ReplicaWorld::new(options, choose), choose).err()
    };
    assert!(failure.is_none(), "\n{}", failure.map(|failure| failure.to_string()).unwrap_or_default());
});
